"""What other ways of coding the same feature maps come to, from histograms of their values.

All but the paper's work on the stored 8-bit map and keep every value. Entropy coders get one table per feature map,
made from the very values that they then code, which flatters them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fmtc_tflite.coding.code_lengths import huffman_lengths, shannon_bits

SCHEMES: dict[str, str] = {
    "raw": "the feature maps as they are, 8 bits a value",
    "zero_value": "zero-value compression: a bit per value says whether it is zero, others follow with 8 bits",
    "entropy_shannon": "entropy of the values, one distribution per feature map: the bound of coding value by value",
    "entropy_huffman": "Huffman code of the values, one table per feature map (tables not counted)",
    "paper": "lossy: KLT before the activation, one step and one Huffman code per feature map (arXiv 1905.10830; "
    "tables and matrices not counted)",
}


@dataclass
class MapHistogram:
    """Values of one feature map over all samples.

    Attributes:
      zero_value: what stands for a real 0, in 0..255 (an int8 map's zero point plus 128).
      counts: int64 [256], occurrences of each byte (an int8 value's plus 128).
      num_samples: maps seen.
    """

    zero_value: int
    counts: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    num_samples: int = 0

    def add(self, x: np.ndarray) -> None:
        """Adds a map, int8 or uint8 of any shape."""
        values = x.ravel().view(np.uint8)
        counts = np.bincount(values, minlength=256)
        self.counts += counts if x.dtype == np.uint8 else np.roll(counts, 128)
        self.num_samples += 1

    def mean_bytes(self) -> dict[str, float]:
        """Mean size of the map under each of SCHEMES."""
        samples = max(self.num_samples, 1)
        values = int(self.counts.sum())
        zeros = int(self.counts[self.zero_value])
        bitmap_bytes = -(-values // samples // 8) * samples
        return {
            "raw": values / samples,
            "zero_value": (bitmap_bytes + values - zeros) / samples,
            "entropy_shannon": shannon_bits(self.counts) / 8 / samples,
            "entropy_huffman": float(huffman_lengths(self.counts) @ self.counts) / 8 / samples,
        }
