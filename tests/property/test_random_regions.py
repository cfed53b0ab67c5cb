"""Random networks as regions, under every set of kernels; `.ci/run --full` tries many more."""

from __future__ import annotations

from collections import Counter

from region_trials import trials

COUNT = 300
_LEAST_KINDS = 44  # of ops that the networks are made of


def test_random_networks() -> None:
    fused: Counter[str] = Counter()
    for trial in trials(range(COUNT)):
        assert trial.failure is None, trial
        fused.update(trial.fused)
    assert len(fused) >= _LEAST_KINDS, fused
    assert min(fused.values()) >= COUNT // 25, fused
