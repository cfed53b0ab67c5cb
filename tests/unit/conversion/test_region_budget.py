"""How a budget of multiply-adds is shared between regions: plans that are lists of (scratch bytes, extra MACs)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from fmtc_tflite.conversion.region_budget import share_budget
from fmtc_tflite.regions.extra import Extra


@dataclass(frozen=True)
class Plan:
    scratch_bytes: int
    extra_macs: int
    macs: int

    @property
    def extra(self) -> Extra:
        return Extra(self.extra_macs, 0)


@dataclass(frozen=True)
class Choice:
    """A region that can be planned in several ways."""

    plan: Plan
    ways: tuple[Plan, ...]


def choice(macs: int, *ways: tuple[int, int]) -> Choice:
    """Ways as (scratch bytes, extra MACs); the first has none of the latter."""
    plans = tuple(Plan(size, extra, macs) for size, extra in ways)
    return Choice(plans[0], plans)


def replan(old: Choice, most: Extra, enough: int) -> Choice:
    """As plan_region: the least memory, of what is enough the fewest extra MACs."""
    allowed = [way for way in old.ways if way.extra_macs <= most.macs]
    best = min(allowed, key=lambda way: (max(way.scratch_bytes, enough), way.extra_macs))
    return replace(old, plan=best)


def largest(choices: Sequence[Choice], sizes: Sequence[int]) -> int:
    return max(sizes)


def shared(choices: Sequence[Choice], budget: int) -> tuple[int, int]:
    """Arena and multiply-adds in the end."""
    found = share_budget(choices, Extra(budget), replan, largest)  # type: ignore[type-var]
    extra = sum(each.plan.extra_macs for each in found)
    assert extra <= budget
    return max(each.plan.scratch_bytes for each in found), extra


def test_one_region_gets_all() -> None:
    region = choice(1000, (4096, 0), (2048, 10), (1024, 50))
    assert shared([region], 9) == (4096, 0)
    assert shared([region], 10) == (2048, 10)
    assert shared([region], 60) == (1024, 50)


def test_nothing_is_spent_where_it_does_not_matter() -> None:
    regions = [choice(1000, (4096, 0), (2048, 10), (1024, 50)), choice(1000, (2048, 0), (512, 5))]
    assert shared(regions, 50) == (2048, 10)
    assert shared(regions, 55) == (1024, 55)


def test_equal_peaks_are_lowered_together() -> None:
    regions = [choice(1000, (4096, 0), (2048, 10)), choice(1000, (4096, 0), (1024, 10))]
    assert shared(regions, 20) == (2048, 20)
    assert shared(regions, 19) == (4096, 0)


@pytest.mark.parametrize("seed", range(50))
def test_never_worse_than_without(seed: int) -> None:
    rng = np.random.default_rng(seed)
    regions = []
    for _ in range(int(rng.integers(1, 5))):
        sizes = np.sort(rng.integers(1, 100, 4) * 64)[::-1]
        extra = np.sort(rng.integers(1, 100, 3))
        regions.append(choice(1000, *zip(sizes.tolist(), [0, *extra.tolist()], strict=True)))
    before = max(each.plan.scratch_bytes for each in regions)
    after, extra_macs = shared(regions, 80)
    assert after < before or (after, extra_macs) == (before, 0)
