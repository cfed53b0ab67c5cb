"""Pixels to model inputs, against definitions worked out by hand or by PIL itself."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fmtc_tflite.data.preprocess import InputSpec, Preprocessing, pixel_table
from fmtc_tflite.errors import CalibrationError, UsageError

UINT8 = InputSpec("u", (1, 8, 6, 3), np.uint8, 1 / 127.5, 127)
INT8 = InputSpec("i", (1, 8, 6, 3), np.int8, 1.0, -128)
TORCH = InputSpec("t", (1, 8, 6, 3), np.int8, 0.01865844801068306, -14)
PLAIN_FLOAT = InputSpec("f", (1, 8, 6, 3), np.float32)
QUANTIZED_FLOAT = InputSpec("q", (1, 8, 6, 3), np.float32, 1 / 255, 0)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)


def test_raw_keeps_the_pixel_whatever_the_scale(pixels: np.ndarray) -> None:
    for spec in (UINT8, TORCH, INT8):
        result = Preprocessing("raw").apply(pixels, spec)
        assert result.dtype == spec.dtype
        offset = 0 if spec is UINT8 else 128
        assert np.array_equal(result.astype(int) + offset, pixels)


def test_raw_for_float_is_the_value_of_the_quantized_pixel(pixels: np.ndarray) -> None:
    result = Preprocessing("raw").apply(pixels, QUANTIZED_FLOAT)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, pixels / 255, rtol=1e-6)
    assert np.array_equal(Preprocessing("raw").apply(pixels, PLAIN_FLOAT), pixels.astype(np.float32))


def test_tf_and_torch_are_quantized_with_the_input() -> None:
    tf = pixel_table("tf", InputSpec("x", (1, 4, 4, 1), np.int8, 2 / 255, 0))
    assert (tf[0, 0], tf[255, 0]) == (-128, 127)  # -127.5 rounds away from zero
    torch = pixel_table("torch", TORCH)
    assert torch.shape == (256, 3)
    expected = np.round((100 / 255 - 0.456) / 0.224 / TORCH.scale) + TORCH.zero_point
    assert torch[100, 1] == expected
    assert pixel_table("torch", PLAIN_FLOAT)[0, 2] == np.float32(-0.406 / 0.225)


def test_per_channel_table_is_applied_by_channel(pixels: np.ndarray) -> None:
    table = pixel_table("torch", TORCH)
    result = Preprocessing("torch").apply(pixels, TORCH)
    for channel in range(3):
        assert np.array_equal(result[..., channel], table[pixels[..., channel], channel])


def test_mode_not_given_needs_a_usual_range(pixels: np.ndarray) -> None:
    for spec in (UINT8, INT8, QUANTIZED_FLOAT, InputSpec("x", (1, 8, 6, 3), np.int8, 1 / 255, -128)):
        assert np.array_equal(Preprocessing().apply(pixels, spec), Preprocessing("raw").apply(pixels, spec))
    with pytest.raises(UsageError, match=r"\[-2.127, 2.631\].*--preprocessing"):
        Preprocessing().apply(pixels, TORCH)
    with pytest.raises(UsageError, match=r"unknown.*--preprocessing"):
        Preprocessing().check(PLAIN_FLOAT)


def test_crop_and_resize_are_those_of_pil() -> None:
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (37, 51, 3), dtype=np.uint8))
    side = 0.875 * 37
    box = ((51 - side) / 2, (37 - side) / 2, (51 + side) / 2, (37 + side) / 2)
    expected = np.asarray(picture.crop(box).resize((6, 8), Image.Resampling.BILINEAR))
    assert np.array_equal(Preprocessing(central_crop=0.875).apply(picture, UINT8), expected)
    array_settings = Preprocessing(central_crop=0.875, resize=(8, 6))
    assert np.array_equal(array_settings.apply(np.asarray(picture), UINT8), expected)


def test_images_are_always_resized_arrays_only_on_demand() -> None:
    array = np.random.default_rng(2).integers(0, 256, (16, 12, 3), dtype=np.uint8)
    expected = Preprocessing().apply(Image.fromarray(array), UINT8)
    assert expected.shape == (8, 6, 3)
    with pytest.raises(CalibrationError, match=r"\[16, 12, 3\], expected \[8, 6, 3\].*--resize"):
        Preprocessing().apply(array, UINT8)
    assert np.array_equal(Preprocessing(resize=(8, 6)).apply(array, UINT8), expected)


def test_grey_images_and_arrays_without_a_channel_axis() -> None:
    spec = InputSpec("g", (1, 8, 6, 1), np.uint8, 1.0, 0)
    grey = np.random.default_rng(3).integers(0, 256, (8, 6), dtype=np.uint8)
    assert np.array_equal(Preprocessing().apply(grey, spec)[..., 0], grey)
    assert np.array_equal(
        Preprocessing(central_crop=1.0).apply(grey[..., None], spec)[..., 0],
        np.asarray(Image.fromarray(grey).crop((0, 1, 6, 7)).resize((6, 8), Image.Resampling.BILINEAR)),
    )
    colour = Image.fromarray(np.stack([grey] * 3, axis=-1))
    assert np.array_equal(Preprocessing().apply(colour, spec)[..., 0], grey)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "caffe"}, "raw, tf, torch"),
        ({"central_crop": 0.0}, "--central_crop"),
        ({"central_crop": 1.5}, "--central_crop"),
        ({"resize": (0, 4)}, "--resize"),
    ],
)
def test_settings_are_checked(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Preprocessing(**settings)


@pytest.mark.parametrize(
    ("settings", "spec", "message"),
    [
        ({"resize": (4, 4)}, UINT8, "needs 8x6"),
        ({"mode": "torch"}, InputSpec("g", (1, 8, 6, 1), np.int8, 1.0, 0), "three channels"),
        ({"central_crop": 0.5}, InputSpec("v", (1, 9), np.uint8, 1.0, 0), "is no image"),
        ({"mode": "tf"}, InputSpec("n", (1, 8, 6, 3), np.int8), "no quantization"),
        ({"mode": "raw"}, InputSpec("n", (1, 8, 6, 3), np.int32), "int8, uint8 and float"),
    ],
)
def test_settings_are_checked_against_the_input(settings: dict, spec: InputSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Preprocessing(**settings).check(spec)


def test_wrong_pixels_are_refused() -> None:
    with pytest.raises(CalibrationError, match="expected uint8"):
        Preprocessing().apply(np.zeros((8, 6, 3), np.float32), UINT8)
    with pytest.raises(CalibrationError, match="cannot crop or resize"):
        Preprocessing(resize=(8, 6)).apply(np.zeros((16, 12, 4), np.uint8), UINT8)
    with pytest.raises(CalibrationError, match="mode I;16"):
        Preprocessing().apply(Image.fromarray(np.zeros((8, 6), np.uint16)), UINT8)
    with pytest.raises(CalibrationError, match="is no image"):
        Preprocessing().apply(Image.new("RGB", (8, 6)), InputSpec("v", (1, 10), np.uint8, 1.0, 0))
