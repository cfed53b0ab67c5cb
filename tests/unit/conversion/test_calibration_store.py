"""Conversions with a calibration store: the same result, without measuring again."""

from __future__ import annotations

import importlib.resources
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.calibration import kept_statistics, passes
from fmtc_tflite.conversion import source
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.source import open_model
from fmtc_tflite.errors import UsageError
from fmtc_tflite.types import CalibrationOptions, ConvertOptions

DEMO = importlib.resources.files("fmtc_tflite") / "demo"
MODEL = (DEMO / "demo_int8.tflite").read_bytes()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> ConvertOptions:
    """Options of a conversion that has filled its store."""
    folder = tmp_path_factory.mktemp("used")
    x = np.load(str(DEMO / "demo_samples.npz"))["x"][:20]
    np.savez(folder / "samples.npz", x=x)
    calibration = CalibrationOptions(data=folder / "samples.npz", store=folder / "store.npz")
    options = ConvertOptions(calibration, max_kl=0.02, num_threads=1)
    convert(options)
    return options


def with_store(options: ConvertOptions, path: Path | None) -> ConvertOptions:
    return replace(options, calibration=replace(options.calibration, store=path))


def convert(options: ConvertOptions) -> bytes:
    return convert_content(MODEL, options).content


def forbid_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(passes, "value_statistics", fail)
    monkeypatch.setattr(kept_statistics, "measure_sensitivities", fail)


def test_another_bound_measures_nothing_again_and_gives_what_it_would_without(
    used: ConvertOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarser = replace(used, max_kl=0.1)
    expected = convert(with_store(coarser, None))
    forbid_measuring(monkeypatch)
    assert convert(coarser) == expected


def test_an_interrupted_conversion_keeps_what_it_measured(
    used: ConvertOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = with_store(used, tmp_path / "store.npz")
    with monkeypatch.context() as patch:
        patch.setattr(kept_statistics, "measure_sensitivities", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            convert(options)
    monkeypatch.setattr(passes, "value_statistics", lambda *arguments: 1 / 0)
    assert convert(options)


def test_other_models_and_flags_are_refused(used: ConvertOptions) -> None:
    with pytest.raises(UsageError, match="holds another calibration: MODEL"):
        open_model(MODEL + bytes(16), used)
    with pytest.raises(UsageError, match="--num_samples 16, was 512"):
        open_model(MODEL, replace(used, calibration=replace(used.calibration, num_samples=16)))


def test_other_data_are_refused(used: ConvertOptions, tmp_path: Path) -> None:
    x = np.load(str(used.calibration.data))["x"]
    np.savez(tmp_path / "samples.npz", x=255 - x)
    other = replace(used, calibration=replace(used.calibration, data=tmp_path / "samples.npz"))
    with pytest.raises(UsageError, match=r"--calibration_data [0-9a-f]{12}, was [0-9a-f]{12};"):
        open_model(MODEL, other)


def test_what_runs_after_the_statistics_is_bounded(used: ConvertOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MOST_SAMPLES", 4)
    samples = open_model(MODEL, used).sources[0].samples
    assert [len(part) for part in (samples.build, samples.tables, samples.held_back)] == [10, 4, 4]


def test_the_file_names_no_place(used: ConvertOptions) -> None:
    assert used.calibration.store is not None
    content = used.calibration.store.read_bytes()
    for text in (str(used.calibration.store.parent), "samples.npz", str(Path.home())):
        assert text.encode() not in content
