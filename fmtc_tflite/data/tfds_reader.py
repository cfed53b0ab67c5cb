"""Reader of TensorFlow Datasets, for those who have that package installed."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from fmtc_tflite.data.dataset import Items, Reader
from fmtc_tflite.data.preprocess import InputSpec
from fmtc_tflite.errors import CalibrationError, UsageError

TFDS_PREFIX = "tfds:"
_PATTERN = re.compile(r"tfds:(?P<name>[\w/.:+-]+)\[(?P<split>\w+)\]")


class TfdsReader(Reader):
    """The images of one split of a TensorFlow data set, in the order of its files."""

    kind = "tfds"

    def __init__(self, name: str, split: str, input_name: str) -> None:
        self._name, self._split, self._input_name = name, split, input_name
        self._builder = _prepared(name, split)
        info = self._builder.info
        self._length = int(info.splits[split].num_examples)
        self.num_classes = getattr(info.features["label"], "num_classes", None) if "label" in info.features else None
        if self.num_classes is not None:
            self.labels = np.array([int(example["label"]) for example in self._examples(0, self._length, False)])

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_builder": None}  # opened again where it is needed

    def __len__(self) -> int:
        return self._length

    def name(self, index: int) -> str:
        return f"{self._name}[{self._split}][{index}]"

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        """The samples of these indices (ascending); reads all between the first and the last."""
        if not len(indices):
            return
        wanted = {int(index) for index in indices}
        first, last = int(indices[0]), int(indices[-1])
        for index, example in enumerate(self._examples(first, last + 1, True), first):
            if index in wanted:
                pixels = example["image"]
                yield {self._input_name: Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)}

    def _examples(self, first: int, end: int, with_images: bool) -> Iterator[dict[str, Any]]:
        tfds = _package()
        if self._builder is None:
            self._builder = _prepared(self._name, self._split)
        dataset = self._builder.as_dataset(
            split=f"{self._split}[{first}:{end}]",
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
            decoders=None if with_images else {"image": tfds.decode.SkipDecoding()},
        )
        yield from tfds.as_numpy(dataset)


def open_tfds(data: str, spec: InputSpec) -> TfdsReader:
    """Opens `tfds:NAME[SPLIT]`, such as `tfds:imagenet_v2[test]`, downloading it if it is not on disk.

    Args:
      data: What the user gave.
      spec: The input that gets the images.

    Raises:
      UsageError: not of this form, or TensorFlow Datasets is not installed.
      CalibrationError: no such data set or split, or one without images.
    """
    match = _PATTERN.fullmatch(data)
    if match is None:
        raise UsageError(f"--data: got '{data}', expected tfds:NAME[SPLIT], such as 'tfds:imagenet_v2[test]'")
    return TfdsReader(match["name"], match["split"], spec.name)


def _prepared(name: str, split: str) -> Any:
    """The data set's builder, with the data on disk."""
    tfds = _package()
    try:
        builder = tfds.builder(name)
        builder.download_and_prepare()
    except Exception as error:  # its own many, and those of whatever downloads
        reason = (str(error).strip().splitlines() or [""])[0]
        raise CalibrationError(f"tfds:{name}[{split}]: cannot be opened ({type(error).__name__}: {reason})") from error
    if split not in builder.info.splits:
        splits = ", ".join(builder.info.splits)
        raise CalibrationError(f"tfds:{name}[{split}]: got no such split, expected one of {splits}")
    if "image" not in (builder.info.features or {}):
        raise CalibrationError(f"tfds:{name}[{split}]: has no feature 'image'; export it as a .npz file")
    return builder


def _package() -> Any:
    try:
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise UsageError(
            f"--data tfds:...: TensorFlow Datasets does not load ({error}); "
            "run `pip install tensorflow tensorflow-datasets`"
        ) from error
