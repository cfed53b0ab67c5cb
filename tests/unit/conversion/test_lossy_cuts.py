"""Which plan loss in coded cuts is given, before and after it is known how much it saves."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from fmtc_tflite.conversion import lossy_cuts
from fmtc_tflite.conversion.lossy_cuts import LossyCuts, lose_in_cuts
from fmtc_tflite.conversion.traffic_objective import TrafficGoal
from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.regions.coded_cuts import Rate
from fmtc_tflite.types import ConvertOptions
from region_doubles import int8_tensor

RAW, LOSSLESS = 500, 800  # bytes of a plan that codes nothing, and of one whose cuts are all coded, without loss


def plans(share: float) -> list[Any]:
    """Coding stores less where it leaves a small enough share."""
    return [
        SimpleNamespace(plan=SimpleNamespace(stored_bytes=min(RAW, share * LOSSLESS), codes=share * LOSSLESS < RAW))
    ]


@pytest.mark.parametrize(
    ("real", "tried", "stored"),
    [
        (0.55, [True], 440),  # as expected
        (0.3, [True], 240),  # better; the plan for it would be the same
        (0.6, [True], 480),
        (1.0, [True, False], RAW),  # nothing may be lost: the plan without coding is better
    ],
)
def test_a_plan_follows_what_loss_leaves(
    monkeypatch: pytest.MonkeyPatch, real: float, tried: list[bool], stored: float
) -> None:
    tensor = int8_tensor("cut", 8, 8, 4).source
    seen: list[bool] = []

    def planned(goal: TrafficGoal) -> list[Any]:
        rates: Mapping[Tensor, Rate] = goal.rates
        return plans(rates[tensor].bits / 100)

    def lose_in(content: bytes, chosen: object, regions: list[Any], *_: object) -> LossyCuts:
        codes = regions[0].plan.codes
        seen.append(codes)
        return LossyCuts(None, regions, regions, int(real * LOSSLESS) if codes else RAW, real if codes else 1.0)

    monkeypatch.setattr(lossy_cuts, "_lose_in", lose_in)
    goal = TrafficGoal(1.1, {tensor: Rate(b"", 100.0)})
    chosen: Any = SimpleNamespace(planned=planned)
    found = lose_in_cuts(b"", chosen, goal, ("", ""), ConvertOptions())
    assert seen == tried
    assert found.stored_bytes == stored


def test_scaled_rates_keep_their_other_form() -> None:
    rate = Rate(b"with", 80.0, Rate(b"without", 100.0)).scaled(0.5)
    assert rate == Rate(b"with", 40.0, Rate(b"without", 50.0))
