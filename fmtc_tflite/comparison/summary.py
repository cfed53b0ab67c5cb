"""Figures that compare curves: at equal loss, interpolated and never extrapolated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (loss, bits) that no other point beats in both, by rising loss; those without any loss are left out."""
    best: list[tuple[float, float]] = []
    for loss, bits in sorted(points):
        if loss > 0 and (not best or bits < best[-1][1]):
            best.append((loss, bits))
    return best


def bits_at(curve: Sequence[tuple[float, float]], loss: float) -> float | None:
    """Bits at a loss, linear in the loss's logarithm between the frontier's points; None outside of it."""
    known = frontier(curve)
    if not known or not known[0][0] <= loss <= known[-1][0]:
        return None
    losses, bits = np.array(known).T
    return float(np.interp(np.log(loss), np.log(losses), bits))


def against_paper(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bits of each point of this codec beside those of the paper's scheme at the same measured loss."""
    curve = [(p["loss"], p["bits_per_value"]) for p in points if p["scheme"] == "paper" and p["failed"] is None]
    rows = []
    for p in points:
        if p["scheme"] != "fmtc" or p["failed"] is not None:
            continue
        other = bits_at(curve, p["loss"])
        rows.append(
            {
                "point": p["point"],
                "loss": p["loss"],
                "bits_per_value": p["bits_per_value"],
                "paper_bits_per_value": other,
                "saved": None if other is None else 1 - p["bits_per_value"] / other,
                "reason": _why_not(frontier(curve), p["loss"]) if other is None else None,
            }
        )
    return rows


def _why_not(known: Sequence[tuple[float, float]], loss: float) -> str:
    if not known:
        return "the paper's scheme has no point with a loss"
    (least, most_bits), (most, least_bits) = known[0], known[-1]
    if loss < least:
        return f"the paper's scheme reaches no loss below {least:.4g}, at {most_bits:.3f} bits/value"
    return f"the paper's scheme was not run beyond a loss of {most:.4g}, at {least_bits:.3f} bits/value"


def ablation(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bits without one feature each, and how many more that is than with all of them under the same bound, or none.

    A row's max_kl is null where the conversion is lossless.
    """
    found = [p for p in points if p["scheme"] == "ablation"]
    complete = [p for p in points if p["scheme"] in ("fmtc", "lossless") and p["failed"] is None]
    whole = {p["setting"].get("max_kl"): p for p in complete}
    rows = []
    for p in found:
        reference = whole.get(p["setting"].get("max_kl"))
        known = p["failed"] is None and reference is not None
        rows.append(
            {
                "disabled": p["setting"]["disable"][0],
                "max_kl": p["setting"].get("max_kl"),
                "failed": p["failed"],
                "loss": p["loss"],
                "bits_per_value": p["bits_per_value"],
                "more_bits": p["bits_per_value"] / reference["bits_per_value"] - 1 if known and reference else None,
            }
        )
    return rows
