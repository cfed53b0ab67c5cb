"""Streaming statistics of feature maps. They are integer sums, so they merge in any order to the same result.

`state()` and `add_state()` carry what they hold from one process or run to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fmtc_tflite.calibration.slices import row_slices

State = dict[str, np.ndarray]


_PIXELS_PER_CHANNEL = 16  # for a KLT


@dataclass
class ValueStatistics:
    """Value histograms of one feature map, per channel.

    Attributes:
      histogram: int64 [C, 256] counts of each signed value plus 128.
      num_samples: maps seen.
    """

    channels: int
    num_samples: int = 0
    histogram: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.histogram = np.zeros((self.channels, 256), np.int64)

    def add(self, q: np.ndarray) -> None:
        """Adds a map, int8 [N, H, W, C]."""
        for rows in row_slices(q.shape):
            index = (q[:, rows].reshape(-1, self.channels).view(np.uint8) ^ 0x80) + np.arange(self.channels) * 256
            self.histogram += np.bincount(index.ravel(), minlength=self.channels * 256).reshape(self.channels, 256)
        self.num_samples += 1

    def state(self) -> State:
        return {"histogram": self.histogram, "num_samples": np.array(self.num_samples)}

    def add_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.histogram += state["histogram"]
        self.num_samples += int(state["num_samples"])

    def merge(self, other: ValueStatistics) -> None:
        self.add_state(other.state())

    @property
    def means(self) -> np.ndarray:
        """Channel means, float64 [C]."""
        return self.histogram @ np.arange(-128, 128) / np.maximum(self.histogram.sum(1), 1)

    def rms(self, centres: int | np.ndarray) -> float:
        """Root mean square distance of all values to the centres (scalar or [C])."""
        distance = np.arange(-128, 128)[None, :] - np.reshape(np.asarray(centres, np.int64), (-1, 1))
        return float(np.sqrt((self.histogram * distance**2).sum() / max(self.histogram.sum(), 1)))


@dataclass
class CovarianceStatistics:
    """Channel sums and products of one feature map, exact integers.

    Attributes:
      total: int64 [C], sums of signed values.
      products: int64 [C, C], sums of products of signed values.
      count: pixels seen.
    """

    channels: int
    count: int = 0
    total: np.ndarray = field(init=False)
    products: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.total = np.zeros(self.channels, np.int64)
        self.products = np.zeros((self.channels, self.channels), np.int64)

    def add(self, q: np.ndarray) -> None:
        """Adds a map, int8 [N, H, W, C]."""
        for rows in row_slices(q.shape):
            pixels = q[:, rows].reshape(-1, self.channels)
            # float64 holds these sums exactly (2^14 * pixels < 2^53) and has a fast matrix product.
            wide = pixels.astype(np.float64)
            self.products += (wide.T @ wide).astype(np.int64)
            self.total += pixels.sum(0, dtype=np.int64)
            self.count += len(pixels)

    def state(self) -> State:
        return {"total": self.total, "products": self.products, "count": np.array(self.count)}

    def add_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.total += state["total"]
        self.products += state["products"]
        self.count += int(state["count"])

    def merge(self, other: CovarianceStatistics) -> None:
        self.add_state(other.state())

    @property
    def means(self) -> np.ndarray:
        """float64 [C]."""
        return self.total / max(self.count, 1)

    @property
    def is_sufficient(self) -> bool:
        """Whether there are enough pixels for a basis of its eigenvectors that is not fitted to the samples."""
        return self.count >= _PIXELS_PER_CHANNEL * self.channels

    @property
    def covariance(self) -> np.ndarray:
        """float64 [C, C]."""
        return self.products / max(self.count, 1) - np.outer(self.means, self.means)
