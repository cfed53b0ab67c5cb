"""Images with the channels first, as PyTorch has them, and real values for quantized inputs."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmtc_tflite.data.opening import InputSpec, input_specs_from_model, open_dataset
from fmtc_tflite.data.preprocess import Preprocessing
from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.inference.model_runner import ModelRunner
from model_builder import ModelBuilder

HEIGHT, WIDTH = 20, 24
FIRST = InputSpec("image", (1, 3, HEIGHT, WIDTH), np.int8, 1 / 64, -5)
LAST = InputSpec("image", (1, HEIGHT, WIDTH, 3), np.int8, 1 / 64, -5)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def photographs(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)


def normalized(pixels: np.ndarray, spec: InputSpec = LAST) -> np.ndarray:
    """What a program with torch's normalization and the input's quantization feeds, [N, H, W, C]."""
    assert spec.scale is not None
    scaled = (pixels / 255 - MEAN) / STD / spec.scale
    rounded = np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)
    return np.clip(rounded + spec.zero_point, -128, 127).astype(np.int8)


def fed(data: Path, spec: InputSpec, **preprocessing: object) -> np.ndarray:
    dataset = open_dataset(data, input_specs=(spec,), preprocessing=Preprocessing(**preprocessing))
    return np.concatenate([sample[spec.name] for sample in dataset])


@pytest.mark.parametrize(
    ("shape", "is_transposed", "image_shape"),
    [
        ((1, 3, 224, 192), False, (224, 192, 3)),
        ((1, 1, 28, 28), False, (28, 28, 1)),
        ((1, 224, 192, 3), False, (224, 192, 3)),
        ((1, 3, 4, 4), False, (3, 4, 4)),  # as ever where the shape leaves it open
        ((1, 3, 4, 4), True, (4, 4, 3)),
        ((1, 3, 32, 3), False, (3, 32, 3)),
        ((1, 4, 1, 16), False, None),  # four frames
        ((1, 1, 49, 10), False, None),  # a spectrogram
        ((1, 16, 32, 32), True, None),
        ((1, 3, 32, 32, 2), False, None),
    ],
)
def test_which_layout_a_shape_has(
    shape: tuple[int, ...], is_transposed: bool, image_shape: tuple[int, int, int] | None
) -> None:
    assert InputSpec("x", shape, np.int8, 1.0, 0, (), is_transposed).image_shape == image_shape
    assert InputSpec("x", shape, np.int16, 1.0, 0, (), is_transposed).image_shape is None


@pytest.mark.parametrize("spec", [FIRST, LAST], ids=["first", "last"])
@pytest.mark.parametrize("layout", ["images", "NHWC", "NCHW"])
def test_pixels_in_any_layout_reach_the_model_in_its_own(layout: str, spec: InputSpec, tmp_path: Path) -> None:
    pixels = photographs()
    if layout == "images":
        for number, image in enumerate(pixels):
            Image.fromarray(image).save(tmp_path / f"{number}.png")
        data = tmp_path
    else:
        data = tmp_path / "x.npz"
        np.savez(data, x=pixels if layout == "NHWC" else pixels.transpose(0, 3, 1, 2))
    found = fed(data, spec, mode="torch")
    expected = normalized(pixels)
    np.testing.assert_array_equal(found, expected.transpose(0, 3, 1, 2) if spec is FIRST else expected)


@pytest.mark.parametrize("spec", [FIRST, LAST], ids=["first", "last"])
@pytest.mark.parametrize("channels_first", [False, True])
def test_arrays_of_another_size_are_resized_in_any_layout(
    spec: InputSpec, channels_first: bool, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 50, 40, 3), np.uint8)
    np.save(tmp_path / "x.npy", pixels.transpose(0, 3, 1, 2) if channels_first else pixels)
    found = fed(tmp_path / "x.npy", spec, mode="torch", resize=(HEIGHT, WIDTH))
    resized = np.asarray(Image.fromarray(pixels[0]).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))
    expected = normalized(resized[None])
    np.testing.assert_array_equal(found, expected.transpose(0, 3, 1, 2) if spec is FIRST else expected)


@pytest.mark.parametrize("spec", [FIRST, LAST], ids=["first", "last"])
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
@pytest.mark.parametrize("channels_first", [False, True])
def test_ready_values_are_laid_out_too(spec: InputSpec, dtype: type, channels_first: bool, tmp_path: Path) -> None:
    real = ((photographs() / 255 - MEAN) / STD).astype(np.float32)
    values = real if dtype is np.float32 else normalized(photographs())
    np.save(tmp_path / "x.npy", values.transpose(0, 3, 1, 2) if channels_first else values)
    expected = normalized(photographs())
    np.testing.assert_array_equal(
        fed(tmp_path / "x.npy", spec), expected.transpose(0, 3, 1, 2) if spec is FIRST else expected
    )


def test_small_images_of_three_rows_and_columns_stay_as_they_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 3), np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    found = fed(tmp_path / "x.npy", InputSpec("x", (1, 3, 3, 3), np.int8, 1.0, -128))
    np.testing.assert_array_equal(found, (pixels.astype(int) - 128).astype(np.int8))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("scale", [0.0078125, 0.016358762979507446, 3.7])
def test_real_values_are_quantized_as_the_runtime_does(dtype: str, scale: float, tmp_path: Path) -> None:
    zero_point = -3 if dtype == "int8" else 125
    rng = np.random.default_rng(1)
    real = (rng.integers(-300, 300, (4, 16)) * np.float32(scale) / 2).astype(np.float32)  # many ties
    real[0] = rng.normal(size=16) * 1000
    np.save(tmp_path / "x.npy", real)
    found = fed(tmp_path / "x.npy", InputSpec("x", (1, 16), np.dtype(dtype), float(np.float32(scale)), zero_point))

    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 16], "FLOAT32")
    graph.output(graph.quantize(x, dtype.upper(), scale=scale, zero_point=zero_point))
    file = ModelFile.parse(builder.build())
    runner = ModelRunner(file, kernels="reference")
    for row, values in zip(found, real, strict=True):
        runner.run({"x": values[None]})
        np.testing.assert_array_equal(row[None], runner.read(file.model.subgraphs[0].outputs[0]))


def test_real_values_that_cannot_be_quantized(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[np.nan] * 5], np.float32))
    with pytest.raises(CalibrationError, match="NaN or infinite"):
        fed(tmp_path / "x.npy", InputSpec("x", (1, 5), np.int8, 0.1, 0))
    np.save(tmp_path / "x.npy", np.zeros((1, 5), np.float32))
    with pytest.raises(CalibrationError, match=r"float32, expected int8 \(already quantized\)"):
        fed(tmp_path / "x.npy", InputSpec("x", (1, 5), np.int8))


def test_real_values_of_another_range_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.save(tmp_path / "x.npy", photographs().astype(np.float32))
    with caplog.at_level(logging.WARNING):
        fed(tmp_path / "x.npy", LAST)
    assert "of the first sample's values lie outside [-1.922, 2.062], the real range of input 'image'" in caplog.text
    caplog.clear()
    np.save(tmp_path / "x.npy", (photographs() / 255 / 16).astype(np.float32))
    with caplog.at_level(logging.WARNING):
        fed(tmp_path / "x.npy", LAST)
    assert "take a small part of [-1.922, 2.062], the real range of input 'image'" in caplog.text
    caplog.clear()
    np.save(tmp_path / "x.npy", ((photographs() / 255 - 0.5) * 4).astype(np.float32))
    fed(tmp_path / "x.npy", LAST)
    assert not caplog.records


@pytest.mark.parametrize("quantize_first", [False, True])
def test_models_with_the_channels_first(quantize_first: bool) -> None:
    """A float input that a TRANSPOSE and a QUANTIZE read, in either order."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 3, 8, 8], "FLOAT32")
    order = graph.constant("order", np.array([0, 2, 3, 1], np.int32), 0)
    of = {"scale": 0.5, "zero_point": -128}
    source = graph.quantize(x, "INT8", **of) if quantize_first else x
    moved = graph.tensor("moved", [1, 8, 8, 3], source.dtype, **of)
    graph.op("TRANSPOSE", [source, order], [moved])
    graph.output(moved if quantize_first else graph.quantize(moved, "INT8", **of))
    (spec,) = input_specs_from_model(load_model(builder.build()))
    assert (spec.image_shape, spec.is_channels_first) == ((8, 8, 3), True)
    assert spec.quantization == (0.5, 0)
