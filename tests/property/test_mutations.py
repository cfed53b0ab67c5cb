"""Damaged models through every tool; `.ci/run --full` tries many more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import coded_models
import model_builder
from model_mutator import mutate
from mutations import TOOLS, trials
from robustness import Driver, Job

COUNT = 400


def test_damaged_models_are_refused_or_handled_right(tmp_path: Path) -> None:
    kinds: Counter[tuple[str, str]] = Counter()
    with Driver() as driver:
        for trial in trials(driver, tmp_path, range(COUNT)):
            assert trial.kind != "FAILED", trial
            kinds[trial.tool, trial.kind] += 1
    for tool in TOOLS:  # damage that is always refused, or never, would test nothing
        assert kinds[tool, "accepted"] >= 3, kinds
        assert kinds[tool, "refused"] >= 3 or tool == "delegate", kinds


def test_damage_repeats() -> None:
    content = model_builder.operators()
    assert [mutate(seed, content) for seed in range(20)] == [mutate(seed, content) for seed in range(20)]
    assert sum(mutate(seed, content)[1] != content for seed in range(100)) > 90


def test_an_outcome_that_is_not_clean_is_noticed(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    with Driver() as driver:
        missing = driver.run(Job("convert", str(model), str(tmp_path)))
        assert missing.is_refusal, missing
        model.write_bytes(coded_models.converted(model_builder.chain()).to_bytes())
        failed = driver.run(Job("runtime_alone", str(model), str(tmp_path)))  # asserts that its model is not converted
    assert (failed.code, failed.is_clean, failed.is_refusal) == (1, False, False)
    assert not replace(missing, written=["half a file"]).is_clean
    assert not replace(missing, output="Traceback (most recent call last):").is_clean
    assert not replace(missing, code=None).is_clean
