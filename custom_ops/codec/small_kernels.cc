#include "codec/small_kernels.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/features.h"
#include "codec/analysis.h"
#include "codec/plain_kernels.h"
#include "codec/predict.h"
#include "codec/synthesis.h"

namespace fmtc {
namespace {

// Division, which the processors in question have, takes the place of stored reciprocals.
FMTC_ONE_COPY int32_t Quantize(int32_t d, uint32_t step) {
  const uint32_t magnitude = static_cast<uint32_t>(d < 0 ? -d : d);
  const int32_t index = static_cast<int32_t>((16 * magnitude + step / 2) / step);
  return d < 0 ? -index : index;
}

void AnalyzeRowSmall(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  const SideInfo& info = analysis.codec->side_info;
  if (kHasMatrices && info.has_analysis) {
    AnalyzeRowPlain(analysis, width, row, indices);
    return;
  }
  for (uint32_t x = 0; x < width; ++x) {
    for (uint32_t j = 0; j < info.components; ++j) {
      const int32_t d = static_cast<int8_t>(*row++ ^ analysis.flip) - info.ComponentCentre(j);
      *indices++ = static_cast<uint8_t>(Quantize(d, info.ComponentStep(j) << analysis.level));
    }
  }
}

uint8_t SynthesizeSmall(const Synthesis& synthesis, uint32_t j, uint8_t byte) {
  const SideInfo& info = synthesis.codec->side_info;
  const int32_t centre = info.ComponentCentre(j);
  const uint32_t step = info.ComponentStep(j) << synthesis.level;
  const int32_t smallest = Quantize(-128 - centre, step);
  const int32_t largest = Quantize(127 - centre, step);
  int32_t index = smallest + static_cast<uint8_t>(byte - smallest);
  if (index > largest) index = largest;
  const uint32_t magnitude = static_cast<uint32_t>(index < 0 ? -index : index);
  const int32_t distance = static_cast<int32_t>((magnitude * step + 8) / 16);
  int32_t value = centre + (index < 0 ? -distance : distance);
  if (value < info.lo) value = info.lo;
  if (value > info.hi) value = info.hi;
  return static_cast<uint8_t>(value) ^ synthesis.flip;
}

void SynthesizeRowSmall(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  const SideInfo& info = synthesis.codec->side_info;
  if (kHasMatrices && info.has_synthesis) {
    SynthesizeRowPlain(synthesis, width, indices, row);
    return;
  }
  for (uint32_t x = 0; x < width; ++x) {
    for (uint32_t j = 0; j < info.components; ++j) *row++ = SynthesizeSmall(synthesis, j, *indices++);
  }
}

// Lanes of the first step of a run that has `left` values: those of a partial step come first.
size_t LanesOfStep(size_t left) { return (left - 1) % kLanes + 1; }

// A field of at most 7 bits.
__attribute__((noinline)) uint32_t TakeField(uint32_t bits, uint32_t mask, BitReader* reader) {
  reader->ClampPosition();
  const uint32_t window = uint32_t{Load<uint16_t>(reader->data + reader->position / 8)} >> (reader->position % 8);
  reader->position += bits;
  return window & mask;
}

void DecodeRunSmall(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    LaneDecoder* const segment = segments[i];
    uint8_t* values = segment->values;
    for (size_t left = run.length; left > 0;) {
      const bool is_free = left == run.FreeLanes();
      const size_t lanes = LanesOfStep(left);
      left -= lanes;
      for (uint8_t* state = segment->states; state < segment->states + lanes; ++state) {
        const uint32_t raw = TakeField(table.raw_bits[*state], table.raw_mask[*state], &segment->raw);
        *values++ = static_cast<uint8_t>(table.first_value[*state] + raw);
        if (is_free) continue;
        const uint32_t token = TakeField(table.token_bits[*state], table.token_mask[*state], &segment->tokens);
        *state = static_cast<uint8_t>(table.base[*state] + token);
      }
    }
  }
}

void SplitRunSmall(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  for (const uint8_t* value = values; value < values + n; ++value) {
    const uint8_t token = *tokens++ = tables.token_of[*value];
    const uint8_t raw_value = static_cast<uint8_t>(*value - tables.encode.first_value[token]);
    uint32_t buffer = static_cast<uint32_t>(raw->buffer) | uint32_t{raw_value} << raw->count;
    raw->count += tables.encode.raw_bits[token];
    if (raw->count >= 8) {
      if (raw->next == raw->end) {
        raw->overflow = true;
        raw->count = 0;
        return;
      }
      *raw->next++ = static_cast<uint8_t>(buffer);
      buffer >>= 8;
      raw->count -= 8;
    }
    raw->buffer = buffer;
  }
}

void EncodeRunSmall(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder) {
  const EncodeTable& table = tables.encode;
  TokenWriter* const writer = &encoder->writer;
  while (n > 0) {
    for (size_t lane = n < kLanes ? n : kLanes; lane-- > 0;) {
      const uint8_t token = tokens[--n];
      const uint32_t x = encoder->states[lane];
      const uint32_t bits = table.most_bits[token] - (x < table.threshold[token] ? 1u : 0u);
      const uint32_t buffer = static_cast<uint32_t>(writer->buffer) << bits | (x & ((1u << bits) - 1));
      writer->buffer = buffer;
      writer->position -= bits;
      Store(writer->data + writer->position / 8, static_cast<uint16_t>(buffer << (writer->position % 8)));
      encoder->states[lane] = table.next_state[static_cast<uint8_t>((x >> bits) + table.state_offset[token])];
    }
  }
}

void PlanesToPixelsSmall(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels) {
  for (size_t x = 0; x < shape.plane_bytes; ++x) {
    for (uint32_t j = 0; j < shape.components; ++j) *pixels++ = planes[place[j] * shape.plane_bytes + x];
  }
}

void PixelsToPlanesSmall(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes) {
  for (size_t x = 0; x < shape.plane_bytes; ++x) {
    for (uint32_t j = 0; j < shape.components; ++j) planes[place[j] * shape.plane_bytes + x] = *pixels++;
  }
}

// Residuals of indices, or indices of residuals.
__attribute__((noinline)) void PredictRow(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* in,
                                          uint8_t* out, bool decodes) {
  const Neighbours neighbours{decodes ? out : in, above, shape.components};
  for (size_t at = 0; at < size_t{shape.width} * shape.components; ++at) {
    const uint8_t prediction = neighbours.Predict(at, codes[at % shape.components] >> 4);
    out[at] = static_cast<uint8_t>(decodes ? in[at] + prediction : in[at] - prediction);
  }
}

void ResidualsOfRowSmall(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                         uint8_t* residuals) {
  PredictRow(shape, codes, above, indices, residuals, false);
}

void IndicesOfRowSmall(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                       uint8_t* indices) {
  PredictRow(shape, codes, above, residuals, indices, true);
}

constexpr Kernels MakeSmallKernels() {
  Kernels kernels{};
  kernels.analyze_row = AnalyzeRowSmall;
  kernels.synthesize_row = SynthesizeRowSmall;
  kernels.decode_run = DecodeRunSmall;
  kernels.split_run = SplitRunSmall;
  kernels.encode_run = EncodeRunSmall;
  kernels.planes_to_pixels = PlanesToPixelsSmall;
  kernels.pixels_to_planes = PixelsToPlanesSmall;
  kernels.residuals_of_row = ResidualsOfRowSmall;
  kernels.indices_of_row = IndicesOfRowSmall;
  kernels.tables_of_row = kHasVersion2 ? TablesOfRowPlain : nullptr;
  kernels.sort_row = kHasVersion2 ? SortRowPlain : nullptr;
  kernels.unsort_row = kHasVersion2 ? UnsortRowPlain : nullptr;
  kernels.extend_crc32c = ExtendCrc32c;
  return kernels;
}

constexpr Kernels kSmallKernels = MakeSmallKernels();

}  // namespace

const Kernels& SmallKernels() { return kSmallKernels; }

}  // namespace fmtc
