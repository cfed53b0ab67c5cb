// ARG_MAX and ARG_MAX_PLACES: which channel of each pixel, or which pixel of each channel, has the largest or the least
// value.
#include "base/bytes.h"
#include "region/each_run.h"
#include "region/kind.h"

namespace fmtc::region {
namespace {

constexpr uint8_t kLeast = 2;  // rule 1: the largest

bool HoldsPlaces(const TensorRecord& tensor) { return tensor.type == kInt32 || tensor.type == kInt64; }

void StorePlace(const TensorRecord& tensor, int32_t place, uint8_t* to) {
  if (tensor.type == kInt64) {
    Store(to, int64_t{place});
  } else {
    Store(to, place);
  }
}

// Both orders, for values of 8 bits and of 32.
struct Larger {
  template <typename T>
  static bool Beats(T value, T best) {
    return value > best;
  }
};
struct Smaller {
  template <typename T>
  static bool Beats(T value, T best) {
    return value < best;
  }
};

Status CheckArgMax(const OpView& op) {
  const TensorRecord& input = op.input(0);
  const TensorRecord& output = op.output();
  if (!IsRule(op, kLeast)) return Status::kProgramUnsupported;
  return ValidIf(IsScratch8Bit(input) && HoldsPlaces(output) && output.height == input.height &&
                 output.width == input.width && output.channels == 1);
}

// The first of several.
template <class Order>
int32_t FindBest(const uint8_t* values, int32_t count) {
  int32_t found = 0;
  for (int32_t i = 1; i < count; ++i) {
    if (Order::Beats(values[i], values[found])) found = i;
  }
  return found;
}

void RunArgMax(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const Range columns = access.Window(op);
  const int32_t channels = static_cast<int32_t>(op.input(0).channels);
  const bool least = op.op->rule == kLeast;
  const uint8_t* from = access.Read(op.input(0), step, columns.first);
  uint8_t* to = access.Write(op.output(), step, columns.first);
  for (int32_t column = columns.first; column < columns.end; ++column) {
    StorePlace(op.output(), least ? FindBest<Smaller>(from, channels) : FindBest<Larger>(from, channels), to);
    from += op.input(0).pixel_bytes;
    to += op.output().pixel_bytes;
  }
}

Status CheckArgMaxPlaces(const OpView& op) {
  const TensorRecord& input = op.input(0);
  const TensorRecord& output = op.output();
  if (!IsRule(op, kLeast)) return Status::kProgramUnsupported;
  return ValidIf((IsScratch8Bit(input) || input.type == kFloat32) && HoldsPlaces(output) && output.height == 1 &&
                 output.width == 1 && output.channels == input.channels &&
                 uint64_t{input.height} * input.width <= INT32_MAX &&
                 uint64_t{8} * input.channels <= op.op->memory_bytes);
}

// What the channels' best values so far are, and where: the op's own memory.
template <typename T>
struct Best {
  T* values;
  int32_t* places;
};

template <class Order, typename T, typename Stored>
void Compare(const uint8_t* pixel, int32_t channels, int32_t place, const Best<Stored>& best) {
  for (int32_t c = 0; c < channels; ++c) {
    const Stored value = Load<T>(pixel + static_cast<size_t>(c) * sizeof(T));
    if (place > 0 && !Order::Beats(value, best.values[c])) continue;
    best.values[c] = value;
    best.places[c] = place;
  }
}

template <typename T, typename Stored>
void CompareRow(const OpView& op, const RowAccess& access, int32_t step) {
  const TensorRecord& input = op.input(0);
  const int32_t channels = static_cast<int32_t>(input.channels);
  const int32_t width = static_cast<int32_t>(input.width);
  uint8_t* memory = access.OwnMemory(op);
  const Best<Stored> best{reinterpret_cast<Stored*>(memory), reinterpret_cast<int32_t*>(memory) + channels};
  const uint8_t* pixel = access.Read(input, step, 0);
  for (int32_t x = 0; x < width; ++x, pixel += input.pixel_bytes) {
    if (op.op->rule == kLeast) {
      Compare<Smaller, T>(pixel, channels, step * width + x, best);
    } else {
      Compare<Larger, T>(pixel, channels, step * width + x, best);
    }
  }
  if (step + 1 < static_cast<int32_t>(input.height)) return;
  uint8_t* to = access.Write(op.output(), 0, 0);
  for (int32_t c = 0; c < channels; ++c) {
    StorePlace(op.output(), best.places[c], to + static_cast<size_t>(c) * ElementBytes(op.output().type));
  }
}

void RunArgMaxPlaces(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  if (op.input(0).type == kFloat32) {
    CompareRow<float, float>(op, access, step);
  } else {
    CompareRow<uint8_t, int32_t>(op, access, step);
  }
}

constexpr Kind MakeArgMax() {
  Kind kind;
  kind.check = CheckArgMax;
  kind.run = RunArgMax;
  return kind;
}

constexpr Kind MakeArgMaxPlaces() {
  Kind kind;
  kind.check = CheckArgMaxPlaces;
  kind.accumulates = Always;
  kind.columns = AllColumns;
  kind.run = RunArgMaxPlaces;
  return kind;
}

}  // namespace

const Kind kArgMaxKind = MakeArgMax();
const Kind kArgMaxPlacesKind = MakeArgMaxPlaces();

}  // namespace fmtc::region
