"""Partial results: kept, found again, refused for another evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.errors import UsageError
from fmtc_tflite.sharding.partial_results import PartialResults

IDENTITY = {"--model_file": "a" * 64, "--label_offset": 1, "--resize": (64, 64), "--seed": None}


def test_what_is_written_is_found_again(tmp_path: Path) -> None:
    state = {"model.ranks": np.arange(5), "empty": np.zeros((0, 3))}
    with PartialResults(tmp_path / "p", IDENTITY) as partial:
        assert partial.finished == set()
        partial.write(7, state)
    with PartialResults(tmp_path / "p", IDENTITY) as partial:
        assert partial.finished == {7}
        found = partial.read(7)
        assert {name: values.tolist() for name, values in found.items()} == {
            "model.ranks": [0, 1, 2, 3, 4],
            "empty": [],
        }
        partial.remove()
    assert not (tmp_path / "p").exists()


def test_without_results_nothing_is_left(tmp_path: Path) -> None:
    with PartialResults(tmp_path / "p", IDENTITY):
        assert (tmp_path / "p").is_dir()
    assert not (tmp_path / "p").exists()


def test_another_evaluation_is_refused_and_told_what_differs(tmp_path: Path) -> None:
    with PartialResults(tmp_path / "p", IDENTITY) as partial:
        partial.write(0, {"x": np.zeros(1)})
    other = {**IDENTITY, "--model_file": "b" * 64, "--label_offset": 0}
    with pytest.raises(UsageError) as error, PartialResults(tmp_path / "p", other):
        pass
    assert "--model_file bbbbbbbbbbbb, was aaaaaaaaaaaa, --label_offset 0, was 1;" in str(error.value)
    assert "--resize" not in str(error.value)
    assert "--seed" not in str(error.value)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        PartialResults(tmp_path / "p", IDENTITY),
        pytest.raises(UsageError, match="another run is at work"),
        PartialResults(tmp_path / "p", IDENTITY),
    ):
        pass


def test_folders_that_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(UsageError, match=r"holds other files \(holiday.jpg\)"):
        PartialResults(tmp_path, IDENTITY)
    with pytest.raises(UsageError, match="cannot keep partial results there"):
        PartialResults(tmp_path / "missing" / "p", IDENTITY)
    with pytest.raises(UsageError, match="cannot keep partial results there"):
        PartialResults(tmp_path / "holiday.jpg", IDENTITY)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with PartialResults(tmp_path / "p", IDENTITY) as partial:
        partial.write(0, {"x": np.arange(3)})
        (tmp_path / "p" / "shard_000000.npz").write_bytes(b"PK")
        with pytest.raises(UsageError, match=r"shard_000000.npz: is damaged"):
            partial.read(0)
    (tmp_path / "p" / "identity.json").write_text("{")
    with pytest.raises(UsageError, match=r"identity.json: is damaged"):
        PartialResults(tmp_path / "p", IDENTITY)


def test_what_an_interrupted_write_left_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / ".fmtc_abc").write_bytes(b"half")
    with PartialResults(tmp_path / "p", IDENTITY) as partial:
        assert partial.finished == set()
        partial.remove()
    assert not (tmp_path / "p").exists()
