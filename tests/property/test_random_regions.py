"""Random networks as regions, under every set of kernels; `.ci/run --full` tries many more."""

from __future__ import annotations

from collections import Counter

import pytest

from region_trials import trials

COUNT, PARTS = 300, 10
_KINDS = 14  # of ops that the networks are made of


@pytest.mark.parametrize("part", range(PARTS))
def test_random_networks(part: int) -> None:
    size = COUNT // PARTS
    fused: Counter[str] = Counter()
    for trial in trials(range(part * size, (part + 1) * size)):
        assert trial.failure is None, trial
        fused.update(trial.fused)
    assert len(fused) == _KINDS, fused
