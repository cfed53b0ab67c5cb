"""Real quantized models on real data; needs FMTC_TEST_DATA."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fmtc_tflite.api import convert
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.types import CalibrationOptions, ConvertOptions

CIFAR = CalibrationOptions(data=Path("cifar10/calibration.npz"))
TORCH = replace(CIFAR, preprocessing="torch")
IMAGENET = CalibrationOptions(data=Path("imagenet/calibration.csv"), central_crop=0.875)
KWS = CalibrationOptions(data=Path("kws/calibration.npz"))

# Upper bounds of lossless bits/value; a better coder may lower them.
LOSSLESS = [
    ("resnet8_cifar10_int8", CIFAR, 4.45),
    ("resnet56_cifar10_int8", TORCH, 3.95),
    ("ds_cnn_kws_int8", KWS, 4.4),
    pytest.param("mobilenet_v2_1.0_224_int8", IMAGENET, 4.40, marks=pytest.mark.slow),
]


def options(data: Path, calibration: CalibrationOptions, **more: object) -> ConvertOptions:
    assert calibration.data is not None
    chosen = replace(calibration, data=data / calibration.data)
    return ConvertOptions(calibration=chosen, execution="ops", **more)  # type: ignore[arg-type]


def net_side_information(report: dict[str, Any]) -> int:
    """Bytes beyond the weights that left the graph."""
    return report["totals"]["side_information_bytes"] - report["totals"]["replaced_weight_bytes"]


@pytest.mark.parametrize(("name", "calibration", "most_bits"), LOSSLESS)
def test_lossless(real_data: Path, name: str, calibration: CalibrationOptions, most_bits: float) -> None:
    chosen = options(real_data, calibration, lossless=True)
    report = convert(real_data / "models" / f"{name}.tflite", options=chosen, dry_run=True).report
    assert report["fidelity"]["bit_exact"]
    assert report["totals"]["bits_per_value"] <= most_bits
    assert net_side_information(report) <= 0.25 * report["totals"]["coded_bytes"]["mean"]


@pytest.mark.parametrize("name", ["resnet8_cifar10_int8", "ds_cnn_kws_int8", "mobilenet_v1_0.25_96_vww_int8"])
def test_without_data(real_data: Path, name: str) -> None:
    chosen = ConvertOptions(execution="ops")
    report = convert(real_data / "models" / f"{name}.tflite", options=chosen, dry_run=True).report
    assert report["fidelity"]["bit_exact"]
    assert report["totals"]["bits_per_value"] < 5


@pytest.mark.slow
def test_mobilenet_within_the_default_bound(real_data: Path) -> None:
    chosen = options(real_data, IMAGENET)
    report = convert(real_data / "models" / "mobilenet_v2_1.0_224_int8.tflite", options=chosen, dry_run=True).report
    assert report["fidelity"]["kl_mean"] <= 0.02
    assert report["totals"]["bits_per_value"] <= 2.6
    assert net_side_information(report) <= 0.05 * report["totals"]["coded_bytes"]["mean"]
    assert "folded_klt" in {site["transform"] for site in report["sites"]}


def test_a_model_without_feature_maps(real_data: Path) -> None:
    model, chosen = real_data / "models" / "autoencoder_ad01_int8.tflite", ConvertOptions(execution="ops")
    with pytest.raises(NothingToDoError, match="no feature map"):
        convert(model, options=chosen, dry_run=True)
