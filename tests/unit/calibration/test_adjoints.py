"""Every adjoint against numerical differences of what the interpreter computes, in float32 and in int8."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.calibration.adjoints import _ADJOINTS, Values, input_gradients
from fmtc_tflite.graph.computed_constants import computed_constants
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.inference.model_runner import ModelRunner
from model_builder import ACTIVATION, GraphBuilder, ModelBuilder, Ref

SHAPE = (1, 7, 9, 4)
IN_SCALE, IN_ZERO = 0.05, -128  # an int8 input as a ReLU leaves it: its least value is a zero
OneOp = Callable[[GraphBuilder, Ref], None]


def add_op(
    g: GraphBuilder, opcode: str, inputs: list[Ref], shape: tuple[int, ...], options: object, **of: float
) -> None:
    result = g.tensor("result", shape, inputs[0].dtype, **{"scale": IN_SCALE, "zero_point": IN_ZERO, **of})
    g.op(opcode, inputs, [result], options, version=1)


def constant(g: GraphBuilder, name: str, values: object) -> Ref:
    return g.constant(name, np.array(values, np.int32), 0)


def weights(g: GraphBuilder, x: Ref, *shape: int) -> Ref:
    values = np.random.default_rng(1).normal(size=shape)
    if x.dtype == "FLOAT32":
        return g.tensor("weights", shape, "FLOAT32", data=values.astype(np.float32))
    return g.constant("weights", np.clip(np.round(values * 40), -127, 127).astype(np.int8), 1 / 40)


def bias(g: GraphBuilder, x: Ref, count: int) -> Ref:
    if x.dtype == "FLOAT32":
        return g.tensor("bias", (count,), "FLOAT32", data=np.zeros(count, np.float32))
    return g.constant("bias", np.zeros(count, np.int32), x.scale / 40)


def conv(
    padding: int, stride: int, dilation: int, shape: tuple[int, ...], out: tuple[int, ...], act: str = "NONE"
) -> OneOp:
    def build(g: GraphBuilder, x: Ref) -> None:
        options = schema.Conv2DOptionsT(
            padding=padding,
            strideH=stride,
            strideW=stride,
            dilationHFactor=dilation,
            dilationWFactor=dilation,
            fusedActivationFunction=getattr(ACTIVATION, act),
        )
        inputs = [x, weights(g, x, *shape), bias(g, x, shape[0])]
        scale = 0.25 if shape[1] > 1 else 0.08
        add_op(g, "CONV_2D", inputs, out, options, scale=scale, zero_point=-20)

    return build


def depthwise(g: GraphBuilder, x: Ref) -> None:
    options = schema.DepthwiseConv2DOptionsT(
        padding=0, strideH=2, strideW=1, depthMultiplier=2, dilationHFactor=1, dilationWFactor=1
    )
    inputs = [x, weights(g, x, 1, 3, 3, 8), bias(g, x, 8)]
    add_op(g, "DEPTHWISE_CONV_2D", inputs, (1, 4, 9, 8), options, scale=0.2, zero_point=0)


def fully_connected(g: GraphBuilder, x: Ref) -> None:
    options = schema.FullyConnectedOptionsT(keepNumDims=True, fusedActivationFunction=ACTIVATION.RELU)
    inputs = [x, weights(g, x, 5, 4), bias(g, x, 5)]
    add_op(g, "FULLY_CONNECTED", inputs, (1, 7, 9, 5), options, scale=0.1, zero_point=-40)


def pool(opcode: str, padding: int, out: tuple[int, ...], act: str = "NONE") -> OneOp:
    def build(g: GraphBuilder, x: Ref) -> None:
        options = schema.Pool2DOptionsT(
            padding=padding,
            strideH=2,
            strideW=3,
            filterHeight=3,
            filterWidth=3,
            fusedActivationFunction=getattr(ACTIVATION, act),
        )
        add_op(g, opcode, [x], out, options)

    return build


def mean(axes: list[int], keeps: bool, out: tuple[int, ...]) -> OneOp:
    def build(g: GraphBuilder, x: Ref) -> None:
        add_op(g, "MEAN", [x, constant(g, "axes", axes)], out, schema.ReducerOptionsT(keepDims=keeps))

    return build


def pad(g: GraphBuilder, x: Ref) -> None:
    amounts = constant(g, "amounts", [[0, 0], [1, 2], [0, 3], [0, 0]])
    add_op(g, "PAD", [x, amounts], (1, 10, 12, 4), schema.PadOptionsT())


def strided_slice(g: GraphBuilder, x: Ref) -> None:
    ends = [constant(g, "begin", [0, 0, 1, 0]), constant(g, "end", [1, 7, 9, 4]), constant(g, "step", [1, 2, 2, 1])]
    add_op(g, "STRIDED_SLICE", [x, *ends], (1, 4, 4, 4), schema.StridedSliceOptionsT(endMask=2))


def resize(align: bool, half: bool) -> OneOp:
    def build(g: GraphBuilder, x: Ref) -> None:
        options = schema.ResizeBilinearOptionsT(alignCorners=align, halfPixelCenters=half)
        add_op(g, "RESIZE_BILINEAR", [x, constant(g, "size", [13, 4])], (1, 13, 4, 4), options)

    return build


def concatenation(g: GraphBuilder, x: Ref) -> None:
    add_op(g, "CONCATENATION", [x, x], (1, 7, 9, 8), schema.ConcatenationOptionsT(axis=3))


def reshape(opcode: str, out: tuple[int, ...]) -> OneOp:
    def build(g: GraphBuilder, x: Ref) -> None:
        options = schema.ReshapeOptionsT(list(out)) if opcode == "RESHAPE" else schema.SqueezeOptionsT([0])
        add_op(g, opcode, [x], out, options)

    return build


def elementwise(opcode: str, options: object = None) -> OneOp:
    def build(g: GraphBuilder, x: Ref) -> None:
        add_op(g, opcode, [x], SHAPE, options, scale=0.06, zero_point=-90)

    return build


def transpose(g: GraphBuilder, x: Ref) -> None:
    add_op(g, "TRANSPOSE", [x, constant(g, "order", [0, 3, 1, 2])], (1, 4, 7, 9), schema.TransposeOptionsT())


def quantize(g: GraphBuilder, x: Ref) -> None:
    g.op("QUANTIZE", [x], [g.tensor("result", SHAPE, scale=0.04, zero_point=30)], schema.QuantizeOptionsT())


def dequantize(g: GraphBuilder, x: Ref) -> None:
    g.op("DEQUANTIZE", [x], [g.tensor("result", SHAPE, "FLOAT32")], schema.DequantizeOptionsT())


def arithmetic(opcode: str, order: str, act: str = "NONE", shape: tuple[int, ...] = (1, 1, 1, 4)) -> OneOp:
    """Of the input (x) and a constant (w)."""

    def build(g: GraphBuilder, x: Ref) -> None:
        kind = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[opcode]
        inputs = [x if name == "x" else weights(g, x, *shape) for name in order]
        options = kind(fusedActivationFunction=getattr(ACTIVATION, act))
        add_op(g, opcode, inputs, SHAPE, options, scale=0.03 if opcode == "MUL" else 0.08, zero_point=-60)

    return build


CASES: dict[str, OneOp] = {
    "CONV_2D": conv(0, 2, 1, (5, 3, 3, 4), (1, 4, 5, 5)),
    "CONV_2D dilated": conv(1, 1, 2, (2, 3, 2, 4), (1, 3, 7, 2)),
    "CONV_2D in groups": conv(0, 1, 1, (6, 3, 3, 2), (1, 7, 9, 6)),
    "CONV_2D in groups of one channel": conv(0, 1, 1, (8, 1, 1, 1), (1, 7, 9, 8)),
    "CONV_2D, RELU6": conv(0, 1, 1, (5, 3, 3, 4), (1, 7, 9, 5), "RELU6"),
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED, RELU": fully_connected,
    "AVERAGE_POOL_2D": pool("AVERAGE_POOL_2D", 1, (1, 3, 3, 4)),
    "AVERAGE_POOL_2D padded, RELU_N1_TO_1": pool("AVERAGE_POOL_2D", 0, (1, 4, 3, 4), "RELU_N1_TO_1"),
    "MAX_POOL_2D": pool("MAX_POOL_2D", 1, (1, 3, 3, 4)),
    "MAX_POOL_2D padded, RELU6": pool("MAX_POOL_2D", 0, (1, 4, 3, 4), "RELU6"),
    "MEAN": mean([1, 2], False, (1, 4)),
    "MEAN of rows": mean([1], True, (1, 1, 9, 4)),
    "PAD": pad,
    "STRIDED_SLICE": strided_slice,
    "RESIZE_BILINEAR": resize(False, False),
    "RESIZE_BILINEAR aligned": resize(True, False),
    "RESIZE_BILINEAR half": resize(False, True),
    "CONCATENATION": concatenation,
    "RESHAPE": reshape("RESHAPE", (1, 63, 4)),
    "SQUEEZE": reshape("SQUEEZE", (7, 9, 4)),
    "RELU": elementwise("RELU"),
    "RELU6": elementwise("RELU6"),
    "LEAKY_RELU": elementwise("LEAKY_RELU", schema.LeakyReluOptionsT(alpha=0.2)),
    "HARD_SWISH": elementwise("HARD_SWISH", schema.HardSwishOptionsT()),
    "LOGISTIC": elementwise("LOGISTIC"),
    "TANH": elementwise("TANH"),
    "TRANSPOSE": transpose,
    "QUANTIZE": quantize,
    "DEQUANTIZE": dequantize,
    "ADD, RELU": arithmetic("ADD", "xw", "RELU"),
    "ADD to itself": arithmetic("ADD", "xx"),
    "SUB, RELU6": arithmetic("SUB", "wx", "RELU6", SHAPE),
    "MUL, RELU_N1_TO_1": arithmetic("MUL", "xw", "RELU_N1_TO_1"),
    "MUL by itself": arithmetic("MUL", "xx"),
}
CURVES = {"MUL by itself", "HARD_SWISH", "LOGISTIC", "TANH"}  # no straight lines, over steps that outweigh rounding
RANGES = {"RELU": (0.0, np.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
MOVES = {
    "MAX_POOL_2D",
    "PAD",
    "STRIDED_SLICE",
    "CONCATENATION",
    "RESHAPE",
    "SQUEEZE",
    "TRANSPOSE",
}  # values as they are


class OneOpModel:
    """A model of one op, run and differentiated."""

    def __init__(self, build: OneOp, dtype: str) -> None:
        builder = ModelBuilder()
        graph = builder.graph()
        build(graph, graph.input("x", SHAPE, dtype, scale=IN_SCALE, zero_point=IN_ZERO))
        graph.subgraph.outputs.append(len(graph.subgraph.tensors) - 1)
        content = builder.build()
        self.model: Model = load_model(content)
        self.output = self.model.subgraphs[0].outputs[0]
        self.runner = ModelRunner(ModelFile(self.model, content))

    def run(self, x: np.ndarray) -> np.ndarray:
        """The output's own numbers, float64."""
        self.runner.run({"x": x})
        return self.runner.read(self.output).astype(np.float64)

    def change(self, gradient: np.ndarray, direction: np.ndarray) -> float:
        """What the adjoint says of a change of the input's real values, after a run."""
        subgraph = self.model.subgraphs[0]
        values = Values(self.runner.read, computed_constants(subgraph))
        found = input_gradients(subgraph.ops[-1], gradient.astype(np.float32), values)
        assert found is not None
        assert {tensor.name for tensor, _ in found} == {"x"}
        return sum(float((g * direction).sum()) for _, g in found)


def test_every_operator_is_tried() -> None:
    assert {name.split()[0].rstrip(",") for name in CASES} == set(_ADJOINTS)


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"QUANTIZE", "DEQUANTIZE"}))
def test_adjoints_against_differences_in_floats(name: str) -> None:
    one_op = OneOpModel(CASES[name], "FLOAT32")
    rng = np.random.default_rng(0)
    x, direction = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    step = np.float32(1e-3)  # no maximum changes place within it
    after, before, at = (one_op.run(x + sign * step * direction) for sign in (1, -1, 0))
    difference = (after - before) / (2 * step)
    is_smooth = np.abs(after - 2 * at + before) < 1e-4  # else an activation's corner lies between
    gradient = rng.normal(size=difference.shape) * is_smooth
    expected = float((gradient * difference).sum())
    assert is_smooth.mean() > 0.98
    assert one_op.change(gradient, direction) == pytest.approx(expected, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("name", sorted(CASES.keys() - CURVES))
def test_adjoints_against_differences_in_integers(name: str) -> None:
    """Upwards, from values of which many are at the end of the range, in steps that outweigh rounding."""
    is_move = name.split()[0].rstrip(",") in MOVES
    one_op = OneOpModel(CASES[name], "INT8")
    rng = np.random.default_rng(0)
    first = -128 if "MAX_POOL" in name else -190  # equal values would share a maximum
    x = np.maximum(first + 2 * rng.permuted(np.tile(np.arange(63)[:, None], 4), axis=0).reshape(SHAPE), -128)
    change = rng.integers(0, 2 if is_move else 17, SHAPE)
    after = one_op.run((x + change).astype(np.int8))
    before = one_op.run(x.astype(np.int8))
    scale, zero = one_op.output.scale or 1.0, one_op.output.zero_point or 0
    low, high = ((np.array(RANGES.get(name.split()[-1], (-np.inf, np.inf))) / scale).round() + zero).tolist()
    if not is_move:
        low, high = max(low, -128), min(high, 127)
    is_smooth = ((before <= low) == (after <= low)) & ((before >= high) == (after >= high))
    difference = (after - before) * scale * is_smooth
    gradient = (np.sign(difference) + (difference == 0)) * rng.uniform(0.5, 1.5, difference.shape) * is_smooth
    expected = float((gradient * difference).sum())
    is_exact = is_move or one_op.output.dtype == np.float32
    rounding = 0.0 if is_exact else scale * float(np.abs(gradient[difference != 0]).sum())
    assert expected > 3 * rounding
    assert one_op.change(gradient, change * IN_SCALE) == pytest.approx(expected, rel=1e-5, abs=0.3 * rounding)
