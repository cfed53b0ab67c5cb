"""Images in TFRecord and Parquet files, and which files of a folder are taken; tar files: test_tar_reader.py."""

from __future__ import annotations

import base64
import gzip
import io
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tfrecords
from fmtc_tflite.data import tfrecord_reader
from fmtc_tflite.data.opening import Dataset, open_dataset
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.errors import CalibrationError, FmtcError, UsageError

pytestmark = pytest.mark.extras
SPEC = InputSpec("pixels", (1, 6, 5, 3), np.dtype(np.uint8), 1.0, 0)
PIXELS = np.random.default_rng(3).integers(0, 256, (5, 6, 5, 3)).astype(np.uint8)
LABELS = [3, -1, 0, 1000, 7]
# Two grey images of 7 and 200 with labels -3 and 190 and a third feature, as TensorFlow 2.21 wrote them.
OF_TENSORFLOW = base64.b64decode(
    "mQAAAAAAAACIWdFLCpYBCiMKEWltYWdlL2NsYXNzL2xhYmVsEg4aDAoK/f//////////AQpcCg1pbWFnZS9lbmNvZGVkEksKSQpHiVBORw0KGgoA"
    "AAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR4nGNkZ2BiYAAAADUAC6RaRLsAAAAASUVORK5CYIIKEQoFc2NvcmUSCBIGCgQAAAA/c7kJ"
    "Q5EAAAAAAAAAntV9QwqOAQobChFpbWFnZS9jbGFzcy9sYWJlbBIGGgQKAr4BClwKDWltYWdlL2VuY29kZWQSSwpJCkeJUE5HDQoaCgAAAA1JSERS"
    "AAAAAgAAAAIIAAAAAFfdUvgAAAAOSURBVHicYzzBwMTAAAAD+gDMgAqURQAAAABJRU5ErkJgggoRCgVzY29yZRIIEgYKBAAAAD/PWY79"
)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


IMAGES = [png(image) for image in PIXELS]


def write_tfrecord(path: Path, numbers: range, with_labels: bool = True) -> Path:
    """An even record has packed integers, an odd one not, as both are valid."""
    labels = [{"image/class/label": LABELS[i]} if with_labels else {} for i in numbers]
    rows = [{"height": 6, "image/encoded": IMAGES[i], "score": 0.5, **labels[i - numbers[0]]} for i in numbers]
    return tfrecords.write(path, [tfrecords.example(row, packed=i % 2 == 0) for i, row in enumerate(rows)])


def write_parquet(path: Path, numbers: range, with_labels: bool = True) -> Path:
    """Groups of two rows, images as Hugging Face's data sets have them."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns: dict[str, Any] = {"image": [{"bytes": IMAGES[i], "path": None} for i in numbers]}
    if with_labels:
        columns["label"] = [LABELS[i] for i in numbers]
    parquet.write_table(arrow.table(columns), path, row_group_size=2)
    return path


Write = Callable[..., Path]
KINDS = [
    pytest.param(write_tfrecord, "train-0000{}-of-00002", "tfrecord", "{}, record 1", id="tfrecord"),
    pytest.param(write_tfrecord, "digits-train.tfrecord-0000{}-of-00002", "tfrecord", "{}, record 1", id="tfds"),
    pytest.param(write_parquet, "train-0000{}-of-00002.parquet", "parquet", "{}[1]", id="parquet"),
]


def opened(path: str | Path, **options: Any) -> Dataset:
    return open_dataset(path, input_specs=[SPEC], preprocessing=Preprocessing("raw"), **options)


def stacked(dataset: Dataset) -> np.ndarray:
    return np.concatenate([sample["pixels"] for sample in dataset])


@pytest.mark.parametrize(("write", "pattern", "source", "second"), KINDS)
def test_images_and_labels(write: Write, pattern: str, source: str, second: str, tmp_path: Path) -> None:
    files = [write(tmp_path / pattern.format(0), range(3)), write(tmp_path / pattern.format(1), range(3, 5))]
    (tmp_path / "dataset_info.json").write_text("{}")
    for path in (tmp_path, tmp_path / "*train*-of-*"):
        dataset = opened(path)
        assert (dataset.source, dataset.name(4)) == (source, second.format(files[1]))
        assert np.array_equal(stacked(dataset), PIXELS)
        assert np.array_equal(dataset.labels, LABELS)
    assert np.array_equal(stacked(dataset.subset([4, 0, 2])), PIXELS[[0, 2, 4]])
    assert np.array_equal(stacked(opened(files[0], num_samples=2, seed=None)), PIXELS[:2])
    assert opened(write(files[0], range(3), with_labels=False)).labels is None


@pytest.mark.parametrize(("write", "pattern", "source", "second"), KINDS)
def test_a_part_for_another_process(
    write: Write, pattern: str, source: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write(tmp_path / pattern.format(i), numbers) for i, numbers in enumerate((range(3), range(3, 5)))]
    monkeypatch.chdir(tmp_path)
    part = opened(".").part(np.array([3, 4]))
    monkeypatch.chdir("/")
    copy = pickle.loads(pickle.dumps(part))
    assert np.array_equal(stacked(copy), PIXELS[3:])
    assert np.array_equal(copy.labels, LABELS[3:])
    assert copy.name(1) == second.format(files[1])
    assert copy.file_states(anew=True) == copy.file_states()
    assert list(copy.file_states()) == [str(files[1])], "only what it reads"
    files[1].unlink()
    assert list(copy.file_states(anew=True).values()) == [None]
    with pytest.raises(CalibrationError, match=f"{files[1]}.*(No such file|cannot be read)"):
        list(copy)


@pytest.mark.parametrize(("write", "pattern", "source", "second"), KINDS)
def test_damaged_images_and_files(
    write: Write, pattern: str, source: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / pattern.format(0)
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "IMAGES", [IMAGES[0], IMAGES[1][:60], IMAGES[2]])
        write(path, range(3))
    with pytest.raises(CalibrationError, match="got no readable image") as caught:
        list(opened(path))
    assert str(caught.value).startswith(second.format(path))
    assert np.array_equal(stacked(opened(path, skip_unreadable=True)), PIXELS[[0, 2]])
    path.write_bytes(write(path, range(3)).read_bytes()[:-9])
    with pytest.raises(CalibrationError, match=r"got no readable (TFRecord|Parquet) file"):
        opened(path)
    path.write_bytes(b"")
    with pytest.raises(CalibrationError, match=r"got no (readable Parquet file|images)"):
        opened(path)


def test_records_as_tensorflow_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecords"
    path.write_bytes(OF_TENSORFLOW)
    spec = InputSpec("x", (1, 2, 2, 1), np.dtype(np.uint8), 1.0, 0)
    dataset = open_dataset(path, input_specs=[spec], preprocessing=Preprocessing("raw"))
    assert [np.unique(sample["x"]).tolist() for sample in dataset] == [[7], [200]]
    assert np.array_equal(dataset.labels, [-3, 190])


def without(*names: str) -> bytes:
    features = {"image": IMAGES[0], "label": 1, "name": b"x"}
    return tfrecords.example({name: value for name, value in features.items() if name not in names})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(tfrecords.record(without())), r"\(record 0: it is compressed; decompress it\)"),
        (tfrecords.record(without()) + b"12345", r"\(record 1: it ends in a header\)"),
        (b"\x00" * 16, r"\(record 0: wrong checksum of the length\)"),
        (tfrecords.record(without("image")), "has the features label, name, expected one of image/encoded, image"),
        (tfrecords.record(without()) + tfrecords.record(without("label")), "got no label of record 1, expected one of"),
        (tfrecords.record(tfrecords.example({"image": 3})), "'image' has no or several values, expected one image"),
        (tfrecords.record(tfrecords.example({"image": b"", "label": 1.5})), "'label' has no or several values"),
        (tfrecords.record(b"\x0a\x7f"), "a field goes beyond its message"),
        (tfrecords.record(b"\x0b"), "wire type 3 in its message"),
        (tfrecords.record(b"\x0a" + b"\xff" * 11), "a number without end"),
    ],
)
def test_records_that_will_not_do(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match=message):
        opened(path)


@given(st.binary(max_size=60), st.integers(0, 200))
def test_any_record_is_read_or_refused(content: bytes, place: int) -> None:
    """Damage within a valid frame, which checksums do not tell of."""
    payload = without()
    payload = payload[:place] + content + payload[place + len(content) :]
    try:
        for name, span in tfrecord_reader._features(payload, (0, len(payload))).items():
            assert 0 <= span[0] <= span[1] <= len(payload), name
    except ValueError:
        pass


def test_parquet_files_that_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def write(name: str, **columns: list[Any]) -> None:
        parquet.write_table(arrow.table(columns), tmp_path / f"{name}.parquet")

    for columns, message in (
        ({"text": ["a"]}, "got the columns text, expected one of image"),
        ({"image": ["a.png"]}, "got the columns image, expected one of image"),
        ({"img": IMAGES[:1], "label": ["cat"]}, "got string with 0 gaps in 'label', expected an integer in each row"),
        ({"img": IMAGES[:2], "label": [1, None]}, "got int64 with 1 gaps in 'label'"),
        ({"img": arrow.array([], arrow.binary())}, "got no rows"),
    ):
        write("x", **columns)
        with pytest.raises(CalibrationError, match=message):
            opened(tmp_path / "x.parquet")
    write("x", img=[IMAGES[0], None])
    with pytest.raises(CalibrationError, match=r"x\.parquet\[1\]: has no image"):
        list(opened(tmp_path / "x.parquet"))
    write("x", img=IMAGES[:2])
    write("y", img=IMAGES[:2], label=[1, 2])
    with pytest.raises(CalibrationError, match=r"y\.parquet: has other columns"):
        opened(tmp_path / "[xy].parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="run `pip install pyarrow`"):
        opened(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("names", "path", "message"),
    [
        (("train-00000-of-00001", "validation-00000-of-00001"), "", r"several sets .*such as '\S+/train-\*'"),
        (("a.tar", "a.tfrecord"), "", "several kinds, .*give a pattern such as"),
        (("a.tfrecord", "b.txt"), "*", "several kinds, or that hold no images"),
        (("a.tfrecord",), "*.tar", "got no such files; check the pattern"),
    ],
)
def test_folders_and_patterns_that_will_not_do(tmp_path: Path, names: tuple[str, ...], path: str, message: str) -> None:
    for name in names:
        write_tfrecord(tmp_path / name, range(2))
    with pytest.raises(FmtcError, match=message):
        opened(tmp_path / path)
