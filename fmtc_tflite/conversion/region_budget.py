"""What strips of which regions may cost: one budget for all regions of a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from fmtc_tflite.memory.arena import ALIGNMENT_BYTES
from fmtc_tflite.regions.extra import Extra, total
from fmtc_tflite.regions.planner import RegionPlan


class Planned(Protocol):
    """A group of ops with its plan."""

    @property
    def plan(self) -> RegionPlan:
        """How its ops are executed as a region."""


Choice = TypeVar("Choice", bound=Planned)

# Plans a group again. Arguments: what strips may cost, and how many bytes of scratch memory are few enough: where fewer
# are not needed, strips cost less.
Replan = Callable[[Choice, Extra, int], Choice]
# The arena of the graph with some regions that need so many bytes of scratch memory.
Arena = Callable[[Sequence[Choice], Sequence[int]], int]


def share_budget(
    choices: Sequence[Choice], budget: Extra, replan: Replan[Choice], arena: Arena[Choice]
) -> list[Choice]:
    """Plans regions again, in strips where these make the graph's arena smaller: the least one within the budget.

    By bisection; placed tensors leave gaps, so that less memory for one region need not make the arena smaller.
    """
    best, least = list(choices), _arena(choices, arena)
    low, high = arena(choices, [0] * len(choices)), least
    if len(choices) == 1:
        low = min(high, _arena([replan(choices[0], budget, 0)], arena))
    limit = low
    while low < high:
        found = _within(limit, choices, budget, replan, arena)
        size = _arena(found, arena)
        if (size, *_extra(found)) < (least, *_extra(best)):
            best, least = found, size
        if size <= limit:
            high = size
        else:
            low = limit + ALIGNMENT_BYTES
        limit = (low + high) // 2
    return best


def _arena(choices: Sequence[Choice], arena: Arena[Choice]) -> int:
    return arena(choices, [choice.plan.scratch_bytes for choice in choices])


def _extra(choices: Sequence[Choice]) -> tuple[int, int]:
    extra = total(choice.plan.extra for choice in choices)
    return extra.macs, extra.ns


def _within(
    limit: int, choices: Sequence[Choice], budget: Extra, replan: Replan[Choice], arena: Arena[Choice]
) -> list[Choice]:
    """Plans for an arena within a limit whose strips cost least, as far as the budget allows."""
    found = []
    for number, choice in enumerate(choices):
        planned = replan(choice, budget, most_scratch(limit, number, choices, arena))
        budget = budget.without(planned.plan.extra)
        found.append(planned)
    return found


def most_scratch(limit: int, number: int, choices: Sequence[Choice], arena: Arena[Choice]) -> int:
    """The most scratch memory with which a region, were it the only one that needs some, keeps the arena in a limit."""
    sizes, low, high = [0] * len(choices), 0, limit
    while low < high:
        sizes[number] = (low + high + 1) // 2
        if arena(choices, sizes) <= limit:
            low = sizes[number]
        else:
            high = sizes[number] - 1
    return low
