"""Parts of random networks that compute float32: inputs as images come, and arithmetic between two quantizations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import ACTIVATION, GraphBuilder, Ref

_BINARY = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
_UNARY = ("RELU", "RELU6", "RELU_N1_TO_1", "SQUARE", "SQRT", "LOGISTIC")
_FUSING = ("ADD", "SUB", "MUL", "DIV")


@dataclass(frozen=True)
class FloatParts:
    """Adds them to a graph.

    Attributes:
      name: makes a name of a kind of tensor.
      tensor: makes an 8-bit tensor of a kind and shape.
    """

    graph: GraphBuilder
    rng: np.random.Generator
    name: Callable[[str], str]
    tensor: Callable[[str, tuple[int, ...]], Ref]

    def image_input(self, name: str, shape: tuple[int, ...]) -> Ref:
        """An input of whole numbers: CAST, SUB, MUL, QUANTIZE."""
        dtype = str(self.rng.choice(["UINT8", "INT32"]))
        image = self.graph.input(name, shape, dtype, scale=0 if dtype == "INT32" else 1.0)
        numbers = self._tensor("cast", shape)
        options = schema.CastOptionsT(getattr(schema.TensorType, dtype), schema.TensorType.FLOAT32)
        self.graph.op("CAST", [image], [numbers], options)
        centered = self._binary("SUB", [numbers, self._constant((1, 1, 1, shape[3]), 127.5)])
        return self._quantize(self._binary("MUL", [centered, self._constant((), 1 / 127.5)]))

    def arithmetic(self, x: Ref) -> Ref:
        """A map made float32, changed, and quantized again."""
        return self._quantize(self.float_map(x))

    def float_map(self, x: Ref) -> Ref:
        """A map made float32 and changed, without NaNs: these XNNPACK treats as the ops beside them have it."""
        numbers = self._dequantize(x)
        for _ in range(int(self.rng.integers(0, 4))):
            if self.rng.random() < 0.3:
                opcode = str(self.rng.choice(_UNARY))
                numbers = self._unary(opcode, self._unary("SQUARE", numbers) if opcode == "SQRT" else numbers)
            else:
                opcode = str(self.rng.choice(_BINARY))
                operands = self._operands(x, numbers)
                if opcode == "DIV":
                    operands = [numbers, self._constant((), 3.0)]
                numbers = self._binary(opcode, operands)
        return numbers

    def _unary(self, opcode: str, numbers: Ref) -> Ref:
        result = self._tensor("unary", numbers.shape)
        self.graph.op(opcode, [numbers], [result])
        return result

    def _operands(self, x: Ref, numbers: Ref) -> list[Ref]:
        case, shape = self.rng.random(), numbers.shape
        if case < 0.4:
            own = [(), (shape[3],), (1, *shape[1:3], 1), (1, 1, 1, shape[3])][int(self.rng.integers(4))]
            operands = [numbers, self._constant(own, float(self.rng.normal(0, 3)))]
        elif case < 0.7:
            operands = [numbers, self._dequantize(x)]
        else:
            operands = [numbers, numbers]
        return [operands[i] for i in self.rng.permutation(2)]

    def _tensor(self, kind: str, shape: tuple[int, ...]) -> Ref:
        return self.graph.tensor(self.name(kind), shape, "FLOAT32")

    def _constant(self, shape: tuple[int, ...], around: float) -> Ref:
        values = np.asarray(around * (1 + self.rng.normal(0, 0.1, shape)), np.float32)
        return self.graph.tensor(self.name("constant"), shape, "FLOAT32", data=values)

    def _binary(self, opcode: str, operands: list[Ref]) -> Ref:
        result = self._tensor(opcode.lower(), np.broadcast_shapes(*(o.shape for o in operands)))
        options = None
        if opcode in _FUSING:
            fused = getattr(ACTIVATION, str(self.rng.choice(["NONE", "NONE", "RELU", "RELU6"])))
            options = getattr(schema, opcode.capitalize() + "OptionsT")(fusedActivationFunction=fused)
        self.graph.op(opcode, operands, [result], options)
        return result

    def _dequantize(self, x: Ref) -> Ref:
        result = self._tensor("dequantize", x.shape)
        self.graph.op("DEQUANTIZE", [x], [result], schema.DequantizeOptionsT(), version=2)
        return result

    def _quantize(self, numbers: Ref) -> Ref:
        result = self.tensor("quantize", numbers.shape)
        self.graph.op("QUANTIZE", [numbers], [result], schema.QuantizeOptionsT(), version=1)
        return result
