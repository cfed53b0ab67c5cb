"""--refit: weights that make good for what coding loses, and what is known of them afterwards."""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from fmtc_tflite.calibration.projection import signed_zero_point
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.conversion import folding, refit
from fmtc_tflite.conversion.build import Refit
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.errors import UnsupportedModelError, UsageError
from fmtc_tflite.fidelity.metrics import MeanResult
from fmtc_tflite.graph.coded_maps import coded_maps, folded_kernels
from fmtc_tflite.graph.edits.restore import restore
from fmtc_tflite.graph.model import Model
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import METADATA_NAME, REFIT_METADATA_NAME, RESTORE_METADATA_NAME
from fmtc_tflite.graph.operators.constants import constant
from fmtc_tflite.graph.operators.window import op_window, operand
from fmtc_tflite.graph.schema import schema
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.restoration import without_our_ops
from fmtc_tflite.runtime.interpreter import chosen_runtime, has_vectors
from fmtc_tflite.types import CalibrationOptions, ConvertOptions
from model_builder import ModelBuilder

PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "report_schema.json").read_text())


@pytest.fixture(scope="module")
def content() -> bytes:
    return (PACKAGE / "demo" / "demo_int8.tflite").read_bytes()


@pytest.fixture(scope="module")
def calibration() -> CalibrationOptions:
    return CalibrationOptions(data=Path(str(PACKAGE / "demo" / "demo_samples.npz")), num_samples=120)


def convert(content: bytes, calibration: CalibrationOptions, **options: Any) -> ConversionResult:
    return convert_content(content, ConvertOptions(calibration=calibration, execution="ops", max_kl=0.2, **options))


@pytest.fixture(scope="module")
def plain(content: bytes, calibration: CalibrationOptions) -> ConversionResult:
    return convert(content, calibration)


@pytest.fixture(scope="module")
def refitted(content: bytes, calibration: CalibrationOptions) -> ConversionResult:
    return convert(content, calibration, refit=True)


def constants(model: Model) -> dict[str, bytes]:
    tensors = [t for t in model.subgraphs[0].tensors if t.data is not None]
    return {t.name: t.data.tobytes() for t in tensors if t.data is not None}


def test_the_outputs_come_nearer(plain: ConversionResult, refitted: ConversionResult) -> None:
    (own,) = refitted.report["refit"]
    before, after = plain.report["fidelity"]["kl_mean"], refitted.report["fidelity"]["kl_mean"]
    assert own["ops"]
    assert (own["divergence_before"], own["divergence_after"]) == (before, after)
    assert after < before
    assert all(0 <= op["error_ratio"] < 1 for op in own["ops"])
    gain = own["cross_validated_gain"]
    assert gain["mean"] > gain["std_error"] > 0
    assert gain["num_samples"] == 120 - 36  # all that are not held back
    jsonschema.validate(refitted.report, SCHEMA)
    assert "refit" not in plain.report


def test_only_those_weights_change_and_no_scale_does(
    content: bytes, plain: ConversionResult, refitted: ConversionResult
) -> None:
    original, without, own = load_model(content), load_model(plain.content), load_model(refitted.content)
    ops = original.subgraphs[0].ops
    changed = {ops[op["op"]] for op in refitted.report["refit"][0]["ops"]}
    expected = {operand(op, i).name for op in changed for i in (1, 2)}
    folded = {m.side.name for m in coded_maps(own.subgraphs[0]) if m.is_folded}
    old, new = constants(without), constants(own)
    assert old.keys() == new.keys()
    differing = {name for name in old if old[name] != new[name]}
    assert differing
    assert differing <= expected | folded
    for a, b in zip(without.subgraphs[0].tensors, own.subgraphs[0].tensors, strict=True):
        assert (a.name, a.shape, a.type) == (b.name, b.shape, b.type)
        assert a.quantization is None or np.array_equal(a.quantization.scale, b.quantization.scale)


def test_the_file_says_which_and_is_not_restored(refitted: ConversionResult, plain: ConversionResult) -> None:
    model = load_model(refitted.content)
    names = [op["tensor"] for op in refitted.report["refit"][0]["ops"]]
    assert json.loads(model.metadata[REFIT_METADATA_NAME]) == names
    assert json.loads(model.metadata[METADATA_NAME])["refit"] == refitted.report["refit"]
    assert RESTORE_METADATA_NAME not in model.metadata
    for take_out in (restore, without_our_ops):
        with pytest.raises(UnsupportedModelError, match=r"--refit changed weights .* use the original model"):
            take_out(load_model(refitted.content))
    without_our_ops(load_model(plain.content))


def test_threads_change_nothing(
    content: bytes, calibration: CalibrationOptions, refitted: ConversionResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fmtc_tflite.inference.parallel.runs_briefly", lambda model: False)
    for num_threads in (1, 3):
        assert convert(content, calibration, refit=True, num_threads=num_threads).content == refitted.content


@pytest.mark.parametrize("found", ["nothing", "harm"])
def test_what_does_no_good_leaves_every_byte(
    found: str,
    content: bytes,
    calibration: CalibrationOptions,
    plain: ConversionResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted = refit._fitted

    def harmful(*args: Any) -> tuple[list[Refit], list[refit.LeftAlone], MeanResult | None]:
        refits, alone, gain = fitted(*args)
        return ([replace(r, weights=np.zeros_like(r.weights)) for r in refits] if found == "harm" else []), alone, gain

    monkeypatch.setattr(refit, "_fitted", harmful)
    result = convert(content, calibration, refit=True)
    assert result.content == plain.content
    (own,) = result.report["refit"]
    assert own["ops"] == []
    assert (own["divergence_after"] is None) == (found == "nothing")
    jsonschema.validate(result.report, SCHEMA)


class Measured:
    """Divergences of ten samples, each with all candidates whose names are given; 1 without any."""

    def __init__(self, effects: dict[str, list[float]]) -> None:
        self.effects = effects

    def measure(self, candidates: list[str]) -> np.ndarray:
        return 1 + sum((np.array(self.effects[name]) for name in candidates), np.zeros(10))


@pytest.mark.parametrize(
    ("effects", "kept"),
    [
        ({"good": [-0.5] * 9 + [0.1]}, ["good"]),
        ({"good": [-0.5] * 9 + [0.1], "bad": [0.2] * 10}, ["good"]),
        ({"chance": [-0.9] + [0.09] * 9}, []),
        ({"bad": [0.2] * 10}, []),
        ({}, []),
    ],
)
def test_what_could_be_chance_is_not_kept(effects: dict[str, list[float]], kept: list[str]) -> None:
    found, gain = refit._chosen(Measured(effects), list(effects))  # type: ignore[arg-type]
    assert found == kept
    assert (gain is None) == (not effects)


def test_cross_validation_measures_with_weights_that_were_not_fitted_on_the_samples(
    content: bytes, calibration: CalibrationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, seen = refit._best, list[tuple[int, bool]]()

    def watched(consumer: Any, folds: Any) -> Any:
        candidate = best(consumer, folds)
        if candidate is not None:
            for fold, without in enumerate(candidate.without):
                others = refit.NormalEquations.total([f for f in folds if f is not folds[fold]])
                changes = [others.fitted(ridge) for ridge in refit._RIDGES]
                fitted = [consumer.with_change(c, 0.0).weights for c in changes if c is not None]
                seen.append((fold, any(np.array_equal(without.weights, weights) for weights in fitted)))
        return candidate

    monkeypatch.setattr(refit, "_best", watched)
    convert(content, calibration, refit=True)
    assert {fold for fold, _ in seen} == set(range(4))
    assert all(is_one for _, is_one in seen)


def test_folded_convolutions_compute_with_their_new_weights(content: bytes, refitted: ConversionResult) -> None:
    """What decoders have is what folding a graph with the new weights would give."""
    own, graph = load_model(refitted.content), load_model(content)
    kernels = KernelSet(str(folded_kernels(own)), "x86_64", has_vectors(chosen_runtime(None)))
    sides = {m.name: m.side for m in coded_maps(own.subgraphs[0]) if m.is_folded}
    checked = 0
    for site in find_sites(graph):
        if site.name not in sides:
            continue
        data = sides[site.name].data
        assert data is not None
        info = SideInformation.from_bytes(data.tobytes()).convolution
        before = folding.folded_convolution(site, kernels)
        assert info is not None
        assert before is not None
        if np.array_equal(info.weights, before.weights):
            assert np.array_equal(info.biases, before.biases)
            continue
        # The biases that the graph would have, from which side information's must follow.
        zero = signed_zero_point(operand(site.producer, 0)) + 128
        shift = zero * info.weights.astype(np.int64).sum(1)
        operand(site.producer, 1).buffer.data = np.frombuffer(info.weights.tobytes(), np.uint8)
        operand(site.producer, 2).buffer.data = np.frombuffer((info.biases + shift).astype("<i4").tobytes(), np.uint8)
        after = folding.folded_convolution(site, kernels)
        assert after is not None
        assert after.sections() == info.sections()
        checked += 1
    assert checked


FORMS: dict[str, dict[str, Any]] = {
    "same": {"kernel": 3},
    "strided": {"kernel": 3, "stride": 2},
    "valid": {"kernel": 2, "valid": True, "stride": 2},
    "dilated": {"kernel": 3, "dilation": 2},
    "pointwise": {"kernel": 1},
    "grouped": {"kernel": 3, "groups": 2},
    "depthwise": {"kernel": 3, "stride": 2, "depthwise": True},
}


def one_op(
    kernel: int, stride: int = 1, dilation: int = 1, valid: bool = False, groups: int = 1, depthwise: bool = False
) -> bytes:
    """A convolution of a 9x7x8 input that 8-bit outputs do not clip."""
    builder = ModelBuilder(seed=3)
    graph = builder.graph()
    x = graph.input("x", [1, 9, 7, 8], scale=0.1, zero_point=-5)
    shape = (1, kernel, kernel, 8) if depthwise else (12, kernel, kernel, 8 // groups)
    outputs = 8 if depthwise else 12
    scales = np.linspace(0.01, 0.02, outputs)
    weights = graph.constant("weights", builder.rng.integers(-127, 128, shape).astype(np.int8), scales)
    if depthwise:
        graph.subgraph.tensors[weights.index].quantization.quantizedDimension = 3
    bias = graph.constant("bias", builder.rng.integers(-3000, 3000, outputs).astype(np.int32), scales * 0.1)
    extent = (kernel - 1) * dilation + 1
    size = [(n + stride - extent) // stride if valid else -(-n // stride) for n in (9, 7)]
    y = graph.output(graph.tensor("y", [1, *size, outputs], scale=4.0, zero_point=4))
    common = {
        "strideH": stride,
        "strideW": stride,
        "dilationHFactor": dilation,
        "dilationWFactor": dilation,
        "padding": schema.Padding.VALID if valid else schema.Padding.SAME,
    }
    if depthwise:
        options = schema.DepthwiseConv2DOptionsT(**common, depthMultiplier=1)
        graph.op("DEPTHWISE_CONV_2D", [x, weights, bias], [y], options, version=3)
    else:
        graph.op("CONV_2D", [x, weights, bias], [y], schema.Conv2DOptionsT(**common), version=3)
    return builder.build()


@pytest.mark.parametrize("form", FORMS)
def test_what_outputs_read_is_what_the_runtime_computes_with(form: str) -> None:
    file = ModelFile.parse(one_op(**FORMS[form]))
    op = file.model.subgraphs[0].ops[0]
    assert refit._reason(op, refit._uses(file.model)) is None
    depth = 1 if op.opcode == "DEPTHWISE_CONV_2D" else operand(op, 1).shape[3]
    consumer = refit._Consumer(0, op, None, op_window(op), 8 // depth)  # type: ignore[arg-type]
    x = np.random.default_rng(5).integers(-128, 128, (1, 9, 7, 8)).astype(np.int8)
    sums = consumer.weights @ np.swapaxes(consumer.inputs(x), 1, 2)
    sums = sums.reshape(-1, sums.shape[2]) + constant(operand(op, 2))[:, None]
    scales = np.asarray(operand(op, 1).quantization.scale, np.float64) * 0.1 / 4
    expected = np.clip(sums * scales[:, None] + 4, -128, 127)
    runner = ModelRunner(file)
    runner.run({"x": x})
    y = runner.read(file.model.subgraphs[0].outputs[0])
    assert np.abs(y.reshape(-1, len(sums)).T - expected).max() <= 0.51
    assert len(np.unique(y)) > 20


def test_a_change_has_the_form_that_the_op_has() -> None:
    for form in ("grouped", "depthwise"):
        op = ModelFile.parse(one_op(**FORMS[form])).model.subgraphs[0].ops[0]
        depth = 1 if form == "depthwise" else operand(op, 1).shape[3]
        consumer = refit._Consumer(0, op, None, op_window(op), 8 // depth)  # type: ignore[arg-type]
        nothing = refit.Change(
            np.zeros(consumer.weights.shape, np.int64), np.zeros(consumer.weights.shape[:2], np.int64)
        )
        same = consumer.with_change(nothing, 0.5)
        assert same.weights.tobytes() == constant(operand(op, 1)).tobytes()
        assert same.biases.tobytes() == constant(operand(op, 2)).tobytes()


def test_shared_weights_stay() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 8, 8, 4]), 4, name="first")
    y = graph.conv(x, 4, name="second")
    graph.subgraph.operators[1].inputs = [x.index, *graph.subgraph.operators[0].inputs[1:]]
    graph.output(y)
    model = load_model(builder.build())
    reason = refit._reason(model.subgraphs[0].ops[1], refit._uses(model))
    assert reason == "its weights or bias have another use"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lossless": True}, "--refit changes weights"),
        ({"calibration": CalibrationOptions()}, "--refit changes weights"),
        ({"execution": "regions"}, "--refit has no meaning with --execution regions"),
        ({"target": "micro"}, "--refit has no meaning with --execution regions"),
        ({"preset": "paper"}, "--refit has no meaning with it"),
    ],
)
def test_where_it_has_no_meaning(
    options: dict[str, Any], said: str, content: bytes, calibration: CalibrationOptions
) -> None:
    with pytest.raises(UsageError, match=said):
        convert_content(content, ConvertOptions(**{"calibration": calibration, "refit": True, **options}))
