"""New cuts that lie over dying ones, as far as their rows are written behind those that are still read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fmtc_tflite.regions.ops import RegionTensor
from fmtc_tflite.regions.program_format import ROW_ALIGNMENT
from fmtc_tflite.regions.region import Form, align
from fmtc_tflite.regions.rows import Pull

_CIRCLE_SLACK = 1.2  # cuts of one height share a circle where the longer row is at most this many times the shorter


@dataclass(frozen=True)
class Overlay:
    """A new cut that lies over a dying one.

    Attributes:
      saved_bytes: of what both would take.
      circle_rows: in a circle of rows, which saves as much: each row lies so many rows before the old cut's; or None.
      is_linear: whether the new cut saves as much where it begins some bytes before the old one.
    """

    old: RegionTensor
    new: RegionTensor
    saved_bytes: int
    circle_rows: int | None
    is_linear: bool


def find_overlays(
    found: Pull, new: Sequence[RegionTensor], dying: Sequence[RegionTensor], forms: Mapping[RegionTensor, Form]
) -> tuple[Overlay, ...]:
    """Pairs of new and dying cuts of a stage, those that save most first; each cut takes part once.

    Args:
      found: the stage's execution.
      forms: of all these cuts.
    """
    pairs = [
        _overlay(old, cut, found.lowest[old, cut], forms) for cut in new for old in dying if (old, cut) in found.lowest
    ]
    chosen: list[Overlay] = []
    for pair in sorted((p for p in pairs if p.saved_bytes > 0), key=lambda p: -p.saved_bytes):
        if all(pair.old is not other.old and pair.new is not other.new for other in chosen):
            chosen.append(pair)
    return tuple(chosen)


def _overlay(
    old: RegionTensor, new: RegionTensor, lowest: tuple[int, ...], forms: Mapping[RegionTensor, Form]
) -> Overlay:
    rows = (forms[old].row_bytes, forms[new].row_bytes)
    sizes = (old.height * rows[0], new.height * rows[1])
    needed = [(y, low) for y, low in enumerate(lowest) if low < old.height]
    ahead = align(max((0, *((y + 1) * rows[1] - low * rows[0] for y, low in needed))), ROW_ALIGNMENT)
    linear = sum(sizes) - max(sizes[1], ahead + sizes[0])
    if old.height != new.height or max(rows) > _CIRCLE_SLACK * min(rows):
        return Overlay(old, new, linear, None, True)
    distance = max((0, *(y + 1 - low for y, low in needed)))
    circle = sum(sizes) - (old.height + distance) * max(rows)
    saved = max(circle, linear)
    return Overlay(old, new, saved, distance if circle == saved else None, linear == saved)
