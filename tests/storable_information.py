"""Random side information that cuts of regions can be stored with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fmtc_tflite.coding.entropy_model import fit_classes
from fmtc_tflite.coding.side_info import CODED_STEPS, STEP_ONE, SideInformation
from fmtc_tflite.coding.token_classes import NUM_CONTEXTS, Contexts
from fmtc_tflite.conversion.map_coding import lossless_information

_LARGEST_CODE = 80  # of steps: 32


def storable(channels: int, rng: np.random.Generator, lossy: bool) -> SideInformation:
    """With random predictors and centres, contexts in half of them, and steps and limits if something may be lost."""
    per_channel = rng.random(2) < 0.5
    centre = rng.integers(-128, 128, channels).astype(np.int8)
    step = CODED_STEPS[rng.integers(0, _LARGEST_CODE, channels)].astype(np.uint16)
    lo, hi = (int(rng.integers(-128, -100)), int(rng.integers(100, 128))) if lossy else (-128, 127)
    tables, _ = fit_classes(rng.random((int(rng.integers(1, 5)), 256)) ** 8)
    contexts = Contexts(rng.random(channels) < 0.5, rng.integers(0, len(tables), (1, NUM_CONTEXTS)).astype(np.uint8))
    plain = replace(
        lossless_information(channels, checksum=False),
        predictor=rng.integers(0, 5, channels).astype(np.uint8) * np.uint8(rng.random() < 0.8),
        centre=centre if per_channel[0] else int(centre[0]),
        step=(step if per_channel[1] else int(step[0])) if lossy else STEP_ONE,
        lo=lo,
        hi=hi,
    )
    return plain if rng.random() < 0.5 else replace(plain, classes=tuple(tables), contexts=contexts)
