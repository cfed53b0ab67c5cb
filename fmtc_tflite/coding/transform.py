"""Karhunen-Loeve transform (PCA) over channels, rounded to the integer matrices of FORMAT.md section 4.2.

The transform is the one of Chmiel et al., arXiv 1905.10830, section 3: eigenvectors of the channel covariance,
strongest first.
"""

from __future__ import annotations

import numpy as np

from fmtc_tflite.coding.side_info import AffineTransform
from fmtc_tflite.errors import CodingError

_LARGEST_SHIFT = 20


def klt(
    mean: np.ndarray, covariance: np.ndarray, components: int, step: float, constant_level: int = 0
) -> tuple[AffineTransform, AffineTransform]:
    """Analysis and synthesis matrices, the quantization step folded into both.

    Args:
      mean: channel means in the int8 domain, float [C].
      covariance: channel covariance, float [C, C].
      components: r, how many of the strongest components are kept.
      step: quantization step of every component, in int8 units.
      constant_level: L of the side information that will hold the matrices.

    Raises:
      CodingError: no shift keeps the sums within 32 bits.
    """
    basis = eigenbasis(covariance)[:components]
    analysis = fixed_point(basis / step, -basis @ mean / step, 128, constant_level, "analysis")
    synthesis = fixed_point(basis.T * step, mean, 255 << constant_level, 0, "synthesis")
    return analysis, synthesis


def eigenbasis(covariance: np.ndarray) -> np.ndarray:
    """Eigenvectors as rows [C, C], largest eigenvalue first, each with its largest entry positive."""
    _, vectors = np.linalg.eigh(covariance)
    rows = vectors.T[::-1]
    largest = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], 1)
    return rows * np.where(largest < 0, -1.0, 1.0)


def fixed_point(matrix: np.ndarray, bias: np.ndarray, largest_input: int, level: int, where: str) -> AffineTransform:
    """An affine map in fixed point with the largest shift that overflows neither int16 nor the accumulator.

    Args:
      matrix: float [rows, columns].
      bias: float [rows].
      largest_input: bound on the magnitude of inputs.
      level: constant level of the side information, for analysis matrices.
      where: for messages.

    Raises:
      CodingError: there is none.
    """
    for shift in range(min(_LARGEST_SHIFT, 30 - level), 0, -1):
        scaled, offset = np.rint(matrix * (1 << shift)), np.rint(bias * (1 << shift))
        if np.abs(scaled).max() > 32767 or np.abs(offset).max() >= 1 << 31:
            continue
        transform = AffineTransform(scaled.astype(np.int16), offset.astype(np.int32), shift)
        try:
            transform.check(largest_input, level, where)
        except CodingError:
            continue
        return transform
    raise CodingError(f"{where} matrix of {matrix.shape} has no fixed-point form within 32 bits; use fewer components")
