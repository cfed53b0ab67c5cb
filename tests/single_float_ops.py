"""Models of one op that makes float32, for single_ops: any floats, subnormal numbers and operands that spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import Ref

if TYPE_CHECKING:
    from single_ops import Maker

_OF_FLOATS = " of float32"
_FUSING = ("ADD", "SUB", "MUL", "DIV")
_BINARY = (*_FUSING, "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
_UNARY = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "SQUARE", "SQRT", "LOGISTIC")
_TINY = np.finfo(np.float32).tiny
_SPECIAL = np.float32([
    0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38, -3.4e38, 1e-38, _TINY, -_TINY, 6, 1, -1, 0.99999994,
])  # fmt: skip


def any_floats(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Usual numbers, all bits at random, numbers whose products are near the least normal one, or special ones."""
    usual = rng.normal(0, float(rng.choice([0.1, 1, 10])), shape).astype(np.float32)
    bits = rng.integers(0, 1 << 32, shape, np.uint64).astype(np.uint32).view(np.float32)
    small = (2.0**-63 * (1 + rng.integers(-8, 8, shape) * 2.0**-23)).astype(np.float32)
    special = rng.choice(_SPECIAL, shape)
    kinds = rng.choice(4, shape, p=rng.dirichlet([4, 1, 1, 1]))
    return np.choose(kinds, [usual, bits, small, special]).astype(np.float32)


def _options(maker: Maker, opcode: str) -> object:
    if opcode not in _FUSING:
        return None
    kind = getattr(schema, opcode[0] + opcode[1:].lower() + "OptionsT")
    return kind(fusedActivationFunction=maker.activation())


def _floats(maker: Maker, shape: tuple[int, ...]) -> Ref:
    return maker.input(shape, "FLOAT32")


def _result(maker: Maker, shape: tuple[int, ...]) -> Ref:
    return maker.graph.tensor("y", shape, "FLOAT32")


def _spread(maker: Maker, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with a 1 here and there."""
    return (shape[0], *(1 if maker.rng.random() < 0.4 else size for size in shape[1:]))


def _binary(maker: Maker) -> Ref:
    opcode = maker.opcode.removesuffix(_OF_FLOATS)
    shape = maker.shape(20)
    operands = [_floats(maker, shape)]
    case = maker.integer(0, 3)
    if case == 0:
        operands *= 2
    elif case == 1:
        operands.append(_floats(maker, maker.pick(shape, _spread(maker, shape))))
    else:
        own = maker.pick((1,), (shape[3],), (1, *_spread(maker, shape)[1:]), (1, *shape[1:]), ())
        values = np.asarray(any_floats(maker.rng, own), np.float32).reshape(own)
        operands.append(maker.graph.tensor("constant", own, "FLOAT32", data=values))
    if maker.rng.random() < 0.5:
        operands.reverse()
    y = _result(maker, shape)
    maker.graph.op(opcode, operands, [y], _options(maker, opcode), version=1)
    return y


def _unary(maker: Maker) -> Ref:
    shape = maker.shape(20)
    if maker.opcode.startswith("LOGISTIC"):
        shape = (*shape[:3], -(-shape[3] // 8) * 8 if maker.rng.random() < 0.9 else shape[3])
    x = _floats(maker, shape)
    y = _result(maker, x.shape)
    maker.graph.op(maker.opcode.removesuffix(_OF_FLOATS), [x], [y])
    return y


def _dequantize(maker: Maker) -> Ref:
    x = maker.input(maker.shape(20))
    y = _result(maker, x.shape)
    maker.graph.op("DEQUANTIZE", [x], [y], schema.DequantizeOptionsT(), version=2)
    return y


def _cast(maker: Maker) -> Ref:
    x = maker.input(maker.shape(20), maker.pick("UINT8", "INT8", "INT32", "INT64"))
    y = _result(maker, x.shape)
    options = schema.CastOptionsT(getattr(schema.TensorType, x.dtype), schema.TensorType.FLOAT32)
    maker.graph.op("CAST", [x], [y], options)
    return y


FLOAT_MAKERS: dict[str, Callable[[Maker], Ref]] = {
    "DEQUANTIZE": _dequantize,
    "CAST": _cast,
    **dict.fromkeys((opcode + _OF_FLOATS for opcode in _BINARY), _binary),
    **dict.fromkeys((opcode + _OF_FLOATS for opcode in _UNARY), _unary),
}
