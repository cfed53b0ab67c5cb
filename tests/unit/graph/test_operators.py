"""Facts about operators: windows, constants, activation clamps, multipliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Buffer, Op, Tensor
from fmtc_tflite.graph.operators import activation, arithmetic, constants, multipliers, window

ACTIVATION = schema.ActivationFunctionType
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID


def tensor(shape: tuple[int, ...], data: np.ndarray | None = None, dtype: str = "INT8", **quantization: Any) -> Tensor:
    buffer = Buffer(None if data is None else np.ascontiguousarray(data).view(np.uint8).reshape(-1))
    found = Tensor("t", shape, getattr(schema.TensorType, dtype), buffer)
    if quantization:
        axis = quantization.pop("axis", 0)
        found.quantization = schema.QuantizationParametersT(
            scale=np.array(quantization["scale"], np.float32),
            zeroPoint=np.array(quantization["zero_point"], np.int64),
            quantizedDimension=axis,
        )
    return found


def op(opcode: str, inputs: list[Tensor], output: Tensor, options: Any = None) -> Op:
    code = schema.OperatorCodeT(builtinCode=getattr(schema.BuiltinOperator, opcode))
    return Op(code, list(inputs), [output], raw=schema.OperatorT(builtinOptions=options))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "padding", "outputs", "before", "after"),
    [
        (224, 3, 2, 1, SAME, 112, 0, 1),
        (7, 3, 2, 1, SAME, 4, 1, 1),
        (33, 3, 1, 2, SAME, 33, 2, 2),
        (10, 4, 2, 1, SAME, 5, 1, 1),
        (5, 1, 3, 1, SAME, 2, 0, 0),
        (5, 1, 3, 7, VALID, 2, 0, 0),
        (9, 3, 2, 2, VALID, 3, 0, 0),
        (4, 7, 1, 1, SAME, 4, 3, 3),
    ],
)
def test_axes_are_padded_as_tflite_pads(
    size: int, kernel: int, stride: int, dilation: int, padding: int, outputs: int, before: int, after: int
) -> None:
    axis = window.window_axis(size, kernel, stride, dilation, padding)
    assert axis is not None
    assert (axis.outputs, axis.before, axis.after) == (outputs, before, after)
    first, last = axis.span(outputs - 1)
    assert last - first + 1 == axis.extent
    assert last <= size - 1 + after


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation"), [(4, 5, 1, 1), (9, 3, 0, 1), (9, 3, 1, 0), (0, 1, 1, 1)]
)
def test_axes_without_outputs_are_none(size: int, kernel: int, stride: int, dilation: int) -> None:
    assert window.window_axis(size, kernel, stride, dilation, VALID) is None


def test_a_window_contradicting_its_output_is_refused() -> None:
    options = schema.Pool2DOptionsT(padding=VALID, strideW=2, strideH=2, filterWidth=2, filterHeight=2)
    pool = op("MAX_POOL_2D", [tensor((1, 8, 8, 4))], tensor((1, 4, 4, 4)), options)
    assert window.op_window(pool).taps == 4
    pool.outputs = [tensor((1, 5, 4, 4))]
    with pytest.raises(ModelFormatError, match=r"MAX_POOL_2D 't' writes 4 x 4 pixels"):
        window.op_window(pool)


def test_constants_have_the_bytes_of_their_shape() -> None:
    values = np.arange(6, dtype=np.int8)
    np.testing.assert_array_equal(constants.constant(tensor((2, 3), values)), values.reshape(2, 3))
    with pytest.raises(ModelFormatError, match="has 6 bytes"):
        constants.constant(tensor((2, 4), values))
    with pytest.raises(ModelFormatError, match="no constant"):
        constants.constant(tensor((2, 3)))


def test_real_values_know_the_axis() -> None:
    values = np.array([[1, 2], [3, 4]], np.int8)
    found = constants.real_values(tensor((2, 2), values, scale=[0.5, 2.0], zero_point=[1, 0], axis=1))
    np.testing.assert_array_equal(found, [[0, 4], [1, 8]])
    with pytest.raises(ModelFormatError, match="2 scales"):
        constants.quantization(tensor((2, 3), scale=[1.0, 1.0], zero_point=[0, 0], axis=1))
    with pytest.raises(ModelFormatError, match="positive"):
        constants.quantization(tensor((2, 3), scale=[-1.0], zero_point=[0]))


def test_four_bit_constants() -> None:
    """Two in a byte, the first in its lower half; of an odd count the last half is nobody's."""
    packed = np.array([0x18, 0xF7, 0xA2], np.uint8)
    found = constants.real_values(tensor((5,), packed, "INT4", scale=[0.5], zero_point=[0]))
    np.testing.assert_array_equal(found, np.array([-8, 1, 7, -1, 2]) / 2)
    with pytest.raises(ModelFormatError, match="INT4"):
        constants.real_values(tensor((7,), packed, "INT4", scale=[0.5], zero_point=[0]))


def test_axes_and_paddings_are_checked() -> None:
    def with_constant(opcode: str, values: list[int]) -> Op:
        given = tensor((len(values),), np.array(values, np.int32), "INT32")
        return op(opcode, [tensor((1, 4, 4, 2)), given], tensor((1, 1, 1, 2)))

    assert constants.axes(with_constant("MEAN", [-2, 1, 2]), 4) == (1, 2)
    with pytest.raises(ModelFormatError, match="rank 4"):
        constants.axes(with_constant("MEAN", [4]), 4)
    assert constants.paddings(with_constant("PAD", [0, 0, 1, 2, 0, 0, 0, 3]), 4) == [(0, 0), (1, 2), (0, 0), (0, 3)]
    with pytest.raises(ModelFormatError, match="paddings"):
        constants.paddings(with_constant("PAD", [0, 0, 1, -2, 0, 0, 0, 3]), 4)


def test_slices_are_resolved() -> None:
    arrays = [[0, 1, -3, 0], [0, 9, 100, 0], [1, 2, 1, 1]]
    inputs = [tensor((1, 8, 8, 4)), *(tensor((4,), np.array(a, np.int32), "INT32") for a in arrays)]
    options = schema.StridedSliceOptionsT(beginMask=8, endMask=1 | 8)
    cut = op("STRIDED_SLICE", inputs, tensor((1, 4, 3, 4)), options)
    assert constants.strided_slices(cut) == [slice(0, 1, 1), slice(1, 8, 2), slice(5, 8, 1), slice(0, 4, 1)]
    cut.raw.builtinOptions.shrinkAxisMask = 1
    assert constants.strided_slices(cut) is None


@pytest.mark.parametrize(
    ("kind", "scale", "zero_point", "dtype", "expected"),
    [
        (ACTIVATION.NONE, 0.1, 3, "UINT8", (0, 255)),
        (ACTIVATION.RELU, 0.1, -128, "INT8", (-128, 127)),
        (ACTIVATION.RELU6, 6 / 255, -128, "INT8", (-128, 127)),
        (ACTIVATION.RELU6, 0.05, 3, "UINT8", (3, 123)),
        (ACTIVATION.RELU_N1_TO_1, 2.0, 0, "INT8", (-1, 1)),  # a half is rounded away from zero
        (ACTIVATION.RELU6, 0.001, 200, "UINT8", (200, 255)),
        (ACTIVATION.TANH, 0.1, 0, "INT8", None),
        (ACTIVATION.RELU6, 1e-30, 0, "INT8", None),
    ],
)
def test_activations_clamp(kind: int, scale: float, zero_point: int, dtype: str, expected: tuple[int, int]) -> None:
    assert activation.clamp(kind, tensor((1,), None, dtype, scale=[scale], zero_point=[zero_point])) == expected


def test_rounding_half_away_just_below_a_half() -> None:
    below = np.nextafter(0.5, 0)
    assert [activation.round_half_away(v) for v in (below, -below, 0.5, -0.5, 2.5, -1e9)] == [0, 0, 1, -1, 3, -1e9]


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (1 << 30, 1)),
        (0.75, (3 << 29, 0)),
        (1 - 2.0**-40, (1 << 30, 1)),
        (2.0**-32, (1 << 30, -31)),
        (2.0**-33, (0, 0)),
    ],
)
def test_multipliers(real: float, expected: tuple[int, int]) -> None:
    assert multipliers.quantize_multiplier(real) == expected


def test_scales_are_rounded_where_the_kernels_round() -> None:
    source, weights, result = (float(np.float32(v)) for v in (0.0123, 0.00317, 0.071))
    double = source * weights / result
    product = float(np.float32(source * weights))
    assert multipliers.per_channel_scales(source, np.float32([weights]), result)[0] == double
    assert multipliers.per_tensor_scale(source, weights, result) == product / result
    assert multipliers.float32_scales(source, np.float32([weights]), result)[0] == np.float32(product / result)


def test_multiply_accumulates() -> None:
    x, y = tensor((1, 8, 8, 4)), tensor((1, 4, 4, 16))
    ops = [
        op("CONV_2D", [x, tensor((16, 3, 3, 4))], y),
        op("DEPTHWISE_CONV_2D", [y, tensor((1, 3, 3, 16))], y),
        op("TRANSPOSE_CONV", [tensor((4,)), tensor((4, 2, 2, 16)), y], x),
        op("FULLY_CONNECTED", [tensor((2, 256)), tensor((10, 256))], tensor((2, 10))),
        op("ADD", [x, x], x),
    ]
    wanted = [16 * 16 * 36, 16 * 16 * 9, 16 * 4 * 4 * 16, 2 * 2560, 0]
    assert [arithmetic.multiply_accumulates([each]) for each in ops] == wanted
