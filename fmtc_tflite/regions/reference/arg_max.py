"""ARG_MAX."""

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


KERNELS: dict[int, type[Kernel]] = {30: ArgMax}
