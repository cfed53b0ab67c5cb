"""Random quantized networks: DAGs of the ops that regions know, of any shape, stride, padding and quantization.

    content = random_network(seed)

Small maps, so that hundreds run in a gate. Every network runs in the stock interpreters under all kernels; what is
random is all else: branches, skips, several outputs, SAME and VALID, dilations, groups, multipliers, activations,
per-channel and per-tensor weights, zero points at the ends of the range, int8 and uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import ACTIVATION, GraphBuilder, ModelBuilder, Ref
from random_floats import FloatParts
from random_moves import Moves
from random_pointwise import PointwiseParts

_MOST_SIDE, _MOST_CHANNELS, _MOST_VALUES = 14, 40, 4096


def random_network(seed: int, batch: int = 1) -> bytes:
    """A model of 2 to 16 ops."""
    return _Network(seed, batch).build()


class _Network(Moves):
    def __init__(self, seed: int, batch: int) -> None:
        self.builder = ModelBuilder(seed)
        self.graph: GraphBuilder = self.builder.graph()
        self.rng = np.random.default_rng([seed, 1])
        self.batch = batch
        self.dtype = "UINT8" if self.rng.random() < 0.3 else "INT8"
        self.live: list[Ref] = []
        self.read: set[int] = set()
        self.count = 0
        tools = self._name, self._tensor, self._constants, self._quantization, self._activation
        self.pointwise = PointwiseParts(self.graph, self.rng, self.dtype, *tools)
        self.floats = FloatParts(self.graph, self.rng, self._name, self._tensor)

    def build(self) -> bytes:
        self._input("x")
        if self.rng.random() < 0.2:
            self._input("y")
        inputs = len(self.live)
        for _ in range(int(self.rng.integers(2, 17))):
            makers = self._makers()
            weights = np.array([weight for _, weight in makers], float)
            make = makers[int(self.rng.choice(len(makers), p=weights / weights.sum()))][0]
            made = make()
            self.live += made if isinstance(made, list) else [made]
        last = [ref for ref in self.live if ref.index not in self.read]
        for ref in self.live[inputs:]:
            if ref in last or self.rng.random() < 0.06:
                self.graph.output(self._tail(ref) if ref in last else ref)
        return self.builder.build()

    # --- choices ------------------------------------------------------------------------------------------------------

    def _makers(self) -> list[tuple[Callable[[], Ref | list[Ref]], float]]:
        makers: list[tuple[Callable[[], Ref | list[Ref]], float]] = [
            (self._conv, 6.0),
            (self._depthwise, 4.0),
            (self._pool, 1.5),
            (self._pad, 1.0),
            *self._moves(),
            (self._requantize, 0.7),
            (self._resize, 1.0),
            (self._concatenate, 1.2),
            (lambda: self.pointwise.table(self._pick()), 2.0),
            (lambda: self.pointwise.squeeze_and_excite(self._pick()), 1.0),
            (lambda: self.pointwise.prelu(self._pick()), 0.5),
            (self._float_arithmetic, 1.0),
        ]
        if self._pairs():
            makers += [(self._add, 4.0), (self._pair, 3.0)]
        return makers

    def _pick(self) -> Ref:
        """A map, the newest ones more often."""
        age = int(min(self.rng.geometric(0.55), len(self.live)))
        return self._reads(self.live[-age])

    def _reads(self, ref: Ref) -> Ref:
        self.read.add(ref.index)
        return ref

    def _pairs(self) -> list[tuple[Ref, Ref]]:
        recent = self.live[-6:]
        return [(a, b) for a in recent for b in recent if a.shape == b.shape and a.index <= b.index]

    def _range(self) -> tuple[int, int]:
        return (0, 255) if self.dtype == "UINT8" else (-128, 127)

    def _quantization(self) -> dict[str, Any]:
        low, high = self._range()
        ends = (low, high, (low + high + 1) // 2)
        zero = int(self.rng.choice(ends)) if self.rng.random() < 0.5 else int(self.rng.integers(low, high + 1))
        return {"scale": float(np.float32(2.0 ** self.rng.uniform(-7, -2))), "zero_point": zero}

    def _activation(self) -> int:
        return int(getattr(ACTIVATION, str(self.rng.choice(["NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1"]))))

    def _name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"

    def _tensor(self, kind: str, shape: Sequence[int], like: Ref | None = None) -> Ref:
        quantization = self._quantization()
        if like is not None:
            quantization = {"scale": like.scale, "zero_point": like.zero_point}
        return self.graph.tensor(self._name(kind), shape, self.dtype, **quantization)

    def _window(
        self, height: int, width: int, dilations: bool = True
    ) -> tuple[list[int], dict[str, int], tuple[int, int]]:
        """Kernel, options and output size of a window that fits."""
        kernel, stride, dilation, padding, size = [1, 1], [1, 1], [1, 1], schema.Padding.SAME, [height, width]
        stride = [int(self.rng.choice([1, 1, 1, 2, 3]))] * 2
        if self.rng.random() < 0.1:
            stride[1] = 3 - min(stride[1], 2)
        kernel = [int(self.rng.choice([1, 2, 3, 3, 5, 7])) for _ in range(2)] if self.rng.random() < 0.7 else [1, 1]
        if dilations and stride == [1, 1] and self.rng.random() < 0.3:
            dilation = [int(self.rng.integers(1, 4)) for _ in range(2)]
        extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        if self.rng.random() < 0.35 and extent[0] <= height and extent[1] <= width:
            padding = schema.Padding.VALID
            size = [(n - e) // s + 1 for n, e, s in zip((height, width), extent, stride, strict=True)]
        else:
            size = [-(-n // s) for n, s in zip((height, width), stride, strict=True)]
        options = {"padding": padding, "strideH": stride[0], "strideW": stride[1]}
        if dilations:
            options |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
        return kernel, options, (size[0], size[1])

    def _constants(self, shape: Sequence[int], channels: int, axis: int, x: Ref) -> list[Ref]:
        """Weights and biases whose products with the input stay in a useful range of the output."""
        rng = self.rng
        weights_dtype = "UINT8" if self.dtype == "UINT8" else "INT8"
        per_channel = self.dtype == "INT8" and rng.random() < 0.8
        scales = np.float32(2.0 ** rng.uniform(-9, -4, channels if per_channel else 1))
        low, high = (0, 256) if weights_dtype == "UINT8" else (-127, 128)
        values = rng.integers(low, high, shape).astype(weights_dtype.lower())
        zero = int(rng.integers(0, 256)) if weights_dtype == "UINT8" else 0
        name = self._name("weights")
        filters = self.graph.tensor(name, shape, weights_dtype, scale=scales, zero_point=zero, data=values)
        if per_channel:
            self.graph.subgraph.tensors[filters.index].quantization.quantizedDimension = axis
        bias = rng.integers(-3000, 3000, channels).astype(np.int32)
        bias_scale = np.float32(x.scale) * scales
        return [filters, self.graph.tensor(f"{name}/bias", (channels,), "INT32", scale=bias_scale, data=bias)]

    # --- ops ----------------------------------------------------------------------------------------------------------

    def _input(self, name: str) -> None:
        height, width, channels = (int(self.rng.integers(1, n)) for n in (_MOST_SIDE, _MOST_SIDE, 9))
        shape = (self.batch, height + 2, width + 2, channels)
        kind = self.rng.random()
        if kind < 0.15:
            ref = self._planes(name, shape)
        elif kind < 0.3:
            image = self.graph.input(name, shape, "FLOAT32")
            ref = self._tensor("quantized", shape)
            self.graph.op("QUANTIZE", [image], [ref], schema.QuantizeOptionsT(), version=1)
        elif kind < 0.4:
            ref = self.floats.image_input(name, shape)
        else:
            ref = self.graph.input(name, shape, self.dtype, **self._quantization())
        self.live.append(ref)

    def _float_arithmetic(self) -> Ref:
        return self.floats.arithmetic(self._pick())

    def _conv(self) -> Ref:
        x = self._pick()
        _, height, width, depth = x.shape
        kernel, options, size = self._window(height, width)
        groups = int(self.rng.choice([g for g in (1, 1, 1, 2, 3, 4) if depth % g == 0]))
        if self.dtype == "UINT8":
            groups = 1
        channels = int(self.rng.integers(1, _MOST_CHANNELS // groups)) * groups
        constants = self._constants((channels, *kernel, depth // groups), channels, 0, x)
        result = self._tensor("conv", (self.batch, *size, channels))
        fused = self._activation()
        self.graph.op("CONV_2D", [x, *constants], [result],
                      schema.Conv2DOptionsT(**options, fusedActivationFunction=fused), version=3)  # fmt: skip
        return result

    def _depthwise(self) -> Ref:
        x = self._pick()
        _, height, width, depth = x.shape
        kernel, options, size = self._window(height, width)
        options["strideW"] = options["strideH"]  # the runtimes' depthwise kernels want them equal
        same = options["padding"] == schema.Padding.SAME
        extent = [(k - 1) * options[d] + 1 for k, d in zip(kernel, ("dilationHFactor", "dilationWFactor"), strict=True)]
        size = tuple(-(-n // options["strideH"]) if same else (n - e) // options["strideH"] + 1
                     for n, e in zip((height, width), extent, strict=True))  # fmt: skip
        multiplier = int(self.rng.choice([1, 1, 1, 2, 3])) if depth <= 12 else 1
        channels = depth * multiplier
        constants = self._constants((1, *kernel, channels), channels, 3, x)
        result = self._tensor("depthwise", (self.batch, *size, channels))
        fused = self._activation()
        self.graph.op("DEPTHWISE_CONV_2D", [x, *constants], [result],
                      schema.DepthwiseConv2DOptionsT(**options, depthMultiplier=multiplier,
                                                     fusedActivationFunction=fused), version=3)  # fmt: skip
        return result

    def _add(self) -> Ref:
        pairs = self._pairs()
        a, b = (self._reads(ref) for ref in pairs[int(self.rng.integers(len(pairs)))])
        result = self._tensor("add", a.shape)
        fused = self._activation()
        self.graph.op("ADD", [a, b], [result], schema.AddOptionsT(fusedActivationFunction=fused), version=2)
        return result

    def _pair(self) -> Ref:
        pairs = self._pairs()
        a, b = (self._reads(ref) for ref in pairs[int(self.rng.integers(len(pairs)))])
        return self.pointwise.pair(a, b)

    def _pool(self) -> Ref:
        x = self._pick()
        _, height, width, depth = x.shape
        opcode = str(self.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
        kernel, options, size = self._window(height, width, dilations=False)
        if self.rng.random() < 0.2:
            kernel, size = [height, width], (1, 1)
            options = {"padding": schema.Padding.VALID, "strideH": height, "strideW": width}
        result = self._tensor("pool", (self.batch, *size, depth), like=x)
        fused = self._activation()
        options |= {"filterHeight": kernel[0], "filterWidth": kernel[1]}
        self.graph.op(opcode, [x], [result], schema.Pool2DOptionsT(**options, fusedActivationFunction=fused), version=2)
        return result

    def _pad(self) -> Ref:
        x = self._pick()
        pads = np.zeros((4, 2), np.int32)
        pads[1:3] = self.rng.integers(0, 4, (2, 2))
        if self.rng.random() < 0.3:
            pads[3] = self.rng.integers(0, 5, 2)
        result = self._tensor("pad", tuple(int(n) for n in np.array(x.shape) + pads.sum(axis=1)), like=x)
        constant = self.graph.tensor(self._name("paddings"), (4, 2), "INT32", scale=0, data=pads)
        self.graph.op("PAD", [x, constant], [result], schema.PadOptionsT(), version=2)
        return result

    def _requantize(self) -> Ref:
        x = self._pick()
        result = self._tensor("quantize", x.shape)
        self.graph.op("QUANTIZE", [x], [result], schema.QuantizeOptionsT(), version=2)
        return result

    def _resize(self) -> Ref:
        x = self._pick()
        size = [int(self.rng.integers(1, _MOST_SIDE + 4)) for _ in range(2)]
        nearest = self.rng.random() < 0.5
        corners, centers = [(False, False), (True, False), (False, True)][int(self.rng.integers(3))]
        result = self._tensor("resize", (self.batch, *size, x.shape[3]), like=x)
        values = np.array(size, np.int32)
        constant = self.graph.tensor(self._name("size"), (2,), "INT32", scale=0, data=values)
        kind = schema.ResizeNearestNeighborOptionsT if nearest else schema.ResizeBilinearOptionsT
        opcode = "RESIZE_NEAREST_NEIGHBOR" if nearest else "RESIZE_BILINEAR"
        self.graph.op(opcode, [x, constant], [result], kind(alignCorners=corners, halfPixelCenters=centers), version=3)
        return result

    def _concatenate(self) -> Ref:
        """Of one map and convolutions of it that share its scale, as the runtimes ask for."""
        x = self._pick()
        parts = [x]
        for _ in range(int(self.rng.integers(1, 3))):
            channels = int(self.rng.integers(1, 9))
            result = self._tensor("branch", (*x.shape[:3], channels), like=x)
            constants = self._constants((channels, 1, 1, x.shape[3]), channels, 0, x)
            self.graph.op("CONV_2D", [x, *constants], [result],
                          schema.Conv2DOptionsT(strideH=1, strideW=1), version=3)  # fmt: skip
            parts.append(result)
        order = [parts[i] for i in self.rng.permutation(len(parts))]
        result = self._tensor("concatenation", (*x.shape[:3], sum(p.shape[3] for p in parts)), like=x)
        self.graph.op("CONCATENATION", order, [result], schema.ConcatenationOptionsT(axis=3), version=2)
        return result

    def _arg_max(self, x: Ref) -> Ref:
        kind = str(self.rng.choice(["INT32", "INT64"]))
        result = self.graph.tensor(self._name("arg_max"), x.shape[:3], kind, scale=0)
        axis = self.graph.tensor(self._name("axis"), (1,), "INT32", scale=0, data=np.array([-1], np.int32))
        least = self.rng.random() < 0.3
        options = schema.ArgMinOptionsT() if least else schema.ArgMaxOptionsT()
        options.outputType = getattr(schema.TensorType, kind)
        self.graph.op("ARG_MIN" if least else "ARG_MAX", [x, axis], [result], options, version=2)
        return result

    def _tail(self, x: Ref) -> Ref:
        """Sometimes a segmentation's or a classifier's end: a mean or a reshape, and a fully connected op."""
        if len(x.shape) == 4 and self.rng.random() < 0.08:
            return self._arg_max(x)
        if self.rng.random() < 0.1:
            return self.floats.float_map(x)
        if self.rng.random() < 0.4 or np.prod(x.shape[1:]) > _MOST_VALUES:
            return x
        if self.rng.random() < 0.6:
            keep = bool(self.rng.random() < 0.5)
            shape = (self.batch, 1, 1, x.shape[3]) if keep else (self.batch, x.shape[3])
            mean = self._tensor("mean", shape)
            axes = self.graph.tensor(self._name("axes"), (2,), "INT32", scale=0, data=np.array([1, 2], np.int32))
            opcode = str(self.rng.choice(["MEAN", "MEAN", "SUM", "REDUCE_MAX"]))
            if opcode == "REDUCE_MAX":
                mean = self._tensor("maximum", shape, like=x)
            self.graph.op(opcode, [x, axes], [mean], schema.ReducerOptionsT(keepDims=keep), version=2)
            x = mean
            if self.rng.random() < 0.4:
                return x
        flat = x
        if len(x.shape) == 4:
            shape = (self.batch, int(np.prod(x.shape[1:])))
            flat = self._tensor("flat", shape, like=x)
            values = np.array(shape, np.int32)
            constant = self.graph.tensor(self._name("shape"), (2,), "INT32", scale=0, data=values)
            self.graph.op("RESHAPE", [x, constant], [flat], schema.ReshapeOptionsT(values))
        channels = int(self.rng.integers(1, 20))
        weights, bias = self._constants((channels, flat.shape[1]), channels, 0, flat)
        result = self._tensor("scores", (self.batch, channels))
        fused = self._activation()
        self.graph.op("FULLY_CONNECTED", [flat, weights, bias], [result],
                      schema.FullyConnectedOptionsT(fusedActivationFunction=fused), version=4)  # fmt: skip
        return result
