"""Reader of TensorFlow Datasets, for those who have that package installed."""

from __future__ import annotations

import copy
import importlib
import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fmtc_tflite.data import places
from fmtc_tflite.data.dataset import Items, Reader
from fmtc_tflite.data.preprocess import InputSpec
from fmtc_tflite.errors import CalibrationError, UsageError

TFDS_PREFIX = "tfds:"
_PATTERN = re.compile(r"tfds:(?P<name>[\w/.:+-]+)\[(?P<split>\w+)\]")


class TfdsReader(Reader):
    """Images of one split of a TensorFlow data set, in the order of its files.

    Labels are read when they are asked for, without decoding images, and of a part for another process its own alone;
    which data these are, the split's files tell.
    """

    kind = "tfds"
    files_tell_labels = True

    def __init__(self, name: str, split: str, input_name: str) -> None:
        self._name, self._split, self._input_name = name, split, input_name
        self._builder = _prepared(name, split)
        info = self._builder.info
        self._folder = str(self._builder.data_dir)
        self._rows = np.arange(int(info.splits[split].num_examples))
        self.files = [str(path) for path in info.splits[split].filepaths]
        self._has_labels = "label" in info.features and hasattr(info.features["label"], "num_classes")
        self.num_classes = info.features["label"].num_classes if self._has_labels else None

    @cached_property
    def labels(self) -> np.ndarray | None:  # type: ignore[override]  # read once, when needed
        """See Reader."""
        if not self._has_labels:
            return None
        labels = [int(example["label"]) for example in self._examples(self._rows, with_images=False)]
        return np.array(labels, np.int64)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_builder": None}  # opened again where it is needed

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        return f"{self._name}[{self._split}][{self._rows[index]}]"

    def file_state(self, path: str | Path) -> Any:
        """Its size."""
        place = places.url(path)
        try:
            return os.stat(path).st_size if place is None else places.size(place)
        except OSError:
            return None

    def only(self, indices: np.ndarray) -> TfdsReader:
        """See Reader.only."""
        chosen = copy.copy(self)
        chosen.__dict__.pop("labels", None)
        chosen._rows, chosen.files = self._rows[indices], [places.absolute(file) for file in self.files]
        chosen.file_states = self.file_states
        return chosen

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        """The samples of these indices (ascending); reads all between the first and the last."""
        for example in self._examples(self._rows[indices], with_images=True):
            pixels = example["image"]
            yield {self._input_name: Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)}

    def _examples(self, rows: np.ndarray, with_images: bool) -> Iterator[dict[str, Any]]:
        if not len(rows):
            return
        tfds, wanted, first = _package(), set(rows.tolist()), int(rows[0])
        if self._builder is None:
            self._builder = tfds.builder_from_directory(self._folder)
        dataset = self._builder.as_dataset(
            split=f"{self._split}[{first}:{int(rows[-1]) + 1}]",
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
            decoders=None if with_images else {"image": tfds.decode.SkipDecoding()},
        )
        yield from (example for row, example in enumerate(tfds.as_numpy(dataset), first) if row in wanted)


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
