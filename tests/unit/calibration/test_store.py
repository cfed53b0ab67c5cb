"""The calibration store: what it keeps, what it refuses, and what an interruption leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmtc_tflite.calibration.store import FORMAT_VERSION, Arrays, CalibrationStore
from fmtc_tflite.errors import FmtcError, UsageError

IDENTITY = {"MODEL": "a" * 64, "--calibration_data": "b" * 64, "--resize": (32, 32), "--seed": 0}
RESULT = {"counts": np.arange(6).reshape(2, 3), "mean": np.array(0.1), "none": np.zeros((0, 2))}


def unmeasurable() -> Arrays:
    raise AssertionError("measured again")


def filled(path: Path) -> Path:
    with CalibrationStore(path, IDENTITY) as store:
        store.put("statistics", {"tensor": "0:1", "samples": [1, 2]}, RESULT)
    return path


def assert_equal(found: Arrays | None, wanted: Arrays) -> None:
    assert found is not None
    assert {name: (v.dtype, v.tolist()) for name, v in found.items()} == {
        name: (v.dtype, v.tolist()) for name, v in wanted.items()
    }


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    store = CalibrationStore(filled(tmp_path / "s.npz"), IDENTITY)
    assert_equal(store.get("statistics", {"samples": (1, 2), "tensor": "0:1"}), RESULT)
    assert_equal(store.get_or_measure("statistics", {"tensor": "0:1", "samples": [1, 2]}, unmeasurable), RESULT)
    assert store.get("statistics", {"tensor": "0:2", "samples": [1, 2]}) is None
    assert store.get("levels", {"tensor": "0:1", "samples": [1, 2]}) is None


def test_an_empty_result_is_a_result(tmp_path: Path) -> None:
    with CalibrationStore(tmp_path / "s.npz", IDENTITY) as store:
        assert store.get_or_measure("x", {}, dict) == {}
    assert CalibrationStore(tmp_path / "s.npz", IDENTITY).get_or_measure("x", {}, unmeasurable) == {}


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    results = {f"0:{i}": {"x": np.full(3, i)} for i in range(5)}
    for name, order in (("a", list(results)), ("b", list(results)[::-1])):
        with CalibrationStore(tmp_path / name, IDENTITY) as store:
            for tensor in order:
                store.put("stage", {"tensor": tensor}, results[tensor])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_only_what_is_missing_is_measured(tmp_path: Path) -> None:
    parameters = [{"tensor": f"0:{i}"} for i in range(4)]
    with CalibrationStore(tmp_path / "s.npz", IDENTITY) as store:
        for i in (0, 2):
            store.put("stage", parameters[i], {"x": np.array(i)})
    with CalibrationStore(tmp_path / "s.npz", IDENTITY) as store:
        asked: list[list[int]] = []

        def measure(missing: list[int]) -> list[Arrays]:
            asked.append(missing)
            return [{"x": np.array(i)} for i in missing]

        found = store.get_or_measure_each("stage", parameters, measure)
        assert [int(arrays["x"]) for arrays in found] == [0, 1, 2, 3]
        store.get_or_measure_each("stage", parameters, measure)
        assert asked == [[1, 3]]


def test_an_interrupted_measurement_goes_on_after_the_last_finished_site(tmp_path: Path) -> None:
    parameters = [{"tensor": f"0:{i}"} for i in range(5)]
    measured: list[int] = []
    interrupts = [KeyboardInterrupt()]

    def measure(missing: list[int]) -> Iterator[Arrays]:
        for i in missing:
            if i == 3 and interrupts:
                raise interrupts.pop()
            measured.append(i)
            yield {"x": np.array(i)}

    with pytest.raises(KeyboardInterrupt), CalibrationStore(tmp_path / "s.npz", IDENTITY) as store:
        store.get_or_measure_each("stage", parameters, measure)
    with CalibrationStore(tmp_path / "s.npz", IDENTITY) as store:
        found = store.get_or_measure_each("stage", parameters, measure)
    assert measured == [0, 1, 2, 3, 4]
    assert [int(arrays["x"]) for arrays in found] == [0, 1, 2, 3, 4]


def test_results_are_saved_while_they_come_in(tmp_path: Path) -> None:
    store = CalibrationStore(tmp_path / "s.npz", IDENTITY)
    store.put("stage", {}, RESULT)
    assert_equal(CalibrationStore(tmp_path / "s.npz", IDENTITY).get("stage", {}), RESULT)


def test_runs_that_share_a_file_keep_what_the_others_measured(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    with CalibrationStore(path, IDENTITY) as first, CalibrationStore(path, IDENTITY) as other:
        first.put("stage", {"tensor": "0:1"}, {"x": np.array(1)})
        other.put("stage", {"tensor": "0:2"}, {"x": np.array(2)})
    both = CalibrationStore(path, IDENTITY)
    assert [int(both.get_or_measure("stage", {"tensor": f"0:{i}"}, unmeasurable)["x"]) for i in (1, 2)] == [1, 2]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"MODEL": "c" * 64}, "MODEL cccccccccccc, was aaaaaaaaaaaa;"),
        ({"--calibration_data": "c" * 64}, "--calibration_data cccccccccccc, was bbbbbbbbbbbb;"),
        ({"--seed": 1, "--resize": None}, r"--resize unset, was \[32, 32\], --seed 1, was 0;"),
    ],
)
def test_another_calibration_is_refused_and_told_what_differs(tmp_path: Path, change: dict, text: str) -> None:
    before = filled(tmp_path / "s.npz").read_bytes()
    with pytest.raises(UsageError, match=text):
        CalibrationStore(tmp_path / "s.npz", {**IDENTITY, **change})
    assert (tmp_path / "s.npz").read_bytes() == before


def rewritten_header(path: Path, **changes: object) -> None:
    members = dict(np.load(path))
    header = {**json.loads(members["header"].tobytes()), **changes}
    members["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **members)


def test_another_version_is_refused(tmp_path: Path) -> None:
    rewritten_header(filled(tmp_path / "s.npz"), version=FORMAT_VERSION + 1)
    with pytest.raises(UsageError, match="version 3, expected 2; name another file, or delete it"):
        CalibrationStore(tmp_path / "s.npz", IDENTITY)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", x=np.zeros(3))
    np.save(tmp_path / "samples.npy", np.zeros(3))
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").touch()
    rewritten_header(filled(tmp_path / "other_format.npz"), format="another")
    for path in list(tmp_path.iterdir()):
        before = path.read_bytes()
        with pytest.raises(UsageError, match="is no calibration store, or a damaged one"):
            CalibrationStore(path, IDENTITY)
        assert path.read_bytes() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_a_damaged_file_is_refused_or_read_as_it_was(tmp_path: Path, data: st.DataObject) -> None:
    good = filled(tmp_path / "good.npz").read_bytes()
    damaged = bytearray(good)
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(good) - 1)) :]
    else:
        damaged[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "bad.npz").write_bytes(damaged)
    try:
        store = CalibrationStore(tmp_path / "bad.npz", IDENTITY)
    except UsageError as error:
        assert "name another file" in str(error)  # noqa: PT017  (either outcome is right)
    else:
        assert_equal(store.get("statistics", {"tensor": "0:1", "samples": [1, 2]}), RESULT)


def test_places_that_cannot_be_written_are_found_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="Not a directory"):
        CalibrationStore(tmp_path / "file" / "s.npz", IDENTITY)
    with pytest.raises(UsageError, match="is a folder"):
        CalibrationStore(tmp_path, IDENTITY)


def test_a_folder_that_takes_no_files() -> None:
    with pytest.raises(FmtcError, match=r"not writable|cannot write /proc"):
        CalibrationStore(Path("/proc/s.npz"), IDENTITY).put("stage", {}, RESULT)


def test_without_a_file_nothing_is_kept() -> None:
    with CalibrationStore(None, IDENTITY) as store:
        assert_equal(store.get_or_measure("stage", {}, lambda: RESULT), RESULT)
        assert store.get("stage", {}) is None
