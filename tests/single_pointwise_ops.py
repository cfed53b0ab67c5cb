"""Models of one 8-bit op that computes each value by itself, for single_ops: of one operand and of two."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import Ref

if TYPE_CHECKING:
    from single_ops import Maker

_FIRST_VERSIONS = ("HARD_SWISH", "RELU_N1_TO_1", "RELU_0_TO_1")  # the others know int8 from version 2 on
TABLES = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH")


def _constant(maker: Maker, shape: tuple[int, ...]) -> Ref:
    """Values that the model holds."""
    info = np.iinfo(maker.dtype.lower())
    data = maker.rng.integers(info.min, info.max + 1, shape).astype(maker.dtype.lower())
    own = {"scale": maker.scale(), "zero_point": maker.zero_point()}
    return maker.graph.tensor("constant", shape, maker.dtype, data=data, **own)


def _pair(maker: Maker, spreads_channel: bool) -> list[Ref]:
    """Two operands: a tensor and itself, another, one that serves rows, columns or channels, or constants."""
    a = maker.input(maker.shape())
    batch, height, width, channels = a.shape
    case = maker.integer(0, 6)
    if case == 0:
        return [a, a]
    if case <= 2:
        return [a, _constant(maker, maker.pick((channels,), (1, 1, 1, channels), (1,)))]
    wide = maker.pick(1.0, 1.0, 4.0, 60.0)
    scale = a.scale if case == 3 else maker.scale(a.scale * maker.pick(wide, 1 / wide))
    narrow = maker.pick((batch, 1, 1, channels), (batch, 1, 1, channels), (batch, 1, width, channels))
    if spreads_channel and maker.rng.random() < 0.3:
        narrow = (batch, height, width, 1)
    return [a, maker.input(narrow if case == 4 else a.shape, scale=scale)]


def _sum(maker: Maker) -> Ref:
    operands = _pair(maker, spreads_channel=False)
    shape = operands[0].shape
    if maker.rng.random() < 0.5:
        operands.reverse()
    y = maker.result(shape, scale=maker.scale(max(o.scale for o in operands) * maker.pick(0.5, 1.0, 2.0, 8.0)))
    kind = schema.AddOptionsT if maker.opcode == "ADD" else schema.SubOptionsT
    maker.graph.op(maker.opcode, operands, [y], kind(fusedActivationFunction=maker.activation()), version=2)
    return y


def _product(maker: Maker) -> Ref:
    operands = _pair(maker, spreads_channel=True)
    shape = operands[0].shape
    if maker.rng.random() < 0.5:
        operands.reverse()
    ratio = maker.pick(0.1, 0.02, 0.004, 0.001, 1e-5)
    y = maker.result(shape, scale=float(np.float32(operands[0].scale * operands[1].scale / maker.scale(ratio))))
    maker.graph.op("MUL", operands, [y], schema.MulOptionsT(fusedActivationFunction=maker.activation()), version=2)
    return y


def _extremum(maker: Maker) -> Ref:
    operands = _pair(maker, spreads_channel=True)
    y = maker.result(operands[0].shape)
    if maker.rng.random() < 0.5:
        operands.reverse()
    maker.graph.op(maker.opcode, operands, [y], schema.MaximumMinimumOptionsT(), version=2)
    return y


def _prelu(maker: Maker) -> Ref:
    x = maker.input(maker.shape())
    alpha = _constant(maker, maker.pick((1, 1, x.shape[3]), (x.shape[3],), (1, 1, 1)))
    y = maker.result(x.shape, scale=maker.scale(x.scale))
    maker.graph.op("PRELU", [x, alpha], [y], None, version=1)
    return y


def _every_value(maker: Maker) -> tuple[int, int, int, int]:
    """A shape of a multiple of 256 values, which are often all that there are."""
    return maker.batch, 16, 16, maker.integer(1, 4)


def _table(maker: Maker) -> Ref:
    x = maker.input(_every_value(maker), scale=maker.scale(maker.pick(0.01, 0.05, 0.3)))
    own = {
        "LOGISTIC": {"scale": 1 / 256, "zero_point": 0 if maker.dtype == "UINT8" else -128},
        "TANH": maker.pick({"scale": 1 / 128, "zero_point": 128 if maker.dtype == "UINT8" else 0}, {"scale": 2 / 255}),
    }.get(maker.opcode, {"scale": maker.scale(x.scale * maker.pick(0.3, 1, 1, 3))})
    y = maker.result(x.shape, **own)
    alpha = float(np.float32(maker.pick(0.1, 0.2, 0.01, 0.001, 1.5, 0.0)))
    options = schema.LeakyReluOptionsT(alpha=alpha) if maker.opcode == "LEAKY_RELU" else None
    if maker.opcode == "HARD_SWISH":
        options = schema.HardSwishOptionsT()
    maker.graph.op(maker.opcode, [x], [y], options, version=1 if maker.opcode in _FIRST_VERSIONS else 2)
    return y


POINTWISE_MAKERS: dict[str, Callable[[Maker], Ref]] = {
    "ADD": _sum,
    "SUB": _sum,
    "MUL": _product,
    "MAXIMUM": _extremum,
    "MINIMUM": _extremum,
    "PRELU": _prelu,
    **dict.fromkeys(TABLES, _table),
}
