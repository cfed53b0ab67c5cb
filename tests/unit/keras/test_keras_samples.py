"""Datasets that Keras users have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.keras.samples import read_samples

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's and TF-MOT's own
]


def read(dataset: Any, *shape: int | None) -> np.ndarray:
    return read_samples(dataset, {"x": tf.TensorSpec((None, *shape), tf.float32)})["x"]


def test_forms_of_a_dataset() -> None:
    array = np.arange(24).reshape(6, 2, 2)  # becomes the input's type
    forms: list[Any] = [
        array,
        [array[:4], array[4:]],
        ([row[None]] for row in array),
        lambda: ({"x": row[None]} for row in array),
        tf.data.Dataset.from_tensor_slices(array).batch(4),
    ]
    for form in forms:
        got = read(form, 2, None)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, array)


def spent() -> Iterator[np.ndarray]:
    generator = iter([np.zeros((1, 2), np.float32)])
    list(generator)
    return generator


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ([], "representative_dataset: got no samples"),
        (spent(), "a generator that was read before is empty"),
        (spent, "a generator that was read before is empty"),
        (np.zeros((0, 2)), "got no samples"),
        ([np.full((1, 2), np.nan)], r"representative_dataset\[0\], input 'x': got NaN or infinity"),
        ([np.zeros((1, 2)), np.zeros((1, 3))], r"dataset\[1\].*got the shape \[1, 3\], expected \[batch, 2\]"),
        ([np.zeros(2)], r"got the shape \[2\], expected \[batch, 2\]"),
        ([(np.zeros((1, 2)), 7)], "got 2 arrays, expected 1, for x; leave labels out"),
        ([{"image": np.zeros((1, 2))}], "got the names image, expected x"),
        (["text"], "got no array of numbers"),
        (7, "got int, expected"),
    ],
)
def test_bad_datasets(dataset: Any, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        read(dataset, 2)
