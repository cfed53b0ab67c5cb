"""Side-by-side runs give the same whatever is open at once."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from fmtc_tflite import api
from fmtc_tflite.data.opening import input_specs_from_model
from fmtc_tflite.data.repeated import RepeatedSamples
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.fidelity.verify import FidelityTrial, compare
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.inference import parallel
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.types import CalibrationOptions, ConvertOptions

DEMO = Path(str(resources.files("fmtc_tflite") / "demo" / "demo_int8.tflite"))


def test_large_models_are_open_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ModelFile.parse(DEMO.read_bytes())
    converted = ModelFile.parse(
        api.convert(DEMO, options=ConvertOptions(execution="ops", include="op:0"), dry_run=True).content
    )
    samples = SyntheticDataset(input_specs_from_model(original.model), 3, 0)
    expected = compare(original, converted, samples)
    running: list[ModelRunner] = []
    run, close = ModelRunner.run, ModelRunner.close

    def watched_run(self: ModelRunner, sample: dict[str, object]) -> None:
        assert not running
        running.append(self)
        run(self, sample)  # type: ignore[arg-type]

    def watched_close(self: ModelRunner) -> None:
        running.clear()
        close(self)

    monkeypatch.setattr(parallel, "_MOST_BYTES", 0)
    monkeypatch.setattr(ModelRunner, "run", watched_run)
    monkeypatch.setattr(ModelRunner, "close", watched_close)
    assert compare(original, converted, samples, num_threads=2) == expected
    assert expected.bit_exact


@pytest.mark.parametrize("room", [1 << 25, 0])
def test_repeated_samples(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fmtc_tflite.data.repeated._KEPT_BYTES", room)
    data = SyntheticDataset(input_specs_from_model(ModelFile.parse(DEMO.read_bytes()).model), 5, 0)
    repeated = RepeatedSamples(data, data.evenly(2))
    assert len(repeated) == 7
    for _ in range(2):
        found = [next(iter(sample.values())).tobytes() for sample in repeated]
        assert found == [next(iter(s.values())).tobytes() for part in (data, data.evenly(2)) for s in part]


def test_a_trial_ends_when_its_mean_is_certain_to_exceed_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ModelFile.parse(DEMO.read_bytes())
    options = ConvertOptions(
        max_bits_per_value=1.5, calibration=CalibrationOptions(data=DEMO.parent / "demo_samples.npz")
    )
    converted = ModelFile.parse(api.convert(DEMO, options=options, dry_run=True).content).model
    samples = RepeatedSamples(SyntheticDataset(input_specs_from_model(original.model), 6, 0))
    trial = FidelityTrial(original, samples, "auto", 1)
    whole = trial.measure(converted)
    assert whole.mean > 0
    assert trial.measure(converted, whole.mean * 1.01) == whole
    (contributions,) = trial.contributions(converted)
    assert len(contributions) == trial.num_samples == 6
    assert contributions.mean() == pytest.approx(whole.mean)
    runs = []
    run = ModelRunner.run
    monkeypatch.setattr(ModelRunner, "run", lambda self, sample: (runs.append(0), run(self, sample))[1])
    part = trial.measure(converted, whole.mean / 6)
    assert whole.mean / 6 < part.mean <= whole.mean
    assert len(runs) < 6
