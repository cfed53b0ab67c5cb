"""Kinds of models that users have: each converts, or the right reason is given. The table in docs names these tests."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from computed_weights import FORMS
from computed_weights import network as with_weights
from fmtc_tflite import api
from fmtc_tflite.data.opening import input_specs_from_model, open_dataset
from fmtc_tflite.data.preprocess import Preprocessing
from fmtc_tflite.errors import CalibrationError, NothingToDoError, UnsupportedModelError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.inference import model_runner
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.types import CalibrationOptions, ConvertOptions, EvaluateOptions
from model_builder import GraphBuilder, ModelBuilder, Ref

BIN = Path(sys.executable).parent
SHAPE = (32, 32, 3)


def body(graph: GraphBuilder, x: Ref) -> Ref:
    """Three convolutions; what they write is smooth enough to be coded."""
    for name, channels, stride in (("stem", 16, 1), ("block1", 16, 1), ("block2", 8, 2)):
        x = graph.conv(x, channels, 3, stride, "RELU", name=name, scale=x.scale * 6, zero_point=-128)
    return x


def network() -> bytes:
    builder = ModelBuilder()
    graph = builder.graph()
    graph.output(body(graph, graph.input("image", [1, *SHAPE], scale=1 / 64, zero_point=-5)))
    return builder.build()


def with_logistic() -> bytes:
    """Its LOGISTIC has a scale that XNNPACK computes with and the built-in kernels refuse."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = body(graph, graph.input("image", [1, *SHAPE], scale=1 / 64, zero_point=-5))
    graph.output(graph.unary("LOGISTIC", x, name="scores", scale=0.0039, zero_point=-128))
    return builder.build()


def with_open_size() -> bytes:
    """Height and width are open; the file has 1 in their place, as TensorFlow's converter writes it."""
    builder = ModelBuilder()
    graph = builder.graph()
    graph.output(body(graph, graph.input("image", [1, *SHAPE], scale=1 / 64, zero_point=-5)))
    for tensor in builder.model.subgraphs[0].tensors:
        if len(tensor.shape) == 4 and tensor.buffer == 0:
            channels = tensor.shape[3]
            tensor.shape = np.array([1, 1, 1, channels], np.int32)
            tensor.shapeSignature = np.array([1, -1, -1, channels], np.int32)
    return builder.build()


def compiled(op: str) -> bytes:
    """What a compiler for an NPU leaves: one op."""
    builder = ModelBuilder()
    graph = builder.graph()
    y = graph.tensor("y", [1, 10])
    graph.op(op, [graph.input("x", [1, *SHAPE])], [y], custom_options=b"commands")
    graph.output(y)
    if op == "ethos-u":
        builder.metadata("OfflineMemoryAllocation", bytes(16))
    return builder.build()


def images(count: int = 40) -> np.ndarray:
    """Smooth images, int8 [count, 32, 32, 3]."""
    noise = np.random.default_rng(0).normal(size=(count, *SHAPE)).cumsum(1).cumsum(2)
    return np.clip(np.round(noise / np.abs(noise).max((1, 2, 3), keepdims=True) * 120), -128, 127).astype(np.int8)


def convert(content: bytes, data: np.ndarray | None = None, execution: str = "ops", **options: object) -> dict:
    Path("m.tflite").write_bytes(content)
    calibration = CalibrationOptions()
    if data is not None:
        np.save("x.npy", data)
        calibration = CalibrationOptions(data=Path("x.npy"))
    chosen = ConvertOptions(calibration=calibration, execution=execution, **options)
    return api.convert("m.tflite", options=chosen, overwrite=True).report


def evaluate(data: np.ndarray, **options: object) -> dict:
    np.save("x.npy", data)
    return api.evaluate("m_fmtc.tflite", "m.tflite", options=EvaluateOptions(data="x.npy", **options))


# --- real values for quantized inputs ---------------------------------------------------------------------------------


def test_the_arrays_that_a_model_was_quantized_with_calibrate_it() -> None:
    """float32 gives what the same values, quantized by hand, give: the same file, byte for byte."""
    real = ((images().astype(np.float32) + 5) / 64).astype(np.float32)
    convert(network(), images())
    by_hand = Path("m_fmtc.tflite").read_bytes()
    convert(network(), real)
    assert Path("m_fmtc.tflite").read_bytes() == by_hand
    assert evaluate(real)["comparison"]["fidelity"] == evaluate(images())["comparison"]["fidelity"]


# --- kernels that refuse a model --------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _nothing_was_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_runner, "_announced", set())


@pytest.mark.parametrize("lossy", [False, True])
def test_models_that_only_the_default_kernels_run(lossy: bool, caplog: pytest.LogCaptureFixture) -> None:
    report = convert(with_logistic(), images() if lossy else None)
    assert [site["decision"] for site in report["sites"]] == ["coded"] * 3
    assert report["fidelity"]["bit_exact"] is not lossy
    (line,) = caplog.messages
    assert (
        "with built-in kernels the runtime ai_edge_litert refuses the model when preparing it: op 3 (LOGISTIC" in line
    )
    assert "the runtime's default kernels run it and are used instead" in line
    fidelity = evaluate(images())["comparison"]["fidelity"]
    assert (fidelity["relative_mse_mean"] == 0) is not lossy


def test_inner_tensors_under_the_default_kernels_are_those_of_the_network_without_the_op() -> None:
    sample = {"image": images(1)}
    file, without = ModelFile.parse(with_logistic()), ModelFile.parse(network())
    runner, expected = ModelRunner(file), ModelRunner(without, kernels="xnnpack")
    assert runner.fell_back
    runner.run(sample)
    expected.run(sample)
    block2 = next(tensor for tensor in file.model.subgraphs[0].tensors if tensor.name == "block2")
    found = runner.read(block2)
    assert found.std() > 1
    np.testing.assert_array_equal(found, expected.read(without.model.subgraphs[0].outputs[0]))
    assert ModelRunner(without, like=runner).fell_back
    assert not ModelRunner(without).fell_back


def test_models_that_no_kernels_run_are_refused() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = body(graph, graph.input("image", [1, *SHAPE], scale=1 / 64))
    y = graph.tensor("y", [1, 7, 7, 8])
    graph.op(
        "RESHAPE", [x, graph.constant("shape", np.array([1, 7, 7, 8], np.int32), 0)], [y], schema.ReshapeOptionsT()
    )
    graph.output(y)
    with pytest.raises(UnsupportedModelError, match="when preparing it: op 3"):
        convert(builder.build())


def test_regions_of_models_that_only_the_default_kernels_run() -> None:
    report = convert(with_logistic(), execution="regions")
    assert (report["fidelity"]["bit_exact"], report["kernels"]) == (True, "xnnpack")


# --- weights that are no plain constants ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"plain", "float"}))
def test_weights_in_any_form_are_coded_as_plain_ones_are(form: str, caplog: pytest.LogCaptureFixture) -> None:
    """4-bit weights, and those behind a TRANSPOSE or DENSIFY, of a grouped convolution."""
    data = images(24)[:, :16, :16]
    plain, other = (convert(with_weights(each, groups=2), data, max_kl=0.02) for each in ("plain", form))
    assert {site["transform"] for site in plain["sites"]} == {"step"}
    assert (other["sites"], other["fidelity"]) == (plain["sites"], plain["fidelity"])


def test_weights_behind_a_dequantize() -> None:
    Path("m.tflite").write_bytes(with_weights("float", groups=2))
    np.save("x.npy", images(24)[:, :16, :16])
    options = ConvertOptions(calibration=CalibrationOptions(data=Path("x.npy")), max_kl=0.02)
    result = api.convert("m.tflite", options=options)
    assert [site["tensor"] for site in result.report["sites"]] == ["stem", "middle", "before"]
    assert {site["transform"] for site in result.report["sites"]} == {"step"}
    assert not any("gradient" in line for line in result.warnings)


def test_four_bit_weights_are_the_reason_why_regions_leave_an_op_out() -> None:
    with pytest.raises(NothingToDoError, match="its weights are INT4"):
        convert(with_weights("four bits"), execution="regions")


def test_ops_through_which_no_gradient_is_known_are_told() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = body(graph, graph.input("image", [1, *SHAPE], scale=1 / 64, zero_point=-5))
    graph.output(graph.conv(graph.unary("ABS", x, name="size"), 4, name="scores"))
    Path("m.tflite").write_bytes(builder.build())
    np.save("x.npy", images(24))
    options = ConvertOptions(calibration=CalibrationOptions(data=Path("x.npy")), max_kl=0.02)
    result = api.convert("m.tflite", options=options, dry_run=True)
    (line,) = (line for line in result.warnings if "gradient" in line)
    assert line.startswith(
        "no gradient is known through ABS (such as at 'size'): what loss costs in 3 of the feature maps"
    )
    assert result.report["fidelity"]["relative_mse_mean"] <= 0.02


# --- open sizes -------------------------------------------------------------------------------------------------------


def test_open_height_and_width_are_the_reason_and_can_be_fixed() -> None:
    reason = r"input 'image' has the open shape 1,\?,\?,3, .* fix it with --input_shape 'image:1,\?,\?,3'"
    for execution in ("ops", "regions"):
        with pytest.raises(UnsupportedModelError, match=reason):
            convert(with_open_size(), execution=execution)
    with pytest.raises(UnsupportedModelError, match=reason):
        api.profile("m.tflite")
    shapes = (("image", (1, *SHAPE)),)
    report = convert(with_open_size(), input_shapes=shapes)
    assert [site["shape"] for site in report["sites"]] == [[1, 32, 32, 16], [1, 32, 32, 16]]
    assert evaluate(images(), input_shapes=shapes)["comparison"]["fidelity"]["relative_mse_mean"] == 0
    done = subprocess.run(
        [BIN / "fmtc-profile", "m.tflite", "--compare", "m_fmtc.tflite", "--input_shape", "image:1,32,32,3"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "original and converted: sha256 of the original in the converted model's" in done.stdout


# --- compiled models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "target"),
    [("ethos-u", "an Arm Ethos-U"), ("edgetpu-custom-op", "a Coral Edge TPU"), ("DISPATCH_OP", "an NPU")],
)
def test_compiled_models_are_told_from_others(op: str, target: str) -> None:
    for execution in ("ops", "regions"):
        with pytest.raises(
            UnsupportedModelError, match=f"compiled for {target}.* give the file from before the compiler"
        ):
            convert(compiled(op), execution=execution)
    (note,) = (note for note in api.profile("m.tflite")["models"][0]["notes"] if "opaque" in note)
    assert f"{op} is opaque: the model was compiled for {target}" in note
    assert "these figures are not the model's" in note


# --- data of the wrong form -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "hint"),
    [
        (np.zeros(SHAPE, np.uint8), r"the dimension of samples is missing: save x\[None\]"),
        (np.zeros((3, 32, 32), np.uint8), r"the dimension of samples is missing"),
        (np.zeros((5, 32, 32), np.uint8), "the dimension of channels is missing: save 3 of them"),
    ],
)
def test_missing_dimensions_are_named(array: np.ndarray, hint: str) -> None:
    np.save("x.npy", array)
    specs = input_specs_from_model(load_model(network()))
    with pytest.raises(CalibrationError, match=hint):
        open_dataset("x.npy", input_specs=specs, preprocessing=Preprocessing("raw"))


def test_git_lfs_pointers_in_the_place_of_models() -> None:
    Path("m.tflite").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n")
    done = subprocess.run([BIN / "fmtc-convert", "m.tflite"], capture_output=True, text=True)
    assert done.returncode == 2
    assert (
        "m.tflite: not a TFLite model: it is a Git LFS pointer, which stands for the file; run `git lfs pull`"
        in done.stderr
    )


# --- selection --------------------------------------------------------------------------------------------------------


def test_maps_are_selected_by_number_type_and_shape() -> None:
    coded = {
        "op:1": ["block1"],
        "type:CONV_2D shape:32x32x*": ["stem", "block1"],
        "name:block": ["block1"],
    }
    for include, expected in coded.items():
        report = convert(network(), include=include)
        assert [site["tensor"] for site in report["sites"] if site["decision"] == "coded"] == expected, include
    Path("r.json").write_text(json.dumps({"sites": [{"tensor": "op:0", "transform": "lossless"}]}))
    report = convert(network(), recipe=Path("r.json"), exclude="op:1")
    assert [site["reason"] for site in report["sites"]] == [None, "matched by --exclude"]


def test_ops_are_selected_for_regions() -> None:
    report = convert(network(), execution="regions", exclude="op:2")
    assert [region["ops"] for region in report["regions"]] == [["CONV_2D", "CONV_2D"]]
    ops = load_model(Path("m.tflite")).subgraphs[0].ops
    stages = report["regions"][0]["stages"]
    assert [ops[stage["last_op"]].outputs[0].name for stage in stages] == [stage["last"] for stage in stages]
    result = api.convert("m.tflite", options=ConvertOptions(exclude="op:99"), dry_run=True)
    assert result.warnings == ("--exclude 'op:99' matches nothing",)


def test_the_table_names_tests_that_exist(repository: Path) -> None:
    page = (repository / "docs" / "supported_models.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|") and not line.startswith(("|---", "| kind"))]
    named = [re.findall(r"`((?:e2e|unit)/[\w/]+\.py)`", row) for row in rows]
    assert all(named), rows
    assert [name for names in named for name in names if not (repository / "tests" / name).is_file()] == []
