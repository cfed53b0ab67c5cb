"""ARG_MAX and ARG_MAX_PLACES."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.regions.reference.kernels import Kernel

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_LEAST = 2


class ArgMax(Kernel):
    """ARG_MAX."""

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        values = rows.read(0, step, rows.columns)
        found = values.argmin(1) if self.rule == _LEAST else values.argmax(1)  # the first of several
        return found[:, None]


class ArgMaxPlaces(Kernel):
    """ARG_MAX_PLACES."""

    accumulates = True

    def compute(self, step: int, rows: StepRows) -> np.ndarray | None:
        width, channels = self.inputs[0].width, self.output.channels
        row = rows.read(0, step, np.arange(width))
        memory = rows.memory(np.int32, 2 * channels)
        best = memory[:channels].view(np.float32 if row.dtype == np.float32 else np.int32)
        places = memory[channels:]
        if step == 0:
            best[:], places[:] = row[0], 0
        candidates = np.concatenate([best[None], row.astype(best.dtype)])
        found = first_best(candidates, self.rule)
        best[:] = candidates[found, np.arange(channels)]
        places[:] = np.where(found == 0, places, step * width + found - 1)
        return places[None].astype(np.int64) if step + 1 == self.steps else None


def first_best(values: np.ndarray, rule: int) -> np.ndarray:
    """Along the first axis, the first value that none behind it beats, int64 [...]; nothing beats a NaN before it."""
    found, best = np.zeros(values.shape[1:], np.int64), values[0]
    for number, value in enumerate(values):
        beats = value < best if rule == _LEAST else value > best
        found, best = np.where(beats, number, found), np.where(beats, value, best)
    return found


KERNELS: dict[int, type[Kernel]] = {30: ArgMax, 34: ArgMaxPlaces}
