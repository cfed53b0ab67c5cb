"""A network built as MoveNet Lightning is: a uint8 image, MobileNetV2 with a pyramid, four heads, decoding in float32.

    content = pose_network()

The shapes are those of the real one (192 x 192, heads of 48 x 48, 17 keypoints); weights are random. The decoding has
the parts that regions leave alone: ARG_MAX over positions, FLOOR_DIV and GATHER_ND.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import ACTIVATION, GraphBuilder, ModelBuilder, Ref

_KEYPOINTS, _SIDE = 17, 48
# Of MobileNetV2's blocks: expansion, channels, how often, stride of the first.
_BLOCKS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def pose_network(dtype: str = "INT8") -> bytes:
    """The model; its output is [1, 17, 2], rows and columns of the keypoints.

    Args:
      dtype: of the quantized part, "INT8" or "UINT8".
    """
    return _PoseNetwork(dtype).build()


class _PoseNetwork:
    def __init__(self, dtype: str) -> None:
        self.builder = ModelBuilder(1)
        self.graph: GraphBuilder = self.builder.graph()
        self.dtype, self.zero = dtype, -128 if dtype == "INT8" else 0
        self.count = 0

    def build(self) -> bytes:
        image = self.graph.input("image", (1, 192, 192, 3), "UINT8", scale=1.0)
        numbers = self._float("CAST", [image], image.shape, schema.CastOptionsT(schema.TensorType.UINT8))
        centered = self._binary("SUB", numbers, self._constant(np.full((), 127.5)))
        scaled = self._binary("MUL", centered, self._constant(np.full((), 1 / 127.5)))
        x = self.graph.quantize(scaled, self.dtype, scale=1 / 128, zero_point=self.zero + 128)
        features = self._pyramid(*self._backbone(x))
        center, regression, heatmap, offsets = (self._head(features, n) for n in (1, 34, _KEYPOINTS, 34))
        self.graph.output(self._decode(center, regression, heatmap, offsets))
        return self.builder.build()

    # --- the quantized part

    def _conv(self, x: Ref, channels: int, kernel: int = 1, stride: int = 1, relu: bool = True) -> Ref:
        own = {"scale": 6 / 255, "zero_point": self.zero} if relu else {"scale": 0.05, "zero_point": self.zero + 128}
        return self.graph.conv(x, channels, kernel, stride, "RELU6" if relu else "NONE", **own)

    def _depthwise(self, x: Ref, stride: int = 1) -> Ref:
        _, height, width, channels = x.shape
        rng, name = self.builder.rng, self._name("depthwise")
        values = rng.integers(-127, 128, (1, 3, 3, channels)).astype(x.dtype.lower())
        weights = self.graph.constant(f"{name}/weights", values, 0.01)
        bias = self.graph.constant(f"{name}/bias", np.zeros(channels, np.int32), x.scale * 0.01)
        shape = (1, -(-height // stride), -(-width // stride), channels)
        result = self.graph.tensor(name, shape, self.dtype, scale=6 / 255, zero_point=self.zero)
        options = schema.DepthwiseConv2DOptionsT(
            strideW=stride, strideH=stride, depthMultiplier=1, fusedActivationFunction=ACTIVATION.RELU6
        )
        self.graph.op("DEPTHWISE_CONV_2D", [x, weights, bias], [result], options, version=3)
        return result

    def _backbone(self, x: Ref) -> list[Ref]:
        """Maps of 48, 24, 12 and 6 rows."""
        x, found = self._conv(x, 32, 3, 2), {}
        for expansion, channels, times, stride in _BLOCKS:
            for number in range(times):
                inner = x if expansion == 1 else self._conv(x, expansion * x.shape[3])
                y = self._conv(self._depthwise(inner, stride if number == 0 else 1), channels, relu=False)
                x = self.graph.add(x, y, scale=0.05, zero_point=self.zero + 128) if y.shape == x.shape else y
            found[x.shape[1]] = x
        return [found[side] for side in (48, 24, 12, 6)]

    def _pyramid(self, *maps: Ref) -> Ref:
        x = self._conv(maps[-1], 64, relu=False)
        for lateral, channels in zip(maps[-2::-1], (64, 32, 24), strict=True):
            size = self.graph.constant(self._name("size"), np.array(lateral.shape[1:3], np.int32), 0)
            large = self.graph.tensor(self._name("resized"), (*lateral.shape[:3], x.shape[3]), self.dtype,
                                      scale=x.scale, zero_point=x.zero_point)  # fmt: skip
            options = schema.ResizeBilinearOptionsT(halfPixelCenters=True)
            self.graph.op("RESIZE_BILINEAR", [x, size], [large], options, version=3)
            total = self.graph.add(large, self._conv(lateral, x.shape[3], relu=False), scale=0.05,
                                   zero_point=self.zero + 128)  # fmt: skip
            x = self._conv(self._depthwise(total), channels)
        return x

    def _head(self, x: Ref, channels: int) -> Ref:
        return self._conv(self._conv(self._depthwise(x), 96), channels, relu=False)

    # --- the float part

    def _name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"

    def _constant(self, values: np.ndarray) -> Ref:
        return self.graph.tensor(self._name("constant"), values.shape, "FLOAT32", data=values.astype(np.float32))

    def _numbers(self, values: Any) -> Ref:
        return self.graph.constant(self._name("numbers"), np.array(values, np.int32), 0)

    def _float(self, opcode: str, inputs: list[Ref], shape: tuple[int, ...], options: Any = None) -> Ref:
        result = self.graph.tensor(self._name(opcode.lower()), shape, "FLOAT32")
        self.graph.op(opcode, inputs, [result], options)
        return result

    def _binary(self, opcode: str, a: Ref, b: Ref) -> Ref:
        options = getattr(schema, opcode.capitalize() + "OptionsT")()
        return self._float(opcode, [a, b], np.broadcast_shapes(a.shape, b.shape), options)

    def _integers(self, opcode: str, inputs: list[Ref], shape: tuple[int, ...], options: Any = None) -> Ref:
        result = self.graph.tensor(self._name(opcode.lower()), shape, "INT32", scale=0)
        self.graph.op(opcode, inputs, [result], options)
        return result

    def _probabilities(self, x: Ref) -> Ref:
        numbers = self._float("DEQUANTIZE", [x], x.shape, schema.DequantizeOptionsT())
        return self._float("LOGISTIC", [numbers], x.shape)

    def _rows_and_columns(self, scores: Ref) -> list[Ref]:
        """Of the greatest score of each channel, int32 [1, channels]."""
        channels = scores.shape[3]
        flat = self.graph.reshape(scores, (1, _SIDE * _SIDE, channels))
        options = schema.ArgMaxOptionsT(outputType=schema.TensorType.INT32)
        place = self._integers("ARG_MAX", [flat, self._numbers(1)], (1, channels), options)
        side = self._numbers(_SIDE)
        row = self._integers("FLOOR_DIV", [place, side], place.shape, schema.FloorDivOptionsT())
        return [row, self._integers("FLOOR_MOD", [place, side], place.shape, schema.FloorModOptionsT())]

    def _gather(self, x: Ref, places: list[Ref]) -> Ref:
        """The pixels [1, n, channels] at places int32 [1, n] of rows and columns, as float32."""
        count = places[0].shape[1]
        options = schema.PackOptionsT(valuesCount=3, axis=2)
        triples = self._integers("PACK", [self._numbers([[0] * count]), *places], (1, count, 3), options)
        found = self.graph.tensor(self._name("gather_nd"), (1, count, x.shape[3]), self.dtype, scale=x.scale,
                                  zero_point=x.zero_point)  # fmt: skip
        self.graph.op("GATHER_ND", [x, triples], [found], schema.GatherNdOptionsT(), version=2)
        return self._float("DEQUANTIZE", [found], found.shape, schema.DequantizeOptionsT())

    def _slice(self, x: Ref, begin: list[int], size: list[int]) -> Ref:
        numbers = [self._numbers(begin), self._numbers(size)]
        return self._float("SLICE", [x, *numbers], tuple(size), schema.SliceOptionsT())

    def _distances(self, coarse: Ref) -> Ref:
        """Of each position from each keypoint [1, 1, 2, 17], plus something."""
        squares = []
        for axis in (0, 1):
            place = self._slice(coarse, [0, 0, axis, 0], [1, 1, 1, _KEYPOINTS])
            line = np.arange(_SIDE).reshape((1, _SIDE, 1, 1) if axis == 0 else (1, 1, _SIDE, 1))
            away = self._binary("SUB", self._constant(np.broadcast_to(line, (1, _SIDE, _SIDE, 1))), place)
            squares.append(self._binary("MUL", away, away))
        total = self._binary("ADD", *squares)
        root = self._float("SQRT", [total], total.shape)
        return self._binary("ADD", root, self._constant(np.full((), 1.8)))

    def _decode(self, center: Ref, regression: Ref, heatmap: Ref, offsets: Ref) -> Ref:
        weight = self._constant(self.builder.rng.uniform(0.5, 1, (1, _SIDE, _SIDE, 1)))
        places = self._rows_and_columns(self._binary("MUL", self._probabilities(center), weight))
        coarse = self.graph.reshape(self._gather(regression, places), (1, 1, 2, _KEYPOINTS))
        fine = self._rows_and_columns(self._binary("DIV", self._probabilities(heatmap), self._distances(coarse)))
        moved = self._slice(self._gather(offsets, fine), [0, 0, 0], [1, _KEYPOINTS, 2])
        options = schema.PackOptionsT(valuesCount=2, axis=2)
        whole = self._integers("PACK", fine, (1, _KEYPOINTS, 2), options)
        cast = schema.CastOptionsT(schema.TensorType.INT32)
        return self._binary("ADD", self._float("CAST", [whole], whole.shape, cast), moved)
