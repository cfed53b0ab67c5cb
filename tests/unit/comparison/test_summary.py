"""Interpolation at equal loss, and what is said where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fmtc_tflite.comparison.summary import ablation, against_paper, bits_at, frontier

CURVE = [(0.1, 2.0), (0.01, 4.0), (0.001, 5.0)]


def point(scheme: str, loss: float | None, bits: float | None, **setting: Any) -> dict[str, Any]:
    failed = "cannot" if bits is None else None
    return {
        "point": scheme,
        "scheme": scheme,
        "loss": loss,
        "bits_per_value": bits,
        "failed": failed,
        "setting": setting,
    }


def test_known_points_and_the_middle_between_them() -> None:
    assert bits_at(CURVE, 0.01) == pytest.approx(4.0)
    assert bits_at(CURVE, float(np.sqrt(0.1 * 0.01))) == pytest.approx(3.0)


@pytest.mark.parametrize("loss", [0.2, 0.0009, 0.0])
def test_nothing_beyond_the_ends(loss: float) -> None:
    assert bits_at(CURVE, loss) is None


def test_a_point_that_another_beats_does_not_count() -> None:
    noisy = [*CURVE, (0.05, 4.5), (0.0, 1.0)]
    assert frontier(noisy) == sorted(CURVE)
    assert bits_at([], 0.1) is None


def test_savings_against_the_paper_or_the_reason_why_there_are_none() -> None:
    paper = [point("paper", loss, bits) for loss, bits in CURVE] + [point("paper", None, None)]
    rows = against_paper([*paper, point("fmtc", 0.01, 3.0), point("fmtc", 0.5, 1.0), point("fmtc", 1e-4, 4.0)])
    assert rows[0]["saved"] == pytest.approx(0.25)
    assert rows[0]["reason"] is None
    assert rows[1]["saved"] is None
    assert "not run beyond a loss of 0.1, at 2.000 bits/value" in rows[1]["reason"]
    assert "reaches no loss below 0.001, at 5.000 bits/value" in rows[2]["reason"]


def test_ablation_counts_against_the_same_bound() -> None:
    points = [
        point("fmtc", 0.01, 2.0, max_kl=0.02),
        point("fmtc", 0.04, 1.0, max_kl=0.05),
        point("ablation", 0.01, 3.0, max_kl=0.02, disable=["klt"]),
        point("ablation", None, None, max_kl=0.02, disable=["prediction"]),
        point("lossless", 0.0, 4.0, lossless=True),
        point("ablation", 0.0, 5.0, lossless=True, disable=["copies"]),
    ]
    rows = ablation(points)
    assert [row["disabled"] for row in rows] == ["klt", "prediction", "copies"]
    assert rows[0]["more_bits"] == pytest.approx(0.5)
    assert rows[1]["more_bits"] is None
    assert (rows[2]["more_bits"], rows[2]["max_kl"]) == (pytest.approx(0.25), None)
