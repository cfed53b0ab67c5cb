"""What strips cost beyond whole rows, or may cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_UNBOUNDED = 1 << 60
_JUST_BELOW = 1 - 1e-12  # so that what takes all of a budget is not rounded up beyond it


@dataclass(frozen=True)
class Extra:
    """Multiply-adds that are computed twice, and nanoseconds that it takes longer.

    As a budget the two bounds make one price, so that the cheapest way is a shortest path: a nanosecond counts as the
    multiply-adds that are as large a share of their bound, and a stage for the larger of the two. Prices that sum up to
    `macs` at most keep both bounds, with room where different stages are near different ones.
    """

    macs: int
    ns: int = _UNBOUNDED

    @property
    def is_nothing(self) -> bool:
        """Whether a budget allows no strips."""
        return self.macs <= 0 or self.ns <= 0

    def contains(self, other: Extra) -> bool:
        """Whether the other one is no larger in anything."""
        return other.macs <= self.macs and other.ns <= self.ns

    def without(self, used: Extra) -> Extra:
        """What is left."""
        return Extra(self.macs - used.macs, self.ns - used.ns)

    def prices(self, macs: np.ndarray, ns: np.ndarray) -> np.ndarray:
        """In multiply-adds, as they count within this budget, of both, int64 of one shape."""
        if self.is_nothing:
            return np.where((macs > 0) | (ns > 0), max(self.macs, 0) + 1, 0)
        if self.ns > _UNBOUNDED // 2:
            return macs
        return np.maximum(macs, np.ceil(_JUST_BELOW * ns * (self.macs / self.ns)).astype(np.int64))


NOTHING = Extra(0, 0)


def total(parts: Iterable[Extra]) -> Extra:
    """The sum."""
    each = list(parts)
    return Extra(sum(part.macs for part in each), sum(part.ns for part in each))
