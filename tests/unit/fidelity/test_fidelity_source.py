"""Which tensor and measure stand for a model's output."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.errors import UnsupportedModelError, UsageError
from fmtc_tflite.fidelity.fidelity_source import find_fidelity_source
from fmtc_tflite.graph.model import Buffer, Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.model_io import load_model


def tensor(name: str, shape: tuple[int, ...], type_name: str = "INT8", scale: float | None = 0.5) -> Tensor:
    quantization = schema.QuantizationParametersT()
    if scale is not None:
        quantization.scale, quantization.zeroPoint = [scale], [3]
    return Tensor(name, shape, getattr(schema.TensorType, type_name), Buffer(), quantization=quantization)


def chain(tensors: list[Tensor], names: list[str], beta: float = 1.0) -> Model:
    """A model whose ops `names` lead from each tensor to the next; the last one is the output."""
    ops = []
    for name, source, target in zip(names, tensors[:-1], tensors[1:], strict=True):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        op = Op(code, [source], [target])
        if name == "SOFTMAX":
            op.raw.builtinOptions = schema.SoftmaxOptionsT()
            op.raw.builtinOptions.beta = beta
        ops.append(op)
    return Model([Subgraph("main", 0, tensors, ops, tensors[:1], tensors[-1:])], [op.code for op in ops], [])


def test_softmax_input_is_found_behind_reshape_and_quantize() -> None:
    tensors = [tensor(name, (1, 10)) for name in ("features", "logits", "p", "flat", "out")]
    source = find_fidelity_source(chain(tensors, ["FULLY_CONNECTED", "SOFTMAX", "RESHAPE", "QUANTIZE"]))
    assert (source.measure, source.tensor, source.probabilities) == ("kl", tensors[1], False)
    assert (source.scale, source.zero_point, source.note) == (0.5, 3, None)


def test_beta_belongs_to_the_scale() -> None:
    quantized = [tensor("logits", (1, 10)), tensor("out", (1, 10))]
    source = find_fidelity_source(chain(quantized, ["SOFTMAX"], beta=2.0))
    assert (source.scale, source.zero_point) == (1.0, 3)
    real = [tensor("logits", (1, 10), "FLOAT32", None), tensor("out", (1, 10), "FLOAT32", None)]
    source = find_fidelity_source(chain(real, ["SOFTMAX"], beta=2.0))
    assert (source.scale, source.zero_point) == (2.0, 0)
    assert find_fidelity_source(chain(real, ["SOFTMAX"])).scale is None


@pytest.mark.parametrize(
    ("op", "shape", "type_name", "scale", "measure"),
    [
        ("FULLY_CONNECTED", (1, 10), "INT8", 0.5, "kl"),
        ("FULLY_CONNECTED", (1, 10_000), "INT8", 0.5, "kl"),
        ("FULLY_CONNECTED", (1, 10_001), "INT8", 0.5, "relative_mse"),
        ("FULLY_CONNECTED", (1, 1), "FLOAT32", None, "relative_mse"),
        ("LOGISTIC", (1, 10), "INT8", 1 / 256, "relative_mse"),
        ("CONV_2D", (1, 8, 8, 4), "INT8", 0.5, "relative_mse"),
        ("SOFTMAX", (1, 1), "INT8", 0.5, "relative_mse"),
        ("ARG_MAX", (1, 8, 8), "INT64", None, "disagreement"),
        ("CAST", (1, 8, 8), "UINT8", None, "disagreement"),
        ("GREATER", (1, 8), "BOOL", None, "disagreement"),
    ],
)
def test_auto(op: str, shape: tuple[int, ...], type_name: str, scale: float | None, measure: str) -> None:
    output = tensor("out", shape, type_name, scale)
    source = find_fidelity_source(chain([tensor("in", shape), output], [op]))
    assert (source.measure, source.tensor) == (measure, output)
    assert (source.note is not None) == (measure == "kl")


def test_kinds_that_are_said() -> None:
    model = chain([tensor("logits", (1, 10)), tensor("out", (1, 10))], ["SOFTMAX"])
    logits, output = model.subgraphs[0].tensors
    plain = chain([tensor("in", (1, 10)), tensor("out", (1, 10))], ["FULLY_CONNECTED"])
    assert find_fidelity_source(model, "probabilities").tensor is logits
    assert find_fidelity_source(plain, "probabilities").probabilities
    for kind, measure in (("logits", "kl"), ("labels", "disagreement"), ("values", "relative_mse")):
        source = find_fidelity_source(model, kind)
        assert (source.tensor, source.measure, source.probabilities) == (output, measure, False)


def test_outputs_are_chosen_by_index() -> None:
    model = chain([tensor("in", (1, 8)), tensor("out", (1, 8))], ["FULLY_CONNECTED"])
    subgraph = model.subgraphs[0]
    subgraph.outputs = [subgraph.tensors[1], subgraph.tensors[0]]
    assert find_fidelity_source(model, output_index=1).tensor is subgraph.tensors[0]
    with pytest.raises(UnsupportedModelError, match="2 outputs"):
        find_fidelity_source(model, output_index=2)


def test_bad_kinds_and_outputs() -> None:
    model = chain([tensor("in", (1, 8)), tensor("out", (1, 1))], ["FULLY_CONNECTED"])
    with pytest.raises(UsageError, match="auto, logits"):
        find_fidelity_source(model, "softmax")
    with pytest.raises(UsageError, match="two or more classes"):
        find_fidelity_source(model, "logits")
    text = chain([tensor("in", (1, 8)), tensor("out", (1, 1), "STRING", None)], ["CUSTOM"])
    with pytest.raises(UnsupportedModelError, match="type STRING"):
        find_fidelity_source(text)


def test_demo_model() -> None:
    model = load_model(Path(str(files("fmtc_tflite") / "demo" / "demo_int8.tflite")))
    source = find_fidelity_source(model)
    assert (source.measure, source.tensor.dtype, source.tensor.shape) == ("kl", np.int8, (1, 10))
    assert source.tensor is not model.subgraphs[0].outputs[0]


@pytest.mark.parametrize(
    ("name", "measure", "is_output"),
    [
        ("mobilenet_v2_1.0_224_int8", "kl", False),
        ("resnet8_cifar10_int8", "kl", False),
        ("resnet56_cifar10_int8", "kl", True),
        ("resnet18_cifar10_64_int8", "kl", True),
        ("deeplabv3_mnv2_pascal_uint8", "disagreement", True),
    ],
)
def test_real_models(real_data: Path, name: str, measure: str, is_output: bool) -> None:
    model = load_model(real_data / "models" / f"{name}.tflite")
    source = find_fidelity_source(model)
    assert source.measure == measure
    assert (source.tensor is model.subgraphs[0].outputs[0]) == is_output
