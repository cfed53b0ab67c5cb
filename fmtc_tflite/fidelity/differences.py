"""Where two arrays differ, to the bit."""

from __future__ import annotations

import numpy as np


def differing(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Where two arrays of one shape and type differ in a bit, flat; one NaN is as good as another."""
    a, b = (np.ascontiguousarray(values).reshape(-1) for values in (expected, found))
    bits = np.dtype(f"u{a.dtype.itemsize}")
    differs = a.view(bits) != b.view(bits)
    return np.asarray(differs & ~(np.isnan(a) & np.isnan(b)) if a.dtype.kind == "f" else differs)
