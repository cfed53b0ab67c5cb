"""Regions whose coded cuts lose something: within the bound, exactly as said, and all tools say it."""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from fmtc_tflite.api import convert, evaluate, profile, restore
from fmtc_tflite.conversion import region_conversion, region_task
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.region_document import format_region_report
from fmtc_tflite.conversion.region_verification import RegionVerification
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.errors import UsageError, VerificationError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import program_bytes, region_ops
from fmtc_tflite.regions.coders import ENCODE
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.reference import run_program
from fmtc_tflite.runtime.region import RegionProgram
from fmtc_tflite.types import CalibrationOptions, ConvertOptions, EvaluateOptions
from model_builder import chain

PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "report_schema.json").read_text())
DEMO = Path(str(PACKAGE / "demo" / "demo_int8.tflite"))
SAMPLES = Path(str(PACKAGE / "demo" / "demo_samples.npz"))
DATA = CalibrationOptions(data=SAMPLES)
LOSSY = ConvertOptions(execution="regions", objective="traffic", max_arena=1.2, max_kl=0.02, calibration=DATA)
IMAGENET = CalibrationOptions(data=Path("imagenet/calibration.csv"), central_crop=0.875)


@pytest.fixture(scope="module")
def lossy() -> ConversionResult:
    return convert_content(DEMO.read_bytes(), LOSSY)


@pytest.fixture(scope="module")
def converted(lossy: ConversionResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lossy") / "demo_fmtc.tflite"
    path.write_bytes(lossy.content)
    return path


def programs(content: bytes) -> list[bytes]:
    return [program_bytes(op) for op in region_ops(load_model(content))]


def test_loss_stores_less_within_the_bound(lossy: ConversionResult) -> None:
    report = lossy.report
    jsonschema.validate(report, SCHEMA)
    stored, fidelity = report["stored"], report["fidelity"]
    assert stored["bytes"] < 0.8 * stored["lossless_bytes"] < stored["lossless_bytes"] < stored["raw_bytes"]
    assert not fidelity["bit_exact"]
    assert 0 < fidelity["kl_mean"] <= 0.02
    cuts = [cut for region in report["regions"] for cut in region["cuts"] if cut.get("step")]
    assert len(cuts) == report["loss"]["cuts"] > 0
    assert all(cut["coded_bytes"] < cut["lossless_bytes"] < cut["bytes"] and cut["step"] > 1 for cut in cuts)
    text = format_region_report(report)
    assert "bit-exact" not in text
    assert f"the original's with this loss in {len(cuts)} tensor" in text
    assert "within --max_kl 0.02" in lossy.verdict


def test_only_side_information_differs_from_the_lossless_plan(lossy: ConversionResult) -> None:
    lossless = convert_content(DEMO.read_bytes(), replace(LOSSY, max_kl=None))
    assert lossless.report["fidelity"]["bit_exact"]
    for own, other in zip(programs(lossy.content), programs(lossless.content), strict=True):
        ours, theirs = Program.from_bytes(own), Program.from_bytes(other)
        assert (ours.tensors, ours.passes, ours.scratch_bytes) == (theirs.tensors, theirs.passes, theirs.scratch_bytes)
        for a, b in zip(ours.ops, theirs.ops, strict=True):
            assert (a.kind, a.memory_offset, a.memory_bytes) == (b.kind, b.memory_offset, b.memory_bytes)
    for key in ("raw_bytes", "lossless_bytes"):
        expected = lossless.report["stored"]["bytes" if key == "lossless_bytes" else key]
        assert lossy.report["stored"][key] == pytest.approx(expected)


def test_the_same_bytes_again(lossy: ConversionResult) -> None:
    assert convert_content(DEMO.read_bytes(), LOSSY).content == lossy.content


def test_programs_give_what_the_reference_gives(lossy: ConversionResult) -> None:
    rng = np.random.default_rng(1)
    for content in programs(lossy.content):
        program = Program.from_bytes(content)
        assert any(op.kind == ENCODE for op in program.ops)
        with RegionProgram(content) as native:
            inputs = [rng.integers(-128, 128, (1, *t.shape), np.int8) for t in native.tensors if t.place == 1]
            for own, expected in zip(native.run(inputs), run_program(content, inputs), strict=True):
                assert own.tobytes() == expected.tobytes()


def test_what_is_not_as_said_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_conversion, "simulation", lambda part: part.source.file.content)
    with pytest.raises(VerificationError, match="is not what the graph's ops give"):
        convert_content(DEMO.read_bytes(), LOSSY)


def test_another_divergence_than_that_of_the_search_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_conversion, "fuse_regions", lambda model, regions: None)
    monkeypatch.setattr(region_conversion, "_finish", lambda content, *_: content)
    exact = RegionVerification("", "", 1)
    monkeypatch.setattr(region_conversion, "verify_regions", lambda *_: exact)
    with pytest.raises(VerificationError, match="the regions diverge by kl 0"):
        convert_content(DEMO.read_bytes(), LOSSY)


def test_the_original_comes_back(converted: Path, tmp_path: Path) -> None:
    restored = restore(converted, tmp_path / "restored.tflite")
    assert load_model(restored.read_bytes()).to_bytes() == load_model(DEMO.read_bytes()).to_bytes()


def test_tools_say_what_is_lost(lossy: ConversionResult, converted: Path) -> None:
    document = profile(DEMO, converted)
    fidelity = document["models"][1]["fidelity"]
    assert not fidelity["bit_exact"]
    assert fidelity["mean"] == lossy.report["fidelity"]["kl_mean"]
    measured: dict[str, Any] = evaluate(converted, DEMO, options=EvaluateOptions(data=SAMPLES))["comparison"]
    assert not measured["bit_exact"]
    assert 0 < measured["fidelity"]["kl_mean_nats"] <= 1.25 * 0.02


def test_accuracy_may_bound_the_loss() -> None:
    report = convert_content(DEMO.read_bytes(), replace(LOSSY, max_kl=None, max_accuracy_drop=0.05)).report
    assert report["loss"]["bound"] == "--max_accuracy_drop 0.05"
    assert report["fidelity"]["accuracy_drop"]["mean"] <= 0.05
    assert report["stored"]["bytes"] < report["stored"]["lossless_bytes"]


def test_where_nothing_can_be_lost(tmp_path: Path) -> None:
    """A single stage stores nothing between its ops."""
    content = chain()
    (x,) = load_model(content).subgraphs[0].inputs
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).integers(-128, 128, (8, *x.shape[1:]), np.int8))
    data = CalibrationOptions(data=tmp_path / "data.npz")
    found = convert_content(content, replace(LOSSY, calibration=data))
    assert found.report["fidelity"]["bit_exact"]
    assert not found.report["stored"]["coded_cuts"]
    assert any("nothing is lost" in line for line in found.warnings)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"objective": None}, "--max_kl asks for loss, .* pass --objective traffic, too, or drop --max_kl"),
        ({"objective": "arena"}, "pass --objective traffic, too"),
        ({"max_kl": None, "max_bits_per_value": 2.0}, "--max_bits_per_value has no meaning with --execution regions"),
        ({"capacity_percentile": 99.0}, "--capacity_percentile has no meaning with --execution regions"),
        ({"calibration": CalibrationOptions()}, "--max_kl needs --calibration_data"),
        ({"lossless": True}, "--max_kl and --lossless exclude each other"),
    ],
)
def test_options_that_do_not_go_together(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        convert_content(DEMO.read_bytes(), replace(LOSSY, **more))


def test_a_bound_that_cannot_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before anything is measured or planned."""
    monkeypatch.setattr(region_task, "measure_rates", lambda *_: pytest.fail("too late"))
    with np.load(SAMPLES) as arrays:
        np.savez(tmp_path / "unlabelled.npz", x=arrays["x"])
    unlabelled = CalibrationOptions(data=tmp_path / "unlabelled.npz")
    options = replace(LOSSY, max_kl=None, max_accuracy_drop=0.05, calibration=unlabelled)
    with pytest.raises(UsageError, match="--max_accuracy_drop needs labels"):
        convert_content(DEMO.read_bytes(), options)
    with pytest.raises(UsageError, match="--output_kind"):
        convert_content(DEMO.read_bytes(), replace(LOSSY, output_kind="scores"))


# Upper bounds: of the bytes that lossless cuts take, and of the bound on the divergence on data that it was not set on.
REAL = [
    ("mobilenet_v1_0.25_96_vww_int8", replace(IMAGENET, preprocessing="tf"), 1.2, 0.5),
    pytest.param("mobilenet_v2_1.0_224_int8", IMAGENET, 1.1, 0.7, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "calibration", "max_arena", "most"), REAL)
def test_real_models(
    real_data: Path, tmp_path: Path, name: str, calibration: CalibrationOptions, max_arena: float, most: float
) -> None:
    assert calibration.data is not None
    model, data = real_data / "models" / f"{name}.tflite", real_data / calibration.data
    options = replace(LOSSY, max_arena=max_arena, calibration=replace(calibration, data=data))
    report = convert(model, tmp_path / "converted.tflite", options=options).report
    assert report["stored"]["bytes"] <= most * report["stored"]["lossless_bytes"]
    assert report["fidelity"]["kl_mean"] <= 0.02
    if "vww" in name:  # there are no labels for it
        return
    evaluated = EvaluateOptions(
        data=data.parent / f"evaluation{data.suffix}",
        preprocessing=calibration.preprocessing,
        central_crop=calibration.central_crop,
        label_offset=1 if name.startswith("mobilenet_v2") else None,
    )
    found = evaluate(tmp_path / "converted.tflite", model, options=evaluated)
    assert found["comparison"]["fidelity"]["kl_mean_nats"] <= 1.25 * 0.02
