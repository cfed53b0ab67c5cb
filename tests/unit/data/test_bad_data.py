"""What bad calibration and evaluation data get."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.data.preprocess import InputSpec
from fmtc_tflite.errors import CalibrationError, UsageError
from small_data import FLOAT, SPEC, UNQUANTIZED, opened, pixels, save_image


def test_split_of_one_sample_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", pixels(1))
    with pytest.raises(CalibrationError, match="at least 2"):
        opened(tmp_path / "x.npy").split()


def test_unreadable_images_stop_or_are_skipped(image_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (image_folder / "cat" / "b.png").write_bytes((image_folder / "cat" / "a.png").read_bytes()[:90])
    (image_folder / "dog" / "a.png").write_text("text")
    with pytest.raises(CalibrationError, match=r"b\.png.*--skip_unreadable"):
        list(opened(image_folder))
    with pytest.raises(CalibrationError, match="got 2 unreadable images of 6, expected 0 at most"):
        opened(image_folder, skip_unreadable=True, max_unreadable=0)
    dataset = opened(image_folder, skip_unreadable=True)
    assert [Path(name).name for name in dataset.skipped] == ["b.png", "a.png"]
    assert dataset.labels.tolist() == [0, 0, 1, 2]
    assert len(list(dataset)) == len(dataset) == 4
    assert "skipped 2 unreadable images" in caplog.text


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(CalibrationError, match="no readable image among 1"):
        opened(tmp_path, skip_unreadable=True)


def test_missing_files_of_a_csv(image_folder: Path) -> None:
    csv = image_folder / "list.csv"
    csv.write_text("file,label\ncat/a.png,0\ncat/gone.png,1\n")
    with pytest.raises(CalibrationError, match=r"line 3: got 'cat/gone.png'.*--skip_unreadable"):
        opened(csv)
    dataset = opened(csv, skip_unreadable=True)
    assert (len(list(dataset)), len(dataset.skipped)) == (1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns none, expected 'file'"),
        ("cat/a.png,0\n", "expected 'file' and 'label'"),
        ("file;label\ncat/a.png;0\n", "got the columns file;label, .*put commas between the columns"),
        ("file,label\n", "zero samples"),
        ("file,label\ncat/a.png,one\n", "line 2: got the label 'one'"),
        ("file,label\ncat/a.png\n", "line 2: got the label ''"),
        ("file,label\n,1\n", "no file name"),
    ],
)
def test_bad_csv(image_folder: Path, text: str, message: str) -> None:
    csv = image_folder / "list.csv"
    csv.write_text(text)
    with pytest.raises(CalibrationError, match=message):
        opened(csv)


def test_csv_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("file,label\nb\u00e4r.png,0\n".encode("latin-1"))
    with pytest.raises(CalibrationError, match="UTF-8"):
        opened(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("array", "spec", "message"),
    [
        (pixels(0), SPEC, "zero samples"),
        (pixels(2, (16, 12, 3)), SPEC, r"\[2, 16, 12, 3\], expected \[N, 8, 6, 3\].*--resize"),
        (pixels(1)[0], SPEC, r"expected \[N, 8, 6, 3\]"),
        (
            pixels(2).astype(np.float32),
            UNQUANTIZED,
            r"float32, expected int8 \(already quantized\) or uint8 \(pixels\)",
        ),
        (
            pixels(2).astype(np.int64),
            SPEC,
            r"int64, expected int8 \(already quantized\), float32 \(real values.* or uint8",
        ),
        (np.zeros((2, 4), np.float32), FLOAT, r"expected \[N, 5\]"),
        (np.zeros((2, 5), np.int8), FLOAT, "int8, expected float32"),
        (np.zeros((2, 4), np.uint8), InputSpec("v", (1, 5), np.int8, 1.0, -128), "prepare the array"),
        (np.zeros((2, 5), np.uint8), InputSpec("i", (1, 5), np.int16, 1.0, 0), "expected int16, float32"),
        (np.float32(1.0), FLOAT, r"shape \[\], expected"),
    ],
)
def test_bad_arrays(tmp_path: Path, array: np.ndarray, spec: InputSpec, message: str) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(CalibrationError, match=message):
        opened(tmp_path / "x.npy", spec)


def test_nan_is_named_with_its_sample(tmp_path: Path) -> None:
    x = np.zeros((4, 5), np.float32)
    x[2, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(CalibrationError, match=r"x\.npy\[2\]: input 'values'.*NaN"):
        list(opened(tmp_path / "x.npy", FLOAT))


def test_an_unusual_range_is_refused_at_once_for_pixels_only(tmp_path: Path) -> None:
    unusual = InputSpec("image", (1, 8, 6, 3), np.int8, 0.01866, -14)
    np.save(tmp_path / "pixels.npy", pixels(2))
    np.save(tmp_path / "values.npy", np.zeros((2, 8, 6, 3), np.int8))
    with pytest.raises(UsageError, match="--preprocessing"):
        opened(tmp_path / "pixels.npy", unusual)
    assert len(opened(tmp_path / "values.npy", unusual)) == 2


def test_bad_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=pixels(2), b=pixels(2))
    with pytest.raises(CalibrationError, match="arrays a, b, expected 'x'"):
        opened(path)
    np.savez(path, x=pixels(2), y=np.arange(3))
    with pytest.raises(CalibrationError, match="expected 2 labels"):
        opened(path)
    np.savez(path, x=np.array([{}, {}], dtype=object))
    with pytest.raises(CalibrationError, match="Python objects"):
        opened(path)
    np.savez_compressed(path, x=np.asfortranarray(pixels(2)))
    with pytest.raises(CalibrationError, match="ascontiguousarray"):
        opened(path)
    np.savez(path, image=pixels(3), values=np.zeros((2, 5), np.float32))
    with pytest.raises(CalibrationError, match="different numbers of samples"):
        opened(path, SPEC, FLOAT)
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(CalibrationError, match=r"no readable \.npz"):
        opened(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"not an array")
    with pytest.raises(CalibrationError, match=r"'x': got a damaged array"):
        opened(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_behind_the_header_is_found_while_reading(tmp_path: Path, save: Callable) -> None:
    path = tmp_path / "x.npz"
    save(path, x=pixels(200))
    data = bytearray(path.read_bytes())
    data[5000:5100] = bytes(100)
    path.write_bytes(data)
    if save is np.savez_compressed:
        with pytest.raises(CalibrationError, match="damaged array"):
            list(opened(path))
    np.save(tmp_path / "x.npy", pixels(200))
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    with pytest.raises(CalibrationError, match="damaged array"):
        list(opened(tmp_path / "x.npy"))


def test_paths_that_are_nothing(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="does not exist"):
        opened(tmp_path / "gone")
    with pytest.raises(CalibrationError, match="no images"):
        opened(tmp_path)
    (tmp_path / "x.sqlite").write_text("")
    with pytest.raises(CalibrationError, match=r"'\.sqlite', expected a folder"):
        opened(tmp_path / "x.sqlite")
    np.save(tmp_path / "x.npy", pixels(2))
    with pytest.raises(CalibrationError, match=r"2 .'image', 'values'."):
        opened(tmp_path / "x.npy", SPEC, FLOAT)
    save_image(tmp_path / "a.png", pixels(1)[0])
    with pytest.raises(CalibrationError, match="is no image"):
        opened(tmp_path, FLOAT)


def test_recordings_are_named_for_what_they_are(tmp_path: Path) -> None:
    for name in ("yes/1.wav", "yes/2.wav", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"RIFF")
    with pytest.raises(CalibrationError, match=r"got no images but 2 files that end in '\.wav'.*spectrogram, MFCC"):
        opened(tmp_path, InputSpec("features", (1, 49, 10, 1), np.int8, 0.5, 0))
    with pytest.raises(CalibrationError, match=r"ends in '\.wav', expected .*spectrogram, MFCC"):
        opened(tmp_path / "yes" / "1.wav", FLOAT)


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.png"])
def test_git_lfs_pointers_are_named_for_what_they_are(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n")
    with pytest.raises(CalibrationError, match="Git LFS pointer, which stands for the file; run `git lfs pull`"):
        list(opened(tmp_path / name))
