// What the kernels of CMSIS-NN and the reference kernels of TensorFlow Lite Micro take on a board for layers of the
// networks that region_bench.cc measures: a line for each, with the timer's ticks of ten runs, counted likewise. Their
// sources are given by path.
#include <cstddef>
#include <cstdint>

#include "bare_metal/board.h"
#include "bare_metal/cycles.h"

#if defined(FMTC_HAVE_CMSIS_NN)
#include <arm_nnfunctions.h>
#endif
#if defined(FMTC_HAVE_TFLM)
#include "tensorflow/lite/kernels/internal/reference/add.h"
#include "tensorflow/lite/kernels/internal/reference/integer_ops/add.h"
#include "tensorflow/lite/kernels/internal/reference/integer_ops/conv.h"
#include "tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h"
#include "tensorflow/lite/kernels/internal/reference/integer_ops/fully_connected.h"
#endif

namespace {

enum Kind { kConv, kDepthwise, kFullyConnected, kAdd };

// Of a square kernel with half of it as padding around the map.
struct Layer {
  Kind kind;
  const char* name;
  int32_t height, width, in_channels, out_channels, kernel, stride;

  int32_t out_height() const { return (height + stride - 1) / stride; }
  int32_t out_width() const { return (width + stride - 1) / stride; }
  int32_t padding() const { return (kernel - 1) / 2; }
  uint32_t work() const {
    const int32_t inputs = kind == kConv || kind == kFullyConnected ? in_channels : 1;
    return static_cast<uint32_t>(out_height() * out_width() * out_channels * inputs * kernel * kernel);
  }
};

constexpr Layer kLayers[] = {
    {kConv, "conv", 96, 96, 3, 8, 3, 2},
    {kConv, "conv", 32, 32, 16, 16, 3, 1},
    {kConv, "conv", 16, 16, 32, 32, 3, 1},
    {kConv, "conv", 8, 8, 64, 64, 3, 1},
    {kConv, "conv", 48, 48, 8, 16, 1, 1},
    {kConv, "conv", 24, 24, 32, 32, 1, 1},
    {kConv, "conv", 25, 5, 64, 64, 1, 1},
    {kConv, "conv", 6, 6, 128, 128, 1, 1},
    {kConv, "conv", 3, 3, 256, 256, 1, 1},
    {kDepthwise, "depthwise", 48, 48, 8, 8, 3, 1},
    {kDepthwise, "depthwise", 25, 5, 64, 64, 3, 1},
    {kDepthwise, "depthwise", 6, 6, 128, 128, 3, 1},
    {kFullyConnected, "fully_connected", 1, 1, 256, 2, 1, 1},
    {kFullyConnected, "fully_connected", 1, 1, 64, 12, 1, 1},
    {kAdd, "add", 32, 32, 16, 16, 1, 1},
};

int8_t input[96 << 10], beside[32 << 10], output[64 << 10];
int8_t weights[128 << 10];
int32_t biases[256], multipliers[256], shifts[256];
[[maybe_unused]] int16_t buffer[16 << 10];

void Prepare() {
  uint32_t state = 1;
  const auto fill = [&state](int8_t* values, size_t count) {
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<int8_t>((state = state * 1664525 + 1013904223) >> 24);
  };
  fill(input, sizeof(input));
  fill(beside, sizeof(beside));
  fill(weights, sizeof(weights));
  for (int i = 0; i < 256; ++i) multipliers[i] = 1500000000, shifts[i] = -8;
}

#if defined(FMTC_HAVE_CMSIS_NN)
void RunCmsisNn(const Layer& layer) {
  const cmsis_nn_context context{buffer, sizeof(buffer)};
  const cmsis_nn_per_channel_quant_params scales{multipliers, shifts};
  const cmsis_nn_dims in{1, layer.height, layer.width, layer.in_channels};
  const cmsis_nn_dims out{1, layer.out_height(), layer.out_width(), layer.out_channels};
  const cmsis_nn_dims bias{1, 1, 1, layer.out_channels};
  const cmsis_nn_tile stride{layer.stride, layer.stride}, padding{layer.padding(), layer.padding()}, one{1, 1};
  const cmsis_nn_activation all{-128, 127};
  if (layer.kind == kConv) {
    const cmsis_nn_dims filter{layer.out_channels, layer.kernel, layer.kernel, layer.in_channels};
    const cmsis_nn_conv_params p{3, 5, stride, padding, one, all};
    arm_convolve_wrapper_s8(&context, &p, &scales, &in, input, &filter, weights, &bias, biases, &out, output);
  } else if (layer.kind == kDepthwise) {
    const cmsis_nn_dims filter{1, layer.kernel, layer.kernel, layer.out_channels};
    const cmsis_nn_dw_conv_params p{3, 5, 1, stride, padding, one, all};
    arm_depthwise_conv_wrapper_s8(&context, &p, &scales, &in, input, &filter, weights, &bias, biases, &out, output);
  } else if (layer.kind == kFullyConnected) {
    const cmsis_nn_dims filter{layer.in_channels, 1, 1, layer.out_channels};
    const cmsis_nn_fc_params p{3, 0, 5, all};
    const cmsis_nn_per_tensor_quant_params scale{multipliers[0], shifts[0]};
    arm_fully_connected_s8(&context, &p, &scale, &in, input, &filter, weights, &bias, biases, &out, output);
  } else {
    arm_elementwise_add_s8(input, beside, 3, multipliers[0], -1, 4, multipliers[0], -2, 20, output, 5, multipliers[0],
                           -18, -128, 127, static_cast<int32_t>(layer.work()));
  }
}
#endif

#if defined(FMTC_HAVE_TFLM)
template <typename... Sizes>
tflite::RuntimeShape Shape(Sizes... sizes) {
  const int32_t all[] = {sizes...};
  return {sizeof...(sizes), all};
}

void RunTflm(const Layer& layer) {
  using tflite::RuntimeShape;
  const RuntimeShape in = Shape(1, layer.height, layer.width, layer.in_channels);
  const RuntimeShape out = Shape(1, layer.out_height(), layer.out_width(), layer.out_channels);
  const RuntimeShape bias = Shape(layer.out_channels);
  const auto window = [&layer](auto* p) {
    p->input_offset = 3;
    p->output_offset = 5;
    p->stride_height = p->stride_width = static_cast<int16_t>(layer.stride);
    p->dilation_height_factor = p->dilation_width_factor = 1;
    p->padding_values.height = p->padding_values.width = static_cast<int16_t>(layer.padding());
    p->quantized_activation_min = -128;
    p->quantized_activation_max = 127;
  };
  if (layer.kind == kConv) {
    tflite::ConvParams p{};
    window(&p);
    const RuntimeShape filter = Shape(layer.out_channels, layer.kernel, layer.kernel, layer.in_channels);
    tflite::reference_integer_ops::ConvPerChannel(p, multipliers, shifts, in, input, filter, weights, bias, biases, out,
                                                  output);
  } else if (layer.kind == kDepthwise) {
    tflite::DepthwiseParams p{};
    window(&p);
    p.depth_multiplier = 1;
    const RuntimeShape filter = Shape(1, layer.kernel, layer.kernel, layer.out_channels);
    tflite::reference_integer_ops::DepthwiseConvPerChannel(p, multipliers, shifts, in, input, filter, weights, bias,
                                                           biases, out, output);
  } else if (layer.kind == kFullyConnected) {
    tflite::FullyConnectedParams p{};
    p.input_offset = 3;
    p.output_offset = 5;
    p.output_multiplier = multipliers[0];
    p.output_shift = shifts[0];
    p.quantized_activation_min = -128;
    p.quantized_activation_max = 127;
    tflite::reference_integer_ops::FullyConnected(p, Shape(1, layer.in_channels), input,
                                                  Shape(layer.out_channels, layer.in_channels), weights, bias, biases,
                                                  Shape(1, layer.out_channels), output);
  } else {
    tflite::ArithmeticParams p{};
    p.input1_offset = 3;
    p.input2_offset = 4;
    p.output_offset = 5;
    p.left_shift = 20;
    p.input1_multiplier = p.input2_multiplier = p.output_multiplier = multipliers[0];
    p.input1_shift = -1;
    p.input2_shift = -2;
    p.output_shift = -18;
    p.quantized_activation_min = -128;
    p.quantized_activation_max = 127;
    tflite::reference_integer_ops::Add(p, in, input, in, beside, out, output);
  }
}
#endif

void PrintNumber(uint64_t number, const char* behind) {
  char digits[24] = {};
  char* first = digits + sizeof(digits) - 2;
  do *first-- = static_cast<char>('0' + number % 10);
  while ((number /= 10) > 0);
  fmtc::Print(first + 1);
  fmtc::Print(behind);
}

uint64_t Ticks(void (*run)(const Layer&), const Layer& layer, uint32_t times) {
  uint64_t ticks = 0;
  for (; times > 0; --times) {
    const uint32_t start = fmtc::Timer().value;
    run(layer);
    ticks += fmtc::TicksSince(start);
  }
  return ticks;
}

[[maybe_unused]] void Measure(const char* library, void (*run)(const Layer&)) {
  for (const Layer& layer : kLayers) {
    const uint64_t first = Ticks(run, layer, 1);
    const uint64_t ticks = Ticks(run, layer, 1 + fmtc::kInferences) - first;
    fmtc::Print(library);
    fmtc::Print(" ");
    fmtc::Print(layer.name);
    fmtc::Print(" ");
    PrintNumber(static_cast<uint32_t>(layer.kernel * layer.kernel), " ");
    PrintNumber(static_cast<uint32_t>(layer.in_channels), " ");
    PrintNumber(static_cast<uint32_t>(layer.out_channels), " ");
    PrintNumber(uint64_t{layer.work()} * fmtc::kInferences, " ");
    PrintNumber(ticks, "\n");
  }
}

}  // namespace

int main() {
  Prepare();
  fmtc::StartTimer();
#if defined(FMTC_HAVE_CMSIS_NN)
  Measure("cmsis_nn", RunCmsisNn);
#endif
#if defined(FMTC_HAVE_TFLM)
  Measure("tflm_reference", RunTflm);
#endif
  return 0;
}
