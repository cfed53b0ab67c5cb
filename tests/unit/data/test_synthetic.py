"""Synthetic inputs: types, ranges, seeds, and the statistics that make images natural-like."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.data.opening import open_dataset
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.data.synthetic import SyntheticDataset, natural_image, power_law_noise


@pytest.mark.parametrize(
    ("shape", "dtype", "scale", "zero_point", "limits"),
    [
        ((1, 64, 48, 3), np.int8, 0.0187, -14, (-128, 127)),
        ((2, 64, 48, 1), np.uint8, 0.0078, 128, (0, 255)),
        ((1, 32, 32, 4), np.int8, 1 / 255, -128, (-128, 127)),
        ((1, 32, 32, 3), np.float32, None, None, (-1, 1)),
        ((1, 32, 32, 3), np.float32, 1 / 255, 0, (0, 1)),
        ((1, 49, 10, 1), np.int8, 0.58, 83, (-128, 127)),
        ((1, 640), np.int8, 0.4, 89, (-128, 127)),
        ((1, 640), np.float32, None, None, (-3, 3)),
        ((1, 20), np.int32, None, None, (0, 0)),
        ((), np.float32, None, None, (0, 0)),
    ],
)
def test_every_kind_of_input_gets_values_of_its_type_and_range(
    shape: tuple[int, ...], dtype: type, scale: float | None, zero_point: int | None, limits: tuple[float, float]
) -> None:
    spec = InputSpec("x", shape, dtype, scale, zero_point)
    dataset = SyntheticDataset([spec], num_samples=3, seed=1)
    samples = [sample["x"] for sample in dataset]
    assert (dataset.source, dataset.labels, len(samples)) == ("synthetic", None, 3)
    for sample in samples:
        assert (sample.shape, sample.dtype) == (shape, np.dtype(dtype))
        assert limits[0] - 1e-6 <= sample.min()
        assert sample.max() <= limits[1] + 1e-6
    if limits[0] < limits[1]:
        assert not np.array_equal(samples[0], samples[1])
        assert np.ptp(samples[0].astype(float)) > 0.3 * (limits[1] - limits[0])


def test_samples_depend_on_the_seed_and_their_index_only() -> None:
    spec = InputSpec("x", (1, 32, 32, 3), np.int8, 1.0, -128)
    few = [sample["x"] for sample in SyntheticDataset([spec], 3, seed=5)]
    many = [sample["x"] for sample in SyntheticDataset([spec], 6, seed=5).subset([0, 1, 2])]
    assert all(np.array_equal(a, b) for a, b in zip(few, many, strict=True))
    other = next(iter(SyntheticDataset([spec], 1, seed=6)))["x"]
    assert not np.array_equal(few[0], other)


def test_no_path_means_synthetic() -> None:
    spec = InputSpec("x", (1, 32, 32, 3), np.int8, 0.0187, -14)
    dataset = open_dataset(None, input_specs=[spec], preprocessing=Preprocessing())
    assert (dataset.source, len(dataset)) == ("synthetic", SyntheticDataset.DEFAULT_SAMPLES)


def test_images_have_natural_statistics() -> None:
    images = [natural_image(np.random.default_rng([0, i]), 128, 128).astype(float) for i in range(12)]
    assert 20 < np.mean([image.std() for image in images]) < 80
    colours = np.corrcoef(np.concatenate([image.reshape(-1, 3) for image in images]).T)
    assert colours[np.triu_indices(3, 1)].min() > 0.6  # channels go together
    grey = [image.mean(axis=-1) for image in images]
    neighbours = [np.corrcoef(image[:, 1:].ravel(), image[:, :-1].ravel())[0, 1] for image in grey]
    assert np.mean(neighbours) > 0.85  # smooth
    spectrum = np.mean([np.abs(np.fft.fft2(image - image.mean())) ** 2 for image in grey], axis=0)[1:64, 0]
    slope = np.polyfit(np.log(np.arange(2, 40)), np.log(spectrum[1:39]), 1)[0]
    assert -3.0 < slope < -1.3  # power ~ 1/f^2


def test_power_law_noise_of_any_rank() -> None:
    for shape in ((640,), (49, 10, 1), (5, 6, 7, 8)):
        noise = power_law_noise(np.random.default_rng(0), shape, 1.0)
        assert noise.shape == shape
        np.testing.assert_allclose([noise.mean(), noise.std()], [0, 1], atol=1e-9)
    assert power_law_noise(np.random.default_rng(0), (1, 1), 1.0).tolist() == [[0.0]]
