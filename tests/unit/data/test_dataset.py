"""Readers of calibration and evaluation data: what they deliver."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.errors import CalibrationError, UsageError
from small_data import FLOAT, SPEC, opened, pixels, save_image, stacked


def test_folder_is_recursive_sorted_and_labelled_by_subfolder(image_folder: Path) -> None:
    dataset = opened(image_folder)
    assert (dataset.source, len(dataset)) == ("images", 6)
    files = [Path(dataset.name(i)).relative_to(image_folder).as_posix() for i in range(6)]
    assert files == ["cat/a.png", "cat/b.png", "cat/c.png", "dog/a.png", "dog/b.PNG", "eel/x/deep.png"]
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 2]
    first = next(iter(dataset))["image"]
    assert (first.shape, first.dtype) == ((1, 8, 6, 3), np.int8)
    assert np.array_equal(first[0].astype(int) + 128, np.asarray(Image.open(image_folder / "cat/a.png")))
    assert np.array_equal(stacked(dataset), stacked(dataset))


def test_folder_without_classes_has_no_labels(tmp_path: Path) -> None:
    save_image(tmp_path / "only" / "a.png", pixels(1)[0])
    assert opened(tmp_path).labels is None
    save_image(tmp_path / "b.png", pixels(1)[0])
    assert opened(tmp_path).labels is None
    assert len(opened(tmp_path / "b.png")) == 1


def test_csv_paths_are_relative_to_it(image_folder: Path) -> None:
    csv = image_folder.parent / "list.csv"
    csv.write_text("\ufefffile,label\nimages/dog/a.png,7\nimages/cat/a.png,-1\n", encoding="utf-8")
    dataset = opened(csv)
    assert dataset.source == "csv"
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [7, -1]
    csv.write_text("label_text,file\n,images/dog/a.png\n")
    assert opened(csv).labels is None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_mapped_or_streamed(tmp_path: Path, save: Callable) -> None:
    x, y = pixels(9), np.arange(9)[::-1]
    save(tmp_path / "data.npz", y=y, x=x)
    dataset = opened(tmp_path / "data.npz")
    assert np.array_equal(stacked(dataset).astype(int) + 128, x)
    part = dataset.subset([7, 2, 5])
    assert np.array_equal(stacked(part).astype(int) + 128, x[[2, 5, 7]])
    assert part.labels is not None
    assert part.labels.tolist() == [6, 3, 1]
    assert part.name(1) == f"{tmp_path / 'data.npz'}[5]"


def test_npy_of_quantized_values_passes_untouched(tmp_path: Path) -> None:
    x = (pixels(4).astype(int) - 128).astype(np.int8)
    np.save(tmp_path / "c.npy", x)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(x))
    for file in ("c.npy", "fortran.npy"):
        dataset = opened(tmp_path / file, preprocessing=Preprocessing("torch"))
        assert np.array_equal(stacked(dataset), x)
        assert (dataset.source, dataset.labels) == ("npy", None)


def test_several_inputs_by_name_or_alias(tmp_path: Path) -> None:
    other = InputSpec("serving_default_v:0", (1, 5), np.float32, aliases=("v",))
    values = np.random.default_rng(0).normal(size=(3, 5))
    np.savez(tmp_path / "two.npz", image=pixels(3), v=values)
    sample = list(opened(tmp_path / "two.npz", SPEC, other))[2]
    assert sample["image"].shape == (1, 8, 6, 3)
    assert np.array_equal(sample["serving_default_v:0"][0], values[2].astype(np.float32))
    with pytest.raises(CalibrationError, match=r"arrays image, v, expected 'values'"):
        opened(tmp_path / "two.npz", SPEC, FLOAT)


def test_grey_arrays_need_no_channel_axis_and_batches_are_filled(tmp_path: Path) -> None:
    x = pixels(2, (8, 6))
    np.save(tmp_path / "x.npy", x)
    batched = InputSpec("grey", (3, 8, 6, 1), np.int8, 1.0, -128)
    sample = next(iter(opened(tmp_path / "x.npy", batched)))["grey"]
    assert sample.shape == (3, 8, 6, 1)
    assert np.array_equal(sample[2, ..., 0].astype(int) + 128, x[0])


def test_random_subset_is_seeded_and_in_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=pixels(50), y=np.arange(50))
    labels = [opened(tmp_path / "x.npz", num_samples=20, seed=seed).labels for seed in (1, 1, 2)]
    assert len(labels[0]) == 20
    assert (np.diff(labels[0]) > 0).all()
    assert np.array_equal(labels[0], labels[1])
    assert not np.array_equal(labels[0], labels[2])
    assert len(opened(tmp_path / "x.npz", num_samples=1000)) == 50
    with pytest.raises(UsageError, match="--num_samples"):
        opened(tmp_path / "x.npz", num_samples=0)


@pytest.mark.parametrize(
    ("count", "held_back"), [(2, 1), (40, 20), (64, 32), (100, 32), (140, 42), (200, 100), (1001, 400), (1500, 450)]
)
def test_split_holds_back(tmp_path: Path, count: int, held_back: int) -> None:
    np.savez(tmp_path / "x.npz", x=pixels(count), y=np.arange(count))
    build, held = opened(tmp_path / "x.npz").split(seed=3)
    assert (len(build), len(held)) == (count - held_back, held_back)
    assert sorted([*build.labels, *held.labels]) == list(range(count))
    assert np.array_equal(opened(tmp_path / "x.npz").split(seed=3)[1].labels, held.labels)


def test_folds_have_every_sample_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=pixels(30), y=np.arange(30))
    folds = [fold.labels.tolist() for fold in opened(tmp_path / "x.npz").folds(4, seed=1)]
    assert sorted(label for fold in folds for label in fold) == list(range(30))
    assert sorted(map(len, folds)) == [7, 7, 8, 8]
    assert folds != [fold.labels.tolist() for fold in opened(tmp_path / "x.npz").folds(4, seed=2)]


@pytest.mark.parametrize(("count", "chosen"), [(1, [0]), (3, [0, 3, 6]), (10, list(range(10))), (99, list(range(10)))])
def test_evenly_spread_samples(tmp_path: Path, count: int, chosen: list[int]) -> None:
    np.savez(tmp_path / "x.npz", x=pixels(10), y=np.arange(10))
    assert opened(tmp_path / "x.npz").evenly(count).labels.tolist() == chosen


def test_a_selection_is_known_by_its_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=pixels(10))
    data = opened(tmp_path / "x.npz")
    assert data.subset([1, 2]).selection() == data.subset([2, 1]).selection()
    assert data.subset([1, 2]).selection() != data.subset([1, 3]).selection()


def test_arrays_are_resized_on_demand(tmp_path: Path) -> None:
    x = pixels(2, (16, 12, 3))
    np.save(tmp_path / "x.npy", x)
    dataset = opened(tmp_path / "x.npy", preprocessing=Preprocessing(resize=(8, 6)))
    expected = np.asarray(Image.fromarray(x[1]).resize((6, 8), Image.Resampling.BILINEAR))
    assert np.array_equal(stacked(dataset)[1].astype(int) + 128, expected)
    np.save(tmp_path / "q.npy", np.zeros((2, 8, 6, 3), np.int8))
    with pytest.raises(UsageError, match="need uint8 pixels"):
        opened(tmp_path / "q.npy", preprocessing=Preprocessing(central_crop=0.5))


def test_streaming_keeps_memory_flat(tmp_path: Path) -> None:
    import tracemalloc

    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((2000, 64, 64, 3), np.uint8))
    spec = InputSpec("image", (1, 64, 64, 3), np.uint8, 1.0, 0)
    tracemalloc.start()
    assert sum(1 for _ in opened(tmp_path / "x.npz", spec)) == 2000
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2_000_000  # the array has 24 MB


def test_first_samples_instead_of_random_ones(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=pixels(9), y=np.arange(9))
    assert opened(tmp_path / "x.npz", num_samples=4, seed=None).labels.tolist() == [0, 1, 2, 3]


def test_folders_know_their_classes(image_folder: Path) -> None:
    assert opened(image_folder, num_samples=1, seed=None).num_classes == 3


def test_label_maps_of_arrays(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).integers(0, 5, (4, 3, 2))
    np.savez_compressed(tmp_path / "x.npz", x=pixels(4), y=maps)
    dataset = opened(tmp_path / "x.npz")
    assert (dataset.labels, dataset.has_label_maps) == (None, True)
    found = list(dataset.subset([1, 3]).read_label_maps((3, 2)))
    assert np.array_equal(found, maps[[1, 3]])


def test_label_maps_of_files_follow_the_crop(tmp_path: Path) -> None:
    mask = np.zeros((16, 12), np.uint8)
    mask[2:14] = 7  # what a square crop from the middle keeps
    Image.fromarray(mask).save(tmp_path / "mask.png")
    save_image(tmp_path / "a.png", pixels(1)[0])
    (tmp_path / "list.csv").write_text("file,label\na.png,mask.png\n")
    whole = opened(tmp_path / "list.csv")
    (found,) = whole.read_label_maps((8, 6))
    assert found.shape == (8, 6)
    assert sorted(np.unique(found)) == [0, 7]
    cropped = opened(tmp_path / "list.csv", preprocessing=Preprocessing(central_crop=1.0))
    (found,) = cropped.read_label_maps((8, 6))
    assert np.unique(found).tolist() == [7]
    Image.new("RGB", (12, 16)).save(tmp_path / "mask.png")
    with pytest.raises(CalibrationError, match="mode RGB, expected one channel"):
        list(whole.read_label_maps((8, 6)))
    (tmp_path / "list.csv").write_text("file,label\na.png,mask.png\na.png,3\n")
    with pytest.raises(CalibrationError, match="line 3: got '3', which does not exist"):
        opened(tmp_path / "list.csv")


def test_datasets_can_be_sent_to_other_processes(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=pixels(9), y=np.arange(9))
    dataset = opened(tmp_path / "x.npz")
    list(dataset)  # opens the file
    copy = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(stacked(copy), stacked(dataset))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64, bool])
def test_one_hot_labels(tmp_path: Path, dtype: type) -> None:
    np.savez(tmp_path / "x.npz", x=pixels(3), y=np.eye(10)[[3, 7, 0]].astype(dtype))
    labels = opened(tmp_path / "x.npz").labels
    assert labels is not None
    assert labels.tolist() == [3, 7, 0]
    np.savez(tmp_path / "x.npz", x=pixels(2), y=np.array([[0, 2], [1, 0]]).astype(np.float32))
    assert opened(tmp_path / "x.npz").labels is None, "targets of a regression"


def test_fingerprint_tells_data_apart(tmp_path: Path, image_folder: Path) -> None:
    np.savez(tmp_path / "x.npz", x=pixels(9), y=np.arange(9))
    first = opened(tmp_path / "x.npz").fingerprint()
    assert opened(tmp_path / "x.npz").fingerprint() == first
    np.savez(tmp_path / "x.npz", x=pixels(9), y=np.arange(9)[::-1])
    assert opened(tmp_path / "x.npz").fingerprint() != first
    images = opened(image_folder).fingerprint()
    save_image(image_folder / "cat" / "b.png", np.tile(pixels(2)[1], (9, 9, 1)))
    assert opened(image_folder).fingerprint() != images


def test_fingerprint_does_not_depend_on_place_and_time(tmp_path: Path, image_folder: Path) -> None:
    images = opened(image_folder).fingerprint()
    elsewhere = shutil.copytree(image_folder, tmp_path / "far" / "away")
    for path in elsewhere.rglob("*.png"):
        os.utime(path, (1, 1))
    assert opened(elsewhere).fingerprint() == images
    np.savez(tmp_path / "x.npz", x=pixels(9))
    shutil.copy(tmp_path / "x.npz", elsewhere / "x.npz")
    assert opened(elsewhere / "x.npz").fingerprint() == opened(tmp_path / "x.npz").fingerprint()


def test_a_part_for_another_process(tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "x.npz", x=pixels(9), y=np.arange(9))
    monkeypatch.chdir(tmp_path)
    for path in (Path("x.npz"), Path(os.path.relpath(image_folder))):
        dataset = opened(path)
        positions = np.arange(1, len(dataset))
        expected = dataset.subset(positions)
        part = pickle.loads(pickle.dumps(dataset.part(positions)))
        samples = stacked(expected)
        monkeypatch.chdir("/")
        assert np.array_equal(stacked(part), samples)
        monkeypatch.chdir(tmp_path)
        assert np.array_equal(part.labels, expected.labels)
        assert part.num_classes == expected.num_classes
        assert [Path(name).name for name in map(part.name, range(len(part)))] == [
            Path(name).name for name in map(expected.name, range(len(part)))
        ]
        assert part.file_states(anew=True) == part.file_states()
        assert all(os.path.isabs(name) for name in part.file_states())
        assert set(part.file_states().values()) <= set(dataset.file_states().values())
