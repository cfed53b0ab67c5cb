"""Reading TensorFlow Datasets, with a stand-in for the package's few functions that are used."""

from __future__ import annotations

import pickle
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from fmtc_tflite.data.opening import open_dataset
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.errors import CalibrationError, UsageError

pytestmark = pytest.mark.extras

SPEC = InputSpec("image", (1, 4, 4, 1), np.int8, 1.0, -128)
FILE = "digits-test.tfrecord-00000-of-00001"
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1), dtype=np.uint8)


class Builder:
    """Of the data set 'digits', with the split 'test'.

    Attributes:
      data_dir: its folder.
      labels_read: rows that were read without images.
    """

    data_dir = ""
    labels_read: ClassVar[list[int]] = []

    def __init__(self, name: str) -> None:
        if name != "digits":
            raise ValueError(f"Dataset {name} not found.\nDid you mean something else?")
        label = types.SimpleNamespace(num_classes=3)
        files = [f"{self.data_dir}/{FILE}"]
        splits = {"test": types.SimpleNamespace(num_examples=len(PIXELS), filepaths=files)}
        self.info = types.SimpleNamespace(splits=splits, features={"image": None, "label": label})

    def download_and_prepare(self) -> None:
        pass

    def as_dataset(
        self, split: str, shuffle_files: bool, read_config: object, decoders: object
    ) -> Iterator[dict[str, object]]:
        assert not shuffle_files
        match = re.fullmatch(r"test\[(\d+):(\d+)\]", split)
        assert match is not None
        for i in range(int(match[1]), int(match[2])):
            if decoders:
                self.labels_read.append(i)
            yield {"image": b"" if decoders else PIXELS[i], "label": np.int64(i % 3)}


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"12345")
    monkeypatch.setattr(Builder, "data_dir", str(tmp_path))
    monkeypatch.setattr(Builder, "labels_read", [])
    package = types.ModuleType("tensorflow_datasets")
    package.builder = Builder
    package.builder_from_directory = lambda folder: Builder("digits")
    package.as_numpy = iter
    package.ReadConfig = dict
    package.decode = types.SimpleNamespace(SkipDecoding=lambda: True)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", package)


@pytest.mark.usefixtures("package")
def test_samples_and_labels() -> None:
    dataset = open_dataset("tfds:digits[test]", input_specs=[SPEC], preprocessing=Preprocessing())
    assert (dataset.source, len(dataset), dataset.num_classes) == ("tfds", 12, 3)
    assert dataset.labels.tolist() == [i % 3 for i in range(12)]
    assert dataset.name(5) == "digits[test][5]"
    part = pickle.loads(pickle.dumps(dataset.subset([3, 9, 4])))
    found = np.concatenate([sample["image"] for sample in part])
    assert np.array_equal(found.astype(int) + 128, PIXELS[[3, 4, 9]])


@pytest.mark.usefixtures("package")
def test_a_worker_reads_the_labels_of_its_part_alone() -> None:
    dataset = open_dataset("tfds:digits[test]", input_specs=[SPEC], preprocessing=Preprocessing())
    part = pickle.loads(pickle.dumps(dataset.subset([1, 3, 9, 4, 7]).part(np.array([1, 2, 3]))))
    dataset.fingerprint()
    assert Builder.labels_read == [], "which files these are tells enough"
    assert part.labels.tolist() == part.labels.tolist() == [0, 1, 1]
    assert Builder.labels_read == [3, 4, 5, 6, 7]
    assert np.array_equal(np.concatenate([sample["image"] for sample in part]).astype(int) + 128, PIXELS[[3, 4, 7]])
    assert part.name(2) == "digits[test][7]"
    assert part.file_states(anew=True) == part.file_states() == {f"{Builder.data_dir}/{FILE}": 5}
    (Path(Builder.data_dir) / FILE).unlink()
    assert list(part.file_states(anew=True).values()) == [None]


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ("tfds:digits", UsageError, r"expected tfds:NAME\[SPLIT\]"),
        ("tfds:digits[train]", CalibrationError, "no such split, expected one of test"),
        ("tfds:letters[test]", CalibrationError, r"cannot be opened \(ValueError: Dataset letters not found.\)$"),
    ],
)
def test_what_cannot_be_opened(data: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        open_dataset(data, input_specs=[SPEC], preprocessing=Preprocessing())


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UsageError, match="run `pip install tensorflow tensorflow-datasets`"):
        open_dataset("tfds:digits[test]", input_specs=[SPEC], preprocessing=Preprocessing())
