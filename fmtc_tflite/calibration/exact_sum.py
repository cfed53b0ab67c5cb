"""Sums of floating-point numbers that do not depend on the order in which they are taken.

Floating-point addition is not associative, so sums over shards would depend on how samples were split over workers.
Integers don't have that trouble: every number is rounded once, to a fixed point far below what matters, and added as an
integer of several words (as in U. Kulisch's long accumulator, "Computer Arithmetic and Validity", 2008).
"""

from __future__ import annotations

import numpy as np

from fmtc_tflite.errors import CalibrationError

_FRACTION_BITS = 192  # a number counts as a multiple of 2^-192
_WORD_BITS, _NUM_WORDS = 32, 10  # up to 2^128; words are added in 64 bits, so 2^31 numbers fit
_MANTISSA_BITS = 53
_LARGEST = 2.0 ** (_WORD_BITS * (_NUM_WORDS - 1) - _FRACTION_BITS)
_MASK = (1 << _WORD_BITS) - 1


class ExactSum:
    """Sums of a vector of numbers from 0 to 2^96.

    Attributes:
      words: int64 [10, size], what each power of 2^32 was added, least significant first; not carried.
    """

    def __init__(self, size: int) -> None:
        self.words = np.zeros((_NUM_WORDS, size), np.int64)

    def add(self, values: np.ndarray) -> None:
        """Adds float64 [size].

        Raises:
          CalibrationError: negative, infinite or above 2^96.
        """
        if not ((values >= 0) & (values <= _LARGEST)).all():
            raise CalibrationError(
                f"sums over samples: got {values.min()} to {values.max()}, expected 0 to 2^96; check the model's "
                "quantization scales and the data"
            )
        fraction, exponent = np.frexp(values)
        mantissa = np.ldexp(fraction, _MANTISSA_BITS).astype(np.int64)
        position = exponent.astype(np.int64) - _MANTISSA_BITS + _FRACTION_BITS  # of the mantissa's lowest bit
        mantissa >>= np.clip(-position, 0, 63)
        word, offset = np.divmod(np.maximum(position, 0), _WORD_BITS)
        columns = np.arange(len(values))
        # The mantissa, shifted left by the offset, spans three words.
        self.words[word, columns] += (mantissa & (_MASK >> offset)) << offset
        self.words[word + 1, columns] += (mantissa >> (_WORD_BITS - offset)) & _MASK
        self.words[word + 2, columns] += mantissa >> np.minimum(2 * _WORD_BITS - offset, 63)

    def merge(self, other: ExactSum) -> None:
        self.words += other.words

    def mean(self, count: int) -> np.ndarray:
        """The sums divided by `count`, correctly rounded: float64 [size]."""
        sums = [sum(int(word) << (_WORD_BITS * i) for i, word in enumerate(column)) for column in self.words.T]
        return np.array([total / (count << _FRACTION_BITS) for total in sums], np.float64)
