"""`--objective arena` codes what lives long, and only that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.types import CalibrationOptions, ConvertOptions
from model_builder import ModelBuilder


def long_skip(convolutions: int) -> bytes:
    """An int8 map that waits while `convolutions` others of its size are computed, then is added to the last."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("image", (1, 24, 24, 3), scale=1 / 64)
    skip = y = graph.conv(x, 16, activation="RELU6", name="skip")
    for i in range(convolutions):
        y = graph.conv(y, 16, activation="RELU6", name=f"conv_{i}")
    pooled = graph.max_pool(graph.add(y, skip, name="sum"), 8)
    graph.output(graph.reshape(pooled, (1, 3 * 3 * 16), name="scores"))
    return builder.build()


@pytest.fixture
def smooth_images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :24]
    waves = rng.uniform(0.05, 0.4, (80, 3, 2))
    images = [np.stack([np.sin(y * a + x * b) for a, b in wave], -1) for wave in waves]
    path = tmp_path / "images.npy"
    np.save(path, (np.array(images) * 100 + 128).astype(np.uint8))
    return path


def convert(content: bytes, data: Path, **options: object) -> ConversionResult:
    calibration = CalibrationOptions(data=data, preprocessing="raw")
    chosen = ConvertOptions(calibration=calibration, execution="ops", objective="arena", **options)  # type: ignore[arg-type]
    return convert_content(content, chosen)


def test_a_long_lived_map_is_coded_and_the_plan_gets_smaller(smooth_images: Path) -> None:
    report = convert(long_skip(3), smooth_images, max_kl=0.1).report
    assert [s["tensor"] for s in report["sites"] if s["decision"] == "coded"] == ["skip"]
    skip = report["sites"][0]
    assert skip["capacity_bytes"] < skip["values"]
    arena = report["arena"]
    assert arena["converted_planned_bytes"] <= arena["original_planned_bytes"] - (
        skip["values"] - skip["capacity_bytes"]
    )
    assert report["fidelity"]["kl_mean"] <= 0.1


def test_neighbours_share_a_decode_so_that_nothing_is_gained(smooth_images: Path) -> None:
    with pytest.raises(NothingToDoError, match=r"planned peak of [\d,]+ bytes: op \d+ \(\w+\) needs .*skip"):
        convert(long_skip(1), smooth_images)


def test_lossless_coding_cannot_lower_a_plan(smooth_images: Path) -> None:
    with pytest.raises(NothingToDoError, match="coded with loss"):
        convert(long_skip(3), smooth_images, lossless=True)
