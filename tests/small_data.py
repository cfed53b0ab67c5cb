"""Small data sets, and how tests of readers open them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fmtc_tflite.data.opening import Dataset, open_dataset
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing

SPEC = InputSpec("image", (1, 8, 6, 3), np.int8, 1.0, -128)
GREY = InputSpec("grey", (1, 8, 6, 1), np.int8, 1.0, -128)
UNQUANTIZED = InputSpec("image", (1, 8, 6, 3), np.int8)
FLOAT = InputSpec("values", (1, 5), np.float32)


def pixels(count: int, shape: tuple[int, ...] = (8, 6, 3)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def opened(path: Path, *specs: InputSpec, **settings: object) -> Dataset:
    preprocessing = settings.pop("preprocessing", Preprocessing())
    return open_dataset(path, input_specs=specs or (SPEC,), preprocessing=preprocessing, **settings)


def save_image(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def stacked(dataset: Dataset, name: str = "image") -> np.ndarray:
    return np.concatenate([sample[name] for sample in dataset])
