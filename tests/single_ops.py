"""Models of one quantized op with random shapes and adversarial numbers, to compare arithmetic with live runtimes.

    case = single_op("CONV_2D", seed)

Scales are usual, powers of two (ties), or such that multipliers exceed 1; zero points lie anywhere or at the ends of
the range; inputs are uniform, at the ends of the range, or near the zero point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import ACTIVATION, GraphBuilder, ModelBuilder, Ref
from single_float_ops import FLOAT_MAKERS, any_floats
from single_moves import MOVE_MAKERS
from single_pointwise_ops import POINTWISE_MAKERS

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID


@dataclass(frozen=True)
class SingleOp:
    """A model and inputs for it, in the graph's order."""

    content: bytes
    inputs: list[np.ndarray]


def single_op(opcode: str, seed: int, batch: int = 1) -> SingleOp:
    """A model whose only op is a random one of the given kind."""
    return Maker(opcode, seed, batch).case()


class Maker:
    def __init__(self, opcode: str, seed: int, batch: int) -> None:
        self.rng = np.random.default_rng([seed, *opcode.encode()])
        self.builder = ModelBuilder(seed)
        self.graph: GraphBuilder = self.builder.graph()
        self.opcode, self.batch = opcode, batch
        self.dtype = "UINT8" if self.rng.random() < 0.4 else "INT8"
        self.inputs: list[Ref] = []

    def case(self) -> SingleOp:
        made = _MAKERS[self.opcode](self)
        for ref in made if isinstance(made, list) else [made]:
            self.graph.output(ref)
        return SingleOp(self.builder.build(), [self._values(ref) for ref in self.inputs])

    # --- choices

    def integer(self, low: int, high: int) -> int:
        """Both ends included."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, *items: Any) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def scale(self, around: float = 0.05) -> float:
        spread = float(np.exp(self.rng.normal(0, 1.2)) * around)
        return float(np.float32(self.pick(spread, spread, 2.0 ** np.round(np.log2(spread)))))

    def zero_point(self, dtype: str | None = None) -> int:
        low = 0 if (dtype or self.dtype) == "UINT8" else -128
        return low + int(self.pick(0, 255, 128, self.integer(0, 255), self.integer(0, 255)))

    def activation(self) -> int:
        return getattr(ACTIVATION, self.pick("NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1"))

    def shape(self, most_channels: int = 40, most_side: int = 11) -> tuple[int, int, int, int]:
        channels = self.pick(self.integer(1, most_channels), self.integer(1, 8), 8, 16, 24)
        return self.batch, self.integer(1, most_side), self.integer(1, most_side), min(channels, most_channels)

    def input(self, shape: tuple[int, ...], dtype: str | None = None, **of: Any) -> Ref:
        own = dtype or self.dtype
        options = {"scale": self.scale(), "zero_point": self.zero_point(own), **of}
        ref = self.graph.input(f"x{len(self.inputs)}", shape, own, **options)
        self.inputs.append(ref)
        return ref

    def result(self, shape: tuple[int, ...], dtype: str | None = None, **of: Any) -> Ref:
        own = dtype or self.dtype
        options = {"scale": self.scale(), "zero_point": self.zero_point(own), **of}
        return self.graph.tensor("y", shape, own, **options)

    def results(self, x: Ref, shapes: list[tuple[int, ...]]) -> list[Ref]:
        """Several outputs with the quantization of an input."""
        return [self.graph.tensor(f"y{i}", shape, self.dtype, **self.same_as(x)) for i, shape in enumerate(shapes)]

    def numbers(self, name: str, values: Any) -> Ref:
        return self.graph.constant(name, np.array(values, np.int32), 0)

    def same_as(self, x: Ref) -> dict[str, Any]:
        return {"scale": x.scale, "zero_point": x.zero_point}

    def _values(self, ref: Ref) -> np.ndarray:
        if ref.dtype == "FLOAT32":
            is_quantized = self.graph.subgraph.tensors[-1].quantization is not None
            if is_quantized:
                return self._reals(ref)
            # What is found among NaNs depends on the runtime.
            finds = self.opcode in ("ARG_MAX", "ARG_MIN")
            return np.nan_to_num(any_floats(self.rng, ref.shape)) if finds else any_floats(self.rng, ref.shape)
        if ref.dtype in ("INT32", "INT64"):
            ends = np.iinfo(ref.dtype.lower())
            values = self.pick(
                self.rng.integers(-300, 300, ref.shape), self.rng.integers(ends.min, ends.max, ref.shape)
            )
            return np.asarray(values).astype(ref.dtype.lower())
        info = np.iinfo(ref.dtype.lower())
        uniform = self.rng.integers(info.min, info.max + 1, ref.shape)
        if uniform.size % 256 == 0:  # every value, so that functions of one value are compared on all
            uniform = self.rng.permutation(np.resize(np.arange(info.min, info.max + 1), uniform.size))
            uniform = uniform.reshape(ref.shape)
        ends = self.rng.choice([info.min, info.max], ref.shape)
        near = np.clip(np.rint(self.rng.normal(ref.zero_point, 4, ref.shape)), info.min, info.max)
        return np.asarray(self.pick(uniform, uniform, ends, near)).astype(ref.dtype.lower())

    def _reals(self, ref: Ref) -> np.ndarray:
        """Multiples of half a step of the output, a little beside them, and anything."""
        step = np.float32(self.graph.subgraph.tensors[-1].quantization.scale[0])
        halves = (self.rng.integers(-700, 700, ref.shape).astype(np.float32) / np.float32(2)) * step
        beside = np.nextafter(halves, np.float32(self.pick(-np.inf, np.inf)), dtype=np.float32)
        free = self.rng.normal(0, 100 * step, ref.shape).astype(np.float32)
        return np.asarray(self.pick(halves, beside, free, np.where(self.rng.random(ref.shape) < 0.5, halves, beside)))

    # --- weights

    def weights(self, shape: tuple[int, ...], axis: int, x: Ref) -> tuple[Ref, Ref | None, float]:
        """Weights, biases (or None) and a usual scale of the output."""
        channels = shape[axis]
        per_channel = self.dtype == "INT8" and self.rng.random() < 0.7
        zero = self.zero_point() if self.dtype == "UINT8" else 0
        scales = np.float32([self.scale(0.01) for _ in range(channels if per_channel else 1)])
        info = np.iinfo(self.dtype.lower())
        values = self.rng.integers(max(info.min, -127), info.max + 1, shape)
        if self.rng.random() < 0.2:
            values = self.rng.choice([max(info.min, -127), info.max], shape)
        ref = self.graph.tensor(
            "weights", shape, self.dtype, scale=scales, zero_point=zero, data=values.astype(self.dtype.lower())
        )
        self.graph.subgraph.tensors[ref.index].quantization.quantizedDimension = axis if per_channel else 0
        taps = values.size / channels
        biases = None
        if self.rng.random() < 0.9:
            data = np.rint(self.rng.normal(0, 3000 * np.sqrt(taps), channels)).astype(np.int32)
            biases = self.graph.tensor("bias", (channels,), "INT32", scale=scales * np.float32(x.scale), data=data)
        multiplier = self.pick(0.003, 0.01, 0.05, 0.3, 2.0) / np.sqrt(taps)
        return ref, biases, float(np.float32(x.scale * float(scales.max()) / multiplier))


def _axis(maker: Maker, size: int, kernels: tuple[int, ...]) -> tuple[int, int, int]:
    """Kernel, stride, dilation."""
    return maker.pick(*kernels), maker.pick(1, 1, 2, 3), maker.pick(1, 1, 1, 2, 3)


def _windows(
    maker: Maker, shape: tuple[int, ...], kernels: tuple[int, ...], dilated: bool = True
) -> tuple[list[tuple[int, int, int]], int, list[int]]:
    """Kernel, stride and dilation of rows and columns, the padding, and the output's size."""
    while True:
        axes = [_axis(maker, size, kernels) for size in shape[1:3]]
        if not dilated:
            axes = [(kernel, stride, 1) for kernel, stride, _ in axes]
        padding = maker.pick(SAME, SAME, VALID)
        sizes = []
        for size, (kernel, stride, dilation) in zip(shape[1:3], axes, strict=True):
            extent = (kernel - 1) * dilation + 1
            sizes.append(-(-size // stride) if padding == SAME else (size - extent + stride) // stride)
        if min(sizes) >= 1:
            return axes, padding, sizes


def _conv(maker: Maker) -> Ref:
    groups = maker.pick(1, 1, 1, 2, 3)
    batch, height, width, channels = maker.shape(24)
    x = maker.input((batch, height, width, channels * groups))
    axes, padding, sizes = _windows(maker, x.shape, (1, 1, 2, 3, 3, 5))
    outputs = groups * maker.integer(1, 20)
    filters, biases, scale = maker.weights((outputs, axes[0][0], axes[1][0], channels), 0, x)
    y = maker.result((batch, *sizes, outputs), scale=scale)
    options = schema.Conv2DOptionsT(
        padding=padding, strideH=axes[0][1], strideW=axes[1][1], dilationHFactor=axes[0][2],
        dilationWFactor=axes[1][2], fusedActivationFunction=maker.activation(),
    )  # fmt: skip
    maker.graph.op("CONV_2D", [x, filters, biases], [y], options, version=5)
    return y


def _depthwise(maker: Maker) -> Ref:
    x = maker.input(maker.shape())
    multiplier = maker.pick(1, 1, 1, 2, 3)
    axes, padding, sizes = _windows(maker, x.shape, (1, 2, 3, 3, 5, 7))
    outputs = x.shape[3] * multiplier
    stride = axes[0][1]  # TFLite's kernels know one stride and one dilation for both axes in part of their paths
    filters, biases, scale = maker.weights((1, axes[0][0], axes[1][0], outputs), 3, x)
    y = maker.result((x.shape[0], *sizes, outputs), scale=scale)
    options = schema.DepthwiseConv2DOptionsT(
        padding=padding, strideH=stride, strideW=axes[1][1], dilationHFactor=axes[0][2], dilationWFactor=axes[1][2],
        depthMultiplier=multiplier, fusedActivationFunction=maker.activation(),
    )  # fmt: skip
    maker.graph.op("DEPTHWISE_CONV_2D", [x, filters, biases], [y], options, version=6)
    return y


def _transpose_conv(maker: Maker) -> Ref:
    """Of any padding; with VALID, outputs of which no input knows are left out."""
    x = maker.input(maker.shape(24, 7))
    padding, stride = maker.pick(SAME, VALID), [maker.integer(1, 3) for _ in range(2)]
    kernel = [maker.pick(1, 2, 3, 3, 4, 5) for _ in range(2)]
    sizes = []
    for size, taps, step in zip(x.shape[1:3], kernel, stride, strict=True):
        least = (size - 1) * step + (1 if padding == SAME else taps)
        sizes.append(maker.integer(least, size * step) if padding == SAME else least)
    channels = maker.pick(maker.integer(1, 24), 8, 16)
    filters, biases, scale = maker.weights((channels, *kernel, x.shape[3]), 0, x)
    y = maker.result((maker.batch, *sizes, channels), scale=scale)
    operands = [maker.numbers("shape", y.shape), filters, x, *([biases] if biases is not None else [])]
    options = schema.TransposeConvOptionsT(
        padding=padding, strideH=stride[0], strideW=stride[1], fusedActivationFunction=maker.activation()
    )
    maker.graph.op("TRANSPOSE_CONV", operands, [y], options, version=4)
    return y


def _fully_connected(maker: Maker) -> Ref:
    inputs, outputs = maker.integer(1, 200), maker.integer(1, 60)
    x = maker.input((maker.batch, inputs))
    filters, biases, scale = maker.weights((outputs, inputs), 0, x)
    y = maker.result((maker.batch, outputs), scale=scale)
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=maker.activation())
    maker.graph.op("FULLY_CONNECTED", [x, filters, biases], [y], options, version=5)
    return y


def _mean(maker: Maker) -> Ref:
    opcode, *dtype = maker.opcode.split(" of ")
    maker.dtype = dtype[0].upper() if dtype else maker.dtype
    shape, axes = maker.shape(70, 15), maker.pick([1, 2], [1, 2], [2, 1], [2, 1], [-3, -2], [1], [2], [-2])
    if maker.rng.random() < 0.1:
        shape, axes = (shape[0], *shape[2:]), [1]
    x = maker.input(shape)
    keep = bool(maker.integer(0, 1))
    reduced = [axis % len(x.shape) for axis in axes]
    keep = keep or reduced == [2]
    constant = maker.numbers("axes", axes)
    times = maker.pick(2, 8, 30) if opcode == "SUM" else maker.pick(0.1, 0.5, 1, 2)
    own = maker.same_as(x) if maker.rng.random() < 0.2 else {"scale": maker.scale(x.scale * times)}
    if opcode == "REDUCE_MAX":
        own = maker.same_as(x)
    sizes = [1 if axis in reduced else size for axis, size in enumerate(x.shape)]
    y = maker.result(tuple(s for axis, s in enumerate(sizes) if keep or axis not in reduced), **own)
    maker.graph.op(opcode, [x, constant], [y], schema.ReducerOptionsT(keepDims=keep), version=2)
    return y


def _pool(maker: Maker) -> Ref:
    x = maker.input(maker.shape(70))
    axes, padding, sizes = _windows(maker, x.shape, (1, 2, 3, 4, 7), dilated=False)
    y = maker.result((x.shape[0], *sizes, x.shape[3]), **maker.same_as(x))
    options = schema.Pool2DOptionsT(
        padding=padding, strideH=axes[0][1], strideW=axes[1][1], filterHeight=axes[0][0], filterWidth=axes[1][0],
        fusedActivationFunction=maker.activation(),
    )  # fmt: skip
    maker.graph.op(maker.opcode, [x], [y], options, version=2)
    return y


def _quantize(maker: Maker) -> Ref:
    x = maker.input(maker.shape(20), "FLOAT32")
    y = maker.result(x.shape)
    maker.graph.op("QUANTIZE", [x], [y], schema.QuantizeOptionsT(), version=2)
    return y


def _requantize(maker: Maker) -> Ref:
    source = maker.pick("INT8", "UINT8")
    x = maker.input((maker.batch, 5, 16, 16), source)
    own = maker.pick({"scale": x.scale}, {"scale": maker.scale(x.scale)}, {"scale": maker.scale(x.scale * 0.1)})
    y = maker.result(x.shape, **own)
    maker.graph.op("QUANTIZE", [x], [y], schema.QuantizeOptionsT(), version=2)
    return y


def _concatenation(maker: Maker) -> Ref:
    axis = maker.pick(1, 2, 3, 3)
    a = maker.input(maker.shape(20, 7))
    operands, rescales = [a], maker.dtype == "UINT8" and maker.rng.random() < 0.5
    for _ in range(maker.integer(1, 3)):
        shape = (*a.shape[:axis], maker.integer(1, 20 if axis == 3 else 5), *a.shape[axis + 1 :])
        operands.append(maker.input(shape, **({} if rescales else maker.same_as(a))))
    shape = (*a.shape[:axis], sum(o.shape[axis] for o in operands), *a.shape[axis + 1 :])
    y = maker.result(shape, **({} if rescales else maker.same_as(a)))
    options = schema.ConcatenationOptionsT(axis=maker.pick(axis, axis - 4))
    maker.graph.op("CONCATENATION", operands, [y], options, version=2)
    return y


def _resize(maker: Maker) -> Ref:
    x = maker.input(maker.shape(20))
    size = maker.pick(
        (maker.integer(1, 24), maker.integer(1, 24)), (2 * x.shape[1], 2 * x.shape[2]), (8 * x.shape[1], 8 * x.shape[2])
    )
    aligned, half = maker.pick((False, False), (True, False), (False, True))
    y = maker.result((x.shape[0], *size, x.shape[3]), **maker.same_as(x))
    target = maker.graph.constant("size", np.array(size, np.int32), 0)
    kind = schema.ResizeBilinearOptionsT if maker.opcode == "RESIZE_BILINEAR" else schema.ResizeNearestNeighborOptionsT
    maker.graph.op(maker.opcode, [x, target], [y], kind(alignCorners=aligned, halfPixelCenters=half), version=3)
    return y


def _arg_max(maker: Maker) -> Ref:
    whole = maker.shape()
    places = (whole[0], whole[1] * whole[2], whole[3])
    shape, axis, dtype = maker.pick((whole, 3, maker.dtype), (places, 1, maker.dtype), (places, 1, "FLOAT32"))
    x = maker.input(shape, dtype)
    kind = maker.pick("INT32", "INT64")
    y = maker.graph.tensor("y", (*shape[:axis], *shape[axis + 1 :]), kind, scale=0)
    axis = maker.graph.constant("axis", np.array(maker.pick(axis, axis - len(shape), [axis]), np.int32), 0)
    options = schema.ArgMaxOptionsT() if maker.opcode == "ARG_MAX" else schema.ArgMinOptionsT()
    options.outputType = getattr(schema.TensorType, kind)
    maker.graph.op(maker.opcode, [x, axis], [y], options, version=2)
    return y


_MAKERS: dict[str, Callable[[Maker], Ref | list[Ref]]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose_conv,
    "FULLY_CONNECTED": _fully_connected,
    "MEAN": _mean,
    "SUM of int8": _mean,
    "SUM of uint8": _mean,
    "REDUCE_MAX": _mean,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "QUANTIZE": _quantize,
    "QUANTIZE of 8 bits": _requantize,
    "CONCATENATION": _concatenation,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "ARG_MAX": _arg_max,
    "ARG_MIN": _arg_max,
    **MOVE_MAKERS,
    **POINTWISE_MAKERS,
    **FLOAT_MAKERS,
}
OPCODES = tuple(_MAKERS)
