"""A model's inputs as what data must fit."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.data.opening import InputSpec, input_specs_from_model
from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.graph.model import Buffer, Model, Op, Signature, Subgraph, Tensor
from fmtc_tflite.graph.model_io import load_model


def tensor(name: str, type_name: str, scale: float | None = None, zero_point: int = 0) -> Tensor:
    quantization = schema.QuantizationParametersT()
    if scale is not None:
        quantization.scale, quantization.zeroPoint = [scale], [zero_point]
    return Tensor(name, (1, 4, 4, 3), getattr(schema.TensorType, type_name), Buffer(), quantization=quantization)


def model_with_input(*tensors: Tensor) -> Model:
    """A model whose only op, a QUANTIZE if there are two tensors, leads from the first to the last."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    ops = [Op(code, [tensors[0]], [tensors[1]])] if len(tensors) > 1 else []
    return Model([Subgraph("main", 0, list(tensors), ops, [tensors[0]], [tensors[-1]])], [code], [])


@pytest.mark.parametrize(("type_name", "zero_point"), [("INT8", -128), ("UINT8", 0)])
def test_a_float_input_has_the_range_of_the_quantize_behind_it(type_name: str, zero_point: int) -> None:
    model = model_with_input(tensor("real", "FLOAT32"), tensor("body", type_name, 0.5, zero_point))
    (spec,) = input_specs_from_model(model)
    assert spec == InputSpec("real", (1, 4, 4, 3), np.float32, 0.5, 0)
    assert spec.real_range == (0.0, 127.5)


def test_a_float_input_without_quantize_has_no_range() -> None:
    (spec,) = input_specs_from_model(model_with_input(tensor("real", "FLOAT32")))
    assert (spec.scale, spec.real_range) == (None, None)


def test_signature_names_are_aliases() -> None:
    model = model_with_input(tensor("serving_default_x:0", "INT8", 1.0, -128))
    subgraph = model.subgraphs[0]
    model.signatures = [Signature(key, subgraph, [("x", subgraph.inputs[0])], []) for key in ("a", "b")]
    (spec,) = input_specs_from_model(model)
    assert spec.aliases == ("x",)
    assert spec.real_range == (0.0, 255.0)


def test_inputs_that_hold_no_numbers_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"'text'.*STRING"):
        input_specs_from_model(model_with_input(tensor("text", "STRING")))


def test_demo_model() -> None:
    (spec,) = input_specs_from_model(load_model(Path(str(files("fmtc_tflite") / "demo" / "demo_int8.tflite"))))
    assert (spec.shape, spec.dtype, spec.aliases) == ((1, 32, 32, 1), np.int8, ("image",))
    np.testing.assert_allclose(spec.real_range, (0, 1), atol=1e-6)
