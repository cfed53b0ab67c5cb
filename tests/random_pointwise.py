"""Parts of random networks that compute each value by itself: functions of one value, of two, squeeze-and-excite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import ACTIVATION, GraphBuilder, Ref

_TABLES = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH")
_FIRST_VERSIONS = ("HARD_SWISH", "RELU_N1_TO_1", "RELU_0_TO_1")  # the others know int8 from version 2 on


@dataclass(frozen=True)
class PointwiseParts:
    """Adds them to a graph.

    Attributes:
      dtype: of all 8-bit tensors.
      name: makes a name of a kind of tensor.
      tensor: makes a tensor of a kind and shape, with another's quantization if there is a third argument.
      weights: makes weights and biases of a shape, output channels, axis and input.
      quantization: makes a scale and a zero point.
      activation: makes a fused activation.
    """

    graph: GraphBuilder
    rng: np.random.Generator
    dtype: str
    name: Callable[[str], str]
    tensor: Callable[..., Ref]
    weights: Callable[[Sequence[int], int, int, Ref], list[Ref]]
    quantization: Callable[[], dict[str, Any]]
    activation: Callable[[], int]

    def table(self, x: Ref) -> Ref:
        """A function of one value."""
        return self._table(str(self.rng.choice(_TABLES)), x)

    def _table(self, opcode: str, x: Ref) -> Ref:
        result = self.tensor(opcode.lower(), x.shape)
        if opcode in ("LOGISTIC", "TANH"):
            low = 0 if self.dtype == "UINT8" else -128
            own = {"scale": 1 / 256, "zero_point": low} if opcode == "LOGISTIC" else {"scale": 1 / 128}
            own.setdefault("zero_point", low + 128)
            result = self.graph.tensor(self.name(opcode.lower()), x.shape, self.dtype, **own)
        options = None
        if opcode == "LEAKY_RELU":
            options = schema.LeakyReluOptionsT(alpha=float(np.float32(self.rng.choice([0.01, 0.1, 0.3, 1.25]))))
        elif opcode == "HARD_SWISH":
            options = schema.HardSwishOptionsT()
        self.graph.op(opcode, [x], [result], options, version=1 if opcode in _FIRST_VERSIONS else 2)
        return result

    def pair(self, a: Ref, b: Ref) -> Ref:
        """Of two maps, a map and constants, or a map and one channel of its size."""
        kind = self.rng.random()
        if kind < 0.3:
            b = self._values((a.shape[3],) if self.rng.random() < 0.7 else (1,))
            return self._combine(str(self.rng.choice(["ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"])), a, b)
        if kind < 0.45:
            b = self._conv(a, 1)
            return self._combine(str(self.rng.choice(["MUL", "MAXIMUM", "MINIMUM"])), a, b)
        opcodes = ["SUB", "SUB", "MAXIMUM", "MINIMUM"]
        if a.index != b.index:  # LiteRT 2.3 itself corrupts its heap over some graphs with products of a map and itself
            opcodes += ["MUL", "MUL"]
        return self._combine(str(self.rng.choice(opcodes)), a, b)

    def prelu(self, x: Ref) -> Ref:
        """With an alpha for each channel."""
        result = self.tensor("prelu", x.shape)
        self.graph.op("PRELU", [x, self._values((1, 1, x.shape[3]))], [result])
        return result

    def squeeze_and_excite(self, x: Ref) -> Ref:
        """A map combined with what its mean says of each channel."""
        channels = x.shape[3]
        gate = self._conv(self._conv(self._squeezed(x), max(1, channels // 2), "RELU"), channels)
        excited = str(self.rng.choice(["LOGISTIC", "HARD_SWISH", "RELU6", "NONE"]))
        if excited != "NONE":
            gate = self._table(excited, gate)
        return self._combine(str(self.rng.choice(["MUL", "MUL", "MUL", "ADD", "SUB", "MAXIMUM"])), x, gate)

    def _combine(self, opcode: str, a: Ref, b: Ref) -> Ref:
        """An op of a map and what may have fewer values, in either order."""
        result = self.tensor(opcode.lower(), a.shape)
        if opcode == "MUL":  # so that products use the range
            own = {**self.quantization(), "scale": float(np.float32(a.scale * b.scale * 2.0 ** self.rng.uniform(3, 8)))}
            result = self.graph.tensor(self.name("mul"), a.shape, self.dtype, **own)
        options = schema.MaximumMinimumOptionsT()
        if opcode not in ("MAXIMUM", "MINIMUM"):
            kind = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[opcode]
            options = kind(fusedActivationFunction=self.activation())
        operands = [a, b] if self.rng.random() < 0.7 else [b, a]
        self.graph.op(opcode, operands, [result], options, version=2)
        return result

    def _values(self, shape: Sequence[int]) -> Ref:
        values = self.rng.integers(0, 256, shape).astype(np.uint8).view(self.dtype.lower())
        return self.graph.tensor(self.name("constant"), shape, self.dtype, data=values, **self.quantization())

    def _conv(self, x: Ref, channels: int, activation: str = "NONE") -> Ref:
        """Of one pixel by one."""
        result = self.tensor("conv", (*x.shape[:3], channels))
        constants = self.weights((channels, 1, 1, x.shape[3]), channels, 0, x)
        options = schema.Conv2DOptionsT(strideH=1, strideW=1, fusedActivationFunction=getattr(ACTIVATION, activation))
        self.graph.op("CONV_2D", [x, *constants], [result], options, version=3)
        return result

    def _squeezed(self, x: Ref) -> Ref:
        """[N, 1, 1, C] of a map: a mean that keeps its dimensions, or is reshaped, or a pool."""
        batch, height, width, channels = x.shape
        kind = int(self.rng.integers(3))
        if kind == 0:
            result = self.tensor("pool", (batch, 1, 1, channels), x)
            options = schema.Pool2DOptionsT(
                padding=schema.Padding.VALID, strideH=1, strideW=1, filterHeight=height, filterWidth=width
            )
            self.graph.op("AVERAGE_POOL_2D", [x], [result], options, version=2)
            return result
        result = self.tensor("mean", (batch, 1, 1, channels) if kind == 1 else (batch, channels))
        axes = self.graph.tensor(self.name("axes"), (2,), "INT32", scale=0, data=np.array([1, 2], np.int32))
        self.graph.op("MEAN", [x, axes], [result], schema.ReducerOptionsT(keepDims=kind == 1), version=2)
        return result if kind == 1 else self.graph.reshape(result, [batch, 1, 1, channels], self.name("reshape"))
