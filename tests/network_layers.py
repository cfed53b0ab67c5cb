"""More layers for networks of public architectures: gates, shuffles, upsampling, one dimension, floats at the ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from known_networks import Network
from model_builder import ACTIVATION, Ref

_BYTE_OPTIONS = {"LEAKY_RELU": schema.LeakyReluOptionsT(alpha=0.1), "HARD_SWISH": schema.HardSwishOptionsT()}

Pair = tuple[int, int]


class Layers(Network):
    """A graph under construction; activations have one scale but for probabilities and tanh."""

    def image(self, height: int, width: int, channels: int = 3, batch: int = 1) -> Ref:
        return self.graph.input("input", [batch, height, width, channels], self.dtype, zero_point=self.zero_point)

    def float_image(self, size: int, channels: int = 3) -> Ref:
        """A float32 input, quantized."""
        x = self.graph.input("input", [1, size, size, channels], "FLOAT32")
        return self.graph.quantize(x, self.dtype, zero_point=self.zero_point)

    def convolution(
        self,
        x: Ref,
        channels: int,
        kernel: int | Pair = 3,
        stride: int | Pair = 1,
        activation: str = "RELU",
        dilation: int | Pair = 1,
        groups: int = 1,
        valid: bool = False,
    ) -> Ref:
        """CONV_2D with whatever options."""
        kernel, stride, dilation = (_pair(n) for n in (kernel, stride, dilation))
        result = self._result("conv", (x.shape[0], *_size(x, kernel, stride, dilation, valid), channels), x)
        weights = self._weights((channels, *kernel, x.shape[3] // groups), channels, x)
        options = _window(stride, dilation, valid, activation)
        self.graph.op("CONV_2D", [x, *weights], [result], schema.Conv2DOptionsT(**options), version=3)
        return result

    def separate(
        self,
        x: Ref,
        kernel: int | Pair = 3,
        stride: int | Pair = 1,
        activation: str = "RELU6",
        dilation: int | Pair = 1,
        multiplier: int = 1,
        valid: bool = False,
    ) -> Ref:
        """DEPTHWISE_CONV_2D with whatever options."""
        kernel, stride, dilation = (_pair(n) for n in (kernel, stride, dilation))
        channels = x.shape[3] * multiplier
        result = self._result("depthwise", (x.shape[0], *_size(x, kernel, stride, dilation, valid), channels), x)
        weights = self._weights((1, *kernel, channels), channels, x)
        options = _window(stride, dilation, valid, activation) | {"depthMultiplier": multiplier}
        self.graph.op(
            "DEPTHWISE_CONV_2D", [x, *weights], [result], schema.DepthwiseConv2DOptionsT(**options), version=3
        )
        return result

    def pointwise(self, opcode: str, x: Ref) -> Ref:
        """RELU, LEAKY_RELU, HARD_SWISH and the like; LOGISTIC, SOFTMAX and TANH have the scales that they must."""
        if opcode in ("LOGISTIC", "SOFTMAX"):
            options = schema.SoftmaxOptionsT(beta=1.0) if opcode == "SOFTMAX" else None
            return self.graph.unary(opcode, x, options, scale=1 / 256, zero_point=self.zero_point - 128)
        if opcode == "TANH":
            return self.graph.unary(opcode, x, scale=1 / 128, zero_point=self.zero_point)
        result = self._result(opcode.lower(), x.shape, x)
        self.graph.op(opcode, [x], [result], _BYTE_OPTIONS.get(opcode), version=1 if opcode == "HARD_SWISH" else 2)
        return result

    def prelu(self, x: Ref) -> Ref:
        alpha = self.builder.rng.integers(0, 127, (1, 1, x.shape[3])).astype(np.int8)
        result = self._result("prelu", x.shape, x)
        self.graph.op("PRELU", [x, self.graph.constant(f"alpha_{result.index}", alpha, 1 / 256)], [result])
        return result

    def times(self, x: Ref, factor: Ref) -> Ref:
        """MUL, of a map with as large a one or with a value for each channel or pixel."""
        return self.graph.binary("MUL", x, factor, schema.MulOptionsT(), scale=0.05, zero_point=self.zero_point)

    def mean(self, x: Ref, keep: bool = True) -> Ref:
        """Of all pixels."""
        shape = (x.shape[0], 1, 1, x.shape[3]) if keep else (x.shape[0], x.shape[3])
        result = self._result("mean", shape, x)
        axes = self._numbers([1, 2], result)
        self.graph.op("MEAN", [x, axes], [result], schema.ReducerOptionsT(keepDims=keep), version=2)
        return result

    def squeeze_excite(self, x: Ref, channels: int, gate: str = "LOGISTIC") -> Ref:
        y = self.convolution(self.mean(x), channels, 1)
        return self.times(x, self.pointwise(gate, self.convolution(y, x.shape[3], 1, activation="NONE")))

    def dense(self, x: Ref, count: int, activation: str = "NONE") -> Ref:
        """RESHAPE to one row, FULLY_CONNECTED."""
        values = int(np.prod(x.shape[1:]))
        flat = self.graph.reshape(x, [x.shape[0], values]) if len(x.shape) != 2 else x
        weights = self._weights((count, values), count, x)
        result = self._result("dense", (x.shape[0], count), x)
        options = schema.FullyConnectedOptionsT(fusedActivationFunction=getattr(ACTIVATION, activation))
        self.graph.op("FULLY_CONNECTED", [flat, *weights], [result], options, version=4)
        return result

    def pad(self, x: Ref, before: int, after: int) -> Ref:
        shape = (x.shape[0], *(n + before + after for n in x.shape[1:3]), x.shape[3])
        result = self._result("pad", shape, x)
        amounts = self._numbers([[0, 0], [before, after], [before, after], [0, 0]], result)
        self.graph.op("PAD", [x, amounts], [result], schema.PadOptionsT(), version=2)
        return result

    def shuffle(self, x: Ref, groups: int) -> Ref:
        """Channels in another order: RESHAPE, TRANSPOSE, RESHAPE."""
        shape = [*x.shape[:3], groups, x.shape[3] // groups]
        split = self.graph.reshape(x, shape)
        turned = self._result("transpose", (*x.shape[:3], shape[4], groups), x)
        order = self._numbers([0, 1, 2, 4, 3], turned)
        self.graph.op("TRANSPOSE", [split, order], [turned], schema.TransposeOptionsT(), version=2)
        return self.graph.reshape(turned, x.shape)

    def halves(self, x: Ref) -> tuple[Ref, Ref]:
        """SPLIT of the channels."""
        shape = (*x.shape[:3], x.shape[3] // 2)
        one, other = self._result("half", shape, x), self._result("other_half", shape, x)
        axis = self.graph.tensor(f"axis_{one.index}", (), "INT32", scale=0, data=np.array(3, np.int32))
        self.graph.op("SPLIT", [axis, x], [one, other], schema.SplitOptionsT(numSplits=2), version=2)
        return one, other

    def bilinear(self, x: Ref, height: int, width: int, half_pixels: bool = False) -> Ref:
        result = self._result("resize", (x.shape[0], height, width, x.shape[3]), x)
        size = self._numbers([height, width], result)
        options = schema.ResizeBilinearOptionsT(halfPixelCenters=half_pixels)
        self.graph.op("RESIZE_BILINEAR", [x, size], [result], options, version=3)
        return result

    def depth_to_space(self, x: Ref, block: int) -> Ref:
        shape = (x.shape[0], x.shape[1] * block, x.shape[2] * block, x.shape[3] // block**2)
        result = self._result("depth_to_space", shape, x)
        self.graph.op("DEPTH_TO_SPACE", [x], [result], schema.DepthToSpaceOptionsT(blockSize=block), version=2)
        return result

    def transposed(self, x: Ref, channels: int, kernel: int = 3, stride: int = 2) -> Ref:
        """TRANSPOSE_CONV."""
        shape = (x.shape[0], x.shape[1] * stride, x.shape[2] * stride, channels)
        result = self._result("transposed", shape, x)
        size = self._numbers(list(shape), result)
        weights, bias = self._weights((channels, kernel, kernel, x.shape[3]), channels, x)
        options = schema.TransposeConvOptionsT(padding=schema.Padding.SAME, strideH=stride, strideW=stride)
        self.graph.op("TRANSPOSE_CONV", [size, weights, x, bias], [result], options, version=3)
        return result

    def join_rows(self, parts: list[Ref]) -> Ref:
        """CONCATENATION of [1, n, values] along n."""
        shape = (1, sum(part.shape[1] for part in parts), parts[0].shape[2])
        result = self._result("joined", shape, parts[0])
        self.graph.op("CONCATENATION", parts, [result], schema.ConcatenationOptionsT(axis=1), version=2)
        return result

    def end(self, x: Ref, *, softmax: bool = False, floats: bool = False) -> None:
        """One of the outputs."""
        x = self.pointwise("SOFTMAX", x) if softmax else x
        self.graph.output(self.graph.dequantize(x) if floats else x)

    def done(self) -> bytes:
        return self.builder.build()

    def _numbers(self, values: Sequence[Any], of: Ref) -> Ref:
        return self.graph.constant(f"numbers_{of.index}", np.array(values, np.int32), 0)


def _pair(n: int | Pair) -> Pair:
    return n if isinstance(n, tuple) else (n, n)


def _size(x: Ref, kernel: Pair, stride: Pair, dilation: Pair, valid: bool) -> list[int]:
    lost = [(k - 1) * d if valid else 0 for k, d in zip(kernel, dilation, strict=True)]
    return [-(-(n - k) // s) for n, k, s in zip(x.shape[1:3], lost, stride, strict=True)]


def _window(stride: Pair, dilation: Pair, valid: bool, activation: str) -> dict[str, Any]:
    return {
        "padding": schema.Padding.VALID if valid else schema.Padding.SAME,
        "strideH": stride[0],
        "strideW": stride[1],
        "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1],
        "fusedActivationFunction": getattr(ACTIVATION, activation),
    }
