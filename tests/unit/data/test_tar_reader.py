"""Images in tar files."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmtc_tflite.data.opening import Dataset, open_dataset
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.errors import CalibrationError

SPEC = InputSpec("pixels", (1, 6, 5, 3), np.dtype(np.uint8), 1.0, 0)


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 6, 5, 3)).astype(np.uint8)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def write(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def opened(path: Path, **options: object) -> Dataset:
    return open_dataset(path, input_specs=[SPEC], preprocessing=Preprocessing("raw"), **options)  # type: ignore[arg-type]


def stacked(dataset: Dataset) -> np.ndarray:
    return np.concatenate([sample["pixels"] for sample in dataset])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tar files with three and two images, labels before or behind them."""
    images = [png(image) for image in pixels(5)]
    write(
        tmp_path / "b.tar",
        {"d/3.PNG": images[3], "d/3.cls": b"7\n", "d/3.json": b"{}", "4.cls": b"1", "4.png": images[4]},
    )
    members = {f"{i}.rgb.png": images[i] for i in range(3)} | {f"{i}.cls": str(i).encode() for i in range(3)}
    write(tmp_path / "a.tar", {**members, "d/.hidden.png": b"", "notes.txt": b"x"})
    return tmp_path


def test_images_and_labels(folder: Path) -> None:
    dataset = opened(folder)
    assert dataset.source == "tar"
    assert np.array_equal(stacked(dataset), pixels(5))
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 1, 2, 7, 1]
    assert dataset.name(3) == f"{folder / 'b.tar'}, d/3.PNG"
    assert np.array_equal(stacked(opened(folder / "a.tar")), pixels(5)[:3])
    assert np.array_equal(stacked(dataset.subset([4, 0, 2])), pixels(5)[[0, 2, 4]])


def test_a_part_for_another_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    part = opened(Path("."), num_samples=5).part(np.array([3, 4]))
    monkeypatch.chdir("/")
    copy = pickle.loads(pickle.dumps(part))
    assert np.array_equal(stacked(copy), pixels(5)[3:])
    assert list(copy.file_states()) == [str(folder / "b.tar")], "only what it reads"
    assert copy.file_states(anew=True) == copy.file_states()
    first = opened(folder).fingerprint()
    write(folder / "a.tar", {f"{i}.png": png(255 - pixels(5)[i]) for i in range(3)})
    assert copy.file_states(anew=True) == copy.file_states()
    with pytest.raises(CalibrationError, match=r"got no label of 0\.png, expected a member KEY\.cls"):
        opened(folder)
    (folder / "b.tar").unlink()
    changed = opened(folder)
    assert changed.labels is None
    assert changed.fingerprint() != first


def test_damaged_members_and_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = [png(image) for image in pixels(3)]
    path = write(tmp_path / "x.tar", {"0.png": images[0], "1.png": images[1][:60], "2.png": images[2]})
    with pytest.raises(CalibrationError, match=r"x\.tar, 1\.png: got no readable image"):
        list(opened(path))
    assert np.array_equal(stacked(opened(path, skip_unreadable=True)), pixels(3)[[0, 2]])
    assert "skipped 1 unreadable images" in caplog.text
    write(path, {"0.png": images[0], "0.cls": b"cat"})
    with pytest.raises(CalibrationError, match="holds b'cat', expected the number of a class"):
        opened(path)
    write(path, {"0.txt": b""})
    with pytest.raises(CalibrationError, match="got no images, expected members that end in"):
        opened(path)
    path.write_bytes(b"no tar" * 200)
    with pytest.raises(CalibrationError, match="got no readable tar file"):
        opened(path)
