"""Constraints on accuracy and rate, budgets of coded tensors, and parts that are left out."""

from __future__ import annotations

import importlib.resources
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.calibration import passes
from fmtc_tflite.conversion.bounds import FidelityBound
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.errors import CalibrationError, NothingToDoError, UsageError
from fmtc_tflite.types import DISABLED_PARTS, CalibrationOptions, ConvertOptions

DEMO = importlib.resources.files("fmtc_tflite") / "demo"


@pytest.fixture(scope="module")
def content() -> bytes:
    return (DEMO / "demo_int8.tflite").read_bytes()


@pytest.fixture(scope="module")
def samples() -> dict[str, np.ndarray]:
    with (DEMO / "demo_samples.npz").open("rb") as file:
        return dict(np.load(file))


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory, samples: dict[str, np.ndarray]) -> CalibrationOptions:
    path = tmp_path_factory.mktemp("data") / "samples.npz"
    np.savez(path, **samples)
    return CalibrationOptions(data=path, num_samples=80)


def convert(content: bytes, calibration: CalibrationOptions, **options: object) -> ConversionResult:
    return convert_content(content, ConvertOptions(calibration=calibration, execution="ops", **options))  # type: ignore[arg-type]


def test_an_accuracy_drop(content: bytes, calibration: CalibrationOptions) -> None:
    tight = convert(content, calibration, max_accuracy_drop=0.04).report
    loose = convert(content, calibration, max_accuracy_drop=0.3).report
    drop = tight["fidelity"]["accuracy_drop"]
    assert drop["mean"] + drop["std_error"] <= 0.04
    assert loose["totals"]["bits_per_value"] < tight["totals"]["bits_per_value"]


def test_an_accuracy_drop_needs_labels(
    content: bytes, calibration: CalibrationOptions, samples: dict[str, np.ndarray], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", samples["x"])
    with pytest.raises(UsageError, match="--max_accuracy_drop needs labels"):
        convert(content, replace(calibration, data=tmp_path / "x.npy"), max_accuracy_drop=0.01)
    np.savez(tmp_path / "wrong.npz", x=samples["x"], y=samples["y"] + 1000)
    with pytest.raises(CalibrationError, match="expected a class of 0 to"):
        convert(content, replace(calibration, data=tmp_path / "wrong.npz"), max_accuracy_drop=0.01)


def test_tables_are_fitted_once_the_bound_is_kept(
    content: bytes, calibration: CalibrationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    fitted = passes.residual_histograms
    monkeypatch.setattr(passes, "residual_histograms", lambda *args: made.append(1) or fitted(*args))
    monkeypatch.setattr(FidelityBound, "search", lambda self: 4.0)  # beyond the bound
    report = convert(content, calibration, max_kl=0.05).report
    assert report["fidelity"]["kl_mean"] <= 0.05
    assert len(made) == 1


def test_budgets_are_kept_and_their_use_is_told(content: bytes, calibration: CalibrationOptions) -> None:
    free = convert(content, calibration, max_kl=0.05).report
    tight = convert(content, calibration, max_kl=0.05, capacity_percentile=50.0, capacity_margin=1.0).report
    lossy = [s for s in tight["sites"] if s["coarsened_share"] is not None]
    assert lossy
    assert all(s["coded_bytes"]["max"] <= s["capacity_bytes"] for s in lossy)
    assert max(s["coarsened_share"] for s in lossy) > 0
    capacity = [sum(s["capacity_bytes"] or 0 for s in report["sites"]) for report in (free, tight)]
    assert capacity[1] < capacity[0]
    assert all(s["coarsened_share"] is None for s in free["sites"])
    assert tight["fidelity"]["kl_mean"] <= 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity_percentile": 0.0}, "--capacity_percentile 0: expected above 0"),
        ({"capacity_margin": -1.0}, "--capacity_margin -1: expected a positive number"),
        ({"capacity_margin": 1.2, "lossless": True}, "need lossy maps"),
        ({"max_kl": 0.1, "max_accuracy_drop": 0.1}, "--max_kl and --max_accuracy_drop exclude each other"),
        ({"max_accuracy_drop": 0.0}, "--max_accuracy_drop 0.0 is not a positive number"),
        ({"disable": frozenset({"tables"})}, "disable: got tables"),
    ],
)
def test_options_that_make_no_sense(calibration: CalibrationOptions, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ConvertOptions(calibration=calibration, **options).check()


def test_a_rate_that_cannot_be_met(content: bytes, calibration: CalibrationOptions) -> None:
    with pytest.raises(NothingToDoError, match=r"0\.01 cannot be met: the coarsest coding still takes about 0\.\d"):
        convert(content, calibration, max_bits_per_value=0.01)


def test_a_klt_without_enough_samples_falls_back(
    content: bytes, calibration: CalibrationOptions, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"sites": [{"tensor": ".", "transform": "klt", "step": 2}]}')
    result = convert(content, replace(calibration, num_samples=2), recipe=recipe)
    transforms = {site["transform"] for site in result.report["sites"] if site["decision"] == "coded"}
    fallen = [line for line in result.warnings if "are too few for a KLT of" in line]
    assert fallen
    assert "step" in transforms


@pytest.mark.parametrize("part", DISABLED_PARTS)
def test_parts_can_be_left_out(content: bytes, calibration: CalibrationOptions, part: str) -> None:
    few = replace(calibration, num_samples=60)
    result = convert(content, few, max_kl=0.1, disable=frozenset({part}))
    assert result.report["fidelity"]["kl_mean"] <= 0.1
    transforms = {site["transform"] for site in result.report["sites"]}
    without = {"klt": "klt", "folding": "folded_klt", "copies": "copy"}
    if part in without:
        assert without[part] not in transforms
