"""The step quantizer of FORMAT.md section 4.1, and what it is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmtc_tflite.coding.side_info import CODED_STEPS, MAX_STEP, STEP_ONE


def centres(channel_means: np.ndarray, lo: int, zero_point: int) -> int | np.ndarray:
    """Centres of the step quantizer in the int8 domain.

    The zero point where it is the activation's minimum (so that zeros stay exact), else the rounded channel means.

    Args:
      channel_means: float [C].
      lo: smallest value that the producer's activation lets through.
      zero_point: of the tensor, in the int8 domain.
    """
    if lo == zero_point:
        return zero_point
    return np.clip(np.rint(channel_means), -128, 127).astype(np.int8)


def step_codes(step: float | Sequence[float], channels: int) -> np.ndarray:
    """Steps in int8 units to the 1/16 units [channels] of FORMAT.md, limited to what it allows.

    Args:
      step: one for all channels, or one for each, which are rounded to the steps that a single channel can have.
      channels: how many.
    """
    codes = np.clip(np.rint(np.asarray(step) * STEP_ONE), STEP_ONE, MAX_STEP).astype(np.int64)
    if codes.ndim:
        codes = CODED_STEPS[np.abs(CODED_STEPS - codes[:, None]).argmin(1)]
    return np.broadcast_to(codes, (channels,))


def quantize(difference: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Index of a difference to the centre; `step` in 1/16 units, level included."""
    difference = np.asarray(difference, np.int64)
    return np.sign(difference) * ((16 * np.abs(difference) + step // 2) // step)
