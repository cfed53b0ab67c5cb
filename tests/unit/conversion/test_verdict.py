"""What a lossy conversion says of its outputs: within or above the bound, uncertain, far off, bounded by nothing."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.fidelity.judgement import change_warning, uncertainty_warning, upper_end
from fmtc_tflite.fidelity.metrics import MeanResult
from fmtc_tflite.types import CalibrationOptions, ConvertOptions
from model_builder import ModelBuilder

QUICK = frozenset({"allocation"})
DEMO = importlib.resources.files("fmtc_tflite") / "demo"


def convert(content: bytes, data: Path, **options: object) -> ConversionResult:
    calibration = CalibrationOptions(data=data, num_samples=70)
    return convert_content(content, ConvertOptions(calibration=calibration, execution="ops", **options))


def demo(folder: Path, **options: object) -> ConversionResult:
    with (DEMO / "demo_samples.npz").open("rb") as file:
        np.savez(folder / "demo.npz", **np.load(file))
    return convert((DEMO / "demo_int8.tflite").read_bytes(), folder / "demo.npz", **options)


def recipe(folder: Path, **rule: object) -> Path:
    path = folder / "recipe.json"
    path.write_text(json.dumps({"sites": [{"tensor": ".", **rule}]}))
    return path


def network(last_weights: np.ndarray | None = None, output_zero_point: int = 0) -> bytes:
    """Two convolutions and a classifier."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 16, 16, 3]), 8, 3, activation="RELU", name="a", scale=0.3, zero_point=-128)
    x = graph.conv(x, 8, 3, activation="RELU", name="b", scale=2.0, zero_point=-128)
    flat = graph.reshape(x, [1, 2048])
    weights = builder.rng.integers(-127, 128, (4, 2048)).astype(np.int8) if last_weights is None else last_weights
    logits = graph.tensor("logits", [1, 4], scale=9.0, zero_point=output_zero_point)
    graph.op("FULLY_CONNECTED", [flat, graph.constant("w", weights, 0.01), None], [logits], version=4)
    graph.output(logits)
    return builder.build()


def noise(folder: Path) -> Path:
    maps = np.random.default_rng(0).normal(size=(60, 16, 16, 3)).cumsum(1) * 20
    np.save(folder / "x.npy", np.clip(maps, -128, 127).astype(np.int8))
    return folder / "x.npy"


def test_a_bound_that_is_kept(tmp_path: Path) -> None:
    result = demo(tmp_path, max_kl=0.15)
    assert result.verdict == "outputs change, within --max_kl 0.15; --lossless keeps them"
    assert not [line for line in result.warnings if "far from" in line]


def test_a_recipe_that_misses_the_bound(tmp_path: Path) -> None:
    result = demo(tmp_path, recipe=recipe(tmp_path, transform="step", step=200))
    assert result.report["fidelity"]["kl_mean"] > 0.2
    assert result.verdict.startswith("outputs change, above --max_kl 0.02: the recipe's steps are too coarse")
    assert "the recipe's steps leave the outputs above --max_kl 0.02" in result.warnings
    assert [line for line in result.warnings if "far from the original's" in line and "above 0.2" in line]
    assert not [line for line in result.warnings if "uncertain" in line]  # it is above, for certain


@pytest.mark.parametrize(
    "options",
    [
        {"max_bits_per_value": 0.4, "disable": QUICK},
        {"max_kl": 5.0, "disable": QUICK},
        {"max_accuracy_drop": 0.9, "disable": QUICK},
        {"preset": "paper", "paper_bits": 2.0},
    ],
)
def test_far_outputs_are_told_in_every_mode(tmp_path: Path, options: dict) -> None:
    result = demo(tmp_path, **options)
    fidelity = result.report["fidelity"]
    far = fidelity["kl_mean"] > 0.2 or upper_end(fidelity["top1_agreement"], fidelity["num_samples"]) < 0.95
    assert far
    assert [line for line in result.warnings if "the outputs are far from the original's: " in line]


def test_nothing_lossy_is_said(tmp_path: Path) -> None:
    result = demo(tmp_path, recipe=recipe(tmp_path, transform="lossless"))
    assert result.report["fidelity"]["bit_exact"]
    assert result.verdict == "nothing is coded with loss: the recipe asks for none"
    tight = demo(tmp_path, max_kl=1e-9, disable=QUICK)
    assert tight.verdict.startswith("nothing is coded with loss: no loss")
    assert "--max_kl 1e-09" in tight.verdict
    assert demo(tmp_path, lossless=True).verdict == ""


def test_outputs_that_never_change_bound_nothing(tmp_path: Path) -> None:
    constant = convert(network(np.zeros((4, 2048), np.int8)), noise(tmp_path))
    (line,) = (line for line in constant.warnings if "nothing bounds the loss" in line)
    assert line.startswith("'logits' is the same for all 30 held-back samples, whatever the input")
    (verdict,) = {constant.verdict}
    assert verdict == "outputs are the same on 30 samples, within --max_kl 0.02; --lossless keeps them"


def test_outputs_of_another_sample_each_are_no_constant(tmp_path: Path) -> None:
    result = convert(network(), noise(tmp_path), max_kl=0.1)
    assert not [line for line in result.warnings if "whatever the input" in line]


def test_the_interval_of_a_share() -> None:
    assert upper_end(0.9, 100) == pytest.approx(0.9448, abs=1e-4)  # the values of published tables
    assert upper_end(0.0, 10) == pytest.approx(0.2775, abs=1e-4)
    assert upper_end(1.0, 1) == 1.0


def test_warnings_of_measured_figures() -> None:
    close, far = MeanResult(0.01, 0.001, 200), MeanResult(0.21, 0.001, 200)
    assert change_warning("kl", close, 0.93) is None  # up to 95.8 %
    assert "same top-1 on 90.0 % (at most 93.4 %" in (change_warning("kl", close, 0.9) or "")
    assert "relative MSE 0.21, above 0.2" in (change_warning("relative_mse", far, None) or "")
    assert uncertainty_warning(MeanResult(0.001, 0.006, 10), 0.02) is None  # far below, whatever the error
    assert uncertainty_warning(MeanResult(0.1, 0.006, 10), 0.02) is None
    assert "uncertain: 0.015 +- 0.006" in (uncertainty_warning(MeanResult(0.015, 0.006, 10), 0.02) or "")
    assert uncertainty_warning(MeanResult(0.01, float("nan"), 1), 0.02) is not None
