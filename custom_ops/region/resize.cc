// RESIZE_BILINEAR and RESIZE_NEAREST.
#include <cmath>
#include <cstring>

#include "region/kind.h"
#include "region/pixel_bytes.h"

namespace fmtc::region {
namespace {

// Of either sign; with them the sums fit. (At an edge runtimes weigh one value with 1.5 and -0.5.)
constexpr int32_t kMaxWeight = 4096;
constexpr float kMaxFloatWeight = 4.0f;

bool FitsWeight(uint32_t bits, bool is_float) {
  if (!is_float) {
    const int32_t weight = static_cast<int32_t>(bits);
    return weight >= -kMaxWeight && weight <= kMaxWeight;
  }
  float weight;
  memcpy(&weight, &bits, sizeof(weight));
  return weight >= -kMaxFloatWeight && weight <= kMaxFloatWeight;
}

// Entries of an axis lie within the input and ascend.
bool FitsEntries(const BilinearEntry* entries, uint32_t count, uint32_t size, bool is_float) {
  for (uint32_t i = 0; i < count; ++i) {
    const BilinearEntry& e = entries[i];
    if (e.first >= size || e.second >= size) return false;
    if (!FitsWeight(e.weights[0], is_float) || !FitsWeight(e.weights[1], is_float)) return false;
    if (i > 0 && (e.first < entries[i - 1].first || e.second < entries[i - 1].second)) return false;
  }
  return true;
}

bool FitsPlaces(const uint32_t* places, uint32_t count, uint32_t size) {
  for (uint32_t i = 0; i < count; ++i) {
    if (places[i] >= size || (i > 0 && places[i] < places[i - 1])) return false;
  }
  return true;
}

bool FitsTensors(const OpView& op, uint32_t entry_bytes) {
  const ResizeParameters& p = op.parameters<ResizeParameters>();
  return AreZero(p.reserved) && IsScratch8Bit(op.input(0)) && IsScratch8Bit(op.output()) &&
         op.input(0).channels == op.output().channels &&
         op.program->Has(p.rows_offset, op.output().height, entry_bytes, 4) &&
         op.program->Has(p.columns_offset, op.output().width, entry_bytes, 4);
}

const BilinearEntry* RowEntries(const OpView& op) {
  return op.program->At<BilinearEntry>(op.parameters<ResizeParameters>().rows_offset);
}
const BilinearEntry* ColumnEntries(const OpView& op) {
  return op.program->At<BilinearEntry>(op.parameters<ResizeParameters>().columns_offset);
}

Status CheckBilinear(const OpView& op) {
  const uint8_t rule = op.op->rule;
  if (rule < 1 || rule > 4) return Status::kProgramUnsupported;
  return ValidIf(FitsTensors(op, sizeof(BilinearEntry)) &&
                 FitsEntries(RowEntries(op), op.output().height, op.input(0).height, rule >= 3) &&
                 FitsEntries(ColumnEntries(op), op.output().width, op.input(0).width, rule >= 3));
}

Range Spanned(const BilinearEntry& first, const BilinearEntry& last) {
  const uint32_t from = first.first < first.second ? first.first : first.second;
  const uint32_t to = last.first > last.second ? last.first : last.second;
  return {static_cast<int32_t>(from), static_cast<int32_t>(to) + 1};
}

Range BilinearRows(const OpView& op, int, int32_t step) {
  const BilinearEntry& entry = RowEntries(op)[step];
  return Spanned(entry, entry);
}

Range BilinearColumns(const OpView& op, int, Range columns) {
  const BilinearEntry* entries = ColumnEntries(op);
  return Spanned(entries[columns.first], entries[columns.end - 1]);
}

void RunBilinear(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const TensorRecord& input = op.input(0);
  const Range columns = access.Window(op);
  const BilinearEntry& entry = RowEntries(op)[step];
  BilinearRow row{};
  row.rows_column = BilinearColumns(op, 0, columns).first;
  row.rows[0] = access.Read(input, static_cast<int32_t>(entry.first), row.rows_column);
  row.rows[1] = access.Read(input, static_cast<int32_t>(entry.second), row.rows_column);
  row.pixel_bytes = input.pixel_bytes;
  row.row = &entry;
  row.columns = ColumnEntries(op) + columns.first;
  row.out = access.Write(op.output(), step, columns.first);
  row.out_pixel_bytes = op.output().pixel_bytes;
  row.channels = static_cast<int32_t>(input.channels);
  row.num_columns = columns.end - columns.first;
  row.offset = op.parameters<ResizeParameters>().offset;
  kernels.bilinear[op.op->rule](row);
}

const uint32_t* RowPlaces(const OpView& op) {
  return op.program->At<uint32_t>(op.parameters<ResizeParameters>().rows_offset);
}
const uint32_t* ColumnPlaces(const OpView& op) {
  return op.program->At<uint32_t>(op.parameters<ResizeParameters>().columns_offset);
}

Status CheckNearest(const OpView& op) {
  if (op.op->rule != 1) return Status::kProgramUnsupported;
  return ValidIf(op.parameters<ResizeParameters>().offset == 0 && FitsTensors(op, sizeof(uint32_t)) &&
                 FitsPlaces(RowPlaces(op), op.output().height, op.input(0).height) &&
                 FitsPlaces(ColumnPlaces(op), op.output().width, op.input(0).width));
}

Range NearestRows(const OpView& op, int, int32_t step) {
  const int32_t row = static_cast<int32_t>(RowPlaces(op)[step]);
  return {row, row + 1};
}

Range NearestColumns(const OpView& op, int, Range columns) {
  const uint32_t* places = ColumnPlaces(op);
  return {static_cast<int32_t>(places[columns.first]), static_cast<int32_t>(places[columns.end - 1]) + 1};
}

void RunNearest(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const TensorRecord& input = op.input(0);
  const int32_t row = NearestRows(op, 0, step).first;
  const Range columns = access.Window(op);
  const uint32_t* places = ColumnPlaces(op) + columns.first;
  const uint8_t* in = access.Read(input, row, static_cast<int32_t>(places[0]));
  uint8_t* out = access.Write(op.output(), step, columns.first);
  const size_t in_bytes = input.pixel_bytes, out_bytes = op.output().pixel_bytes;
  const size_t count = static_cast<size_t>(columns.end - columns.first);
  WithPixelMove(input.channels, 0, [=](auto move) {
    for (size_t i = 0; i < count; ++i) move(out + i * out_bytes, in + (places[i] - places[0]) * in_bytes);
  });
}

constexpr Kind MakeResizeBilinear() {
  Kind kind;
  kind.parameter_bytes = sizeof(ResizeParameters);
  kind.check = CheckBilinear;
  kind.rows = BilinearRows;
  kind.columns = BilinearColumns;
  kind.run = RunBilinear;
  return kind;
}

constexpr Kind MakeResizeNearest() {
  Kind kind;
  kind.parameter_bytes = sizeof(ResizeParameters);
  kind.check = CheckNearest;
  kind.rows = NearestRows;
  kind.columns = NearestColumns;
  kind.run = RunNearest;
  return kind;
}

}  // namespace

const Kind kResizeBilinearKind = MakeResizeBilinear();
const Kind kResizeNearestKind = MakeResizeNearest();

}  // namespace fmtc::region
