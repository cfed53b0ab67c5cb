"""Integer weights fitted anew to noisy inputs, from sums over the samples.

A linear op computes W x + b. Where it reads y instead of x, other weights come nearer to that: those that least squares
give, with a ridge that keeps them near W. They are rounded one after another, each rounding's error made good by the
weights still to come (E. Frantar et al., "GPTQ", arXiv 2210.17323, section 3): rounding each by itself would lose more
than the fit has gained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MOST = 127  # magnitude of a weight: -128 is left out, as TFLite's specification has it


@dataclass(frozen=True)
class Change:
    """What is added to weights and biases.

    Attributes:
      weights: int64 [groups, outputs, inputs].
      biases: int64 [groups, outputs].
    """

    weights: np.ndarray
    biases: np.ndarray


class NormalEquations:
    """Sums over samples of a linear op whose groups of outputs each read inputs of their own.

    Their memory does not depend on how many samples are added. All that is added is integers, so that sums below 2**53
    are exact.

    Attributes:
      weights: float64 [groups, outputs, inputs], the op's integers.
      rows: how many inputs were added.
    """

    def __init__(self, weights: np.ndarray) -> None:
        groups, outputs, inputs = weights.shape
        self.weights, self.rows = weights.astype(np.float64), 0
        self._inputs, self._products = np.zeros((groups, inputs)), np.zeros((groups, inputs, inputs))
        self._wanted, self._squares = np.zeros((2, groups, outputs))
        self._cross = np.zeros((groups, outputs, inputs))

    def add(self, exact: np.ndarray, noisy: np.ndarray) -> None:
        """Adds inputs as they were, and as the op reads them; float64 [groups, rows, inputs], less zero points."""
        wanted = self.weights @ np.swapaxes(exact - noisy, 1, 2)
        self.rows += noisy.shape[1]
        self._inputs += noisy.sum(1)
        self._products += np.swapaxes(noisy, 1, 2) @ noisy
        self._wanted += wanted.sum(2)
        self._squares += (wanted**2).sum(2)
        self._cross += wanted @ noisy

    @classmethod
    def total(cls, parts: Sequence[NormalEquations]) -> NormalEquations:
        """Of the samples of all parts, at least one, of the same op."""
        sums = cls(parts[0].weights)
        for part in parts:
            sums.rows += part.rows
            sums._inputs += part._inputs
            sums._products += part._products
            sums._wanted += part._wanted
            sums._squares += part._squares
            sums._cross += part._cross
        return sums

    def errors(self, change: Change | None = None) -> np.ndarray:
        """Mean squared errors of the sums, float64 [groups, outputs], after a change of the weights or without one."""
        squares = self._squares / self.rows
        if change is None:
            return squares
        w, b = change.weights, change.biases
        inputs, wanted = self._inputs / self.rows, self._wanted / self.rows
        shift = np.einsum("goi,gi->go", w, inputs)
        own = np.einsum("goi,goi->go", w @ (self._products / self.rows), w) + 2 * b * shift + b**2
        return squares - 2 * (np.einsum("goi,goi->go", w, self._cross / self.rows) + b * wanted) + own

    def fitted(self, ridge: float) -> Change | None:
        """The change that fits best; None where the sums do not tell one.

        Args:
          ridge: what is added to the inputs' variances, as a share of their mean.
        """
        inputs, wanted = self._inputs / self.rows, self._wanted / self.rows
        covariance = self._products / self.rows - inputs[:, :, None] * inputs[:, None, :]
        cross = self._cross / self.rows - wanted[:, :, None] * inputs[:, None, :]
        variances = np.einsum("gii->gi", covariance)
        if not variances.any():
            return None
        level = np.maximum(variances.mean(1), variances.mean() / 1000)
        covariance += (ridge * level)[:, None, None] * np.eye(covariance.shape[1])
        try:
            inverse = np.linalg.inv(covariance)
            best = self.weights + cross @ inverse
            rounded = _rounded(best, np.swapaxes(np.linalg.cholesky((inverse + np.swapaxes(inverse, 1, 2)) / 2), 1, 2))
        except np.linalg.LinAlgError:
            return None
        weights = (rounded - self.weights).astype(np.int64)
        biases = np.rint(wanted - np.einsum("goi,gi->go", weights, inputs)).astype(np.int64)
        return Change(weights, biases)


def _rounded(values: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Values [groups, outputs, inputs] as integers of a weight's range, later ones making good for earlier ones.

    Args:
      factor: U of the inverse covariance U^T U, upper triangular [groups, inputs, inputs].
    """
    left, rounded = values.copy(), np.empty_like(values)
    for i in range(values.shape[2]):
        rounded[:, :, i] = np.clip(np.rint(left[:, :, i]), -_MOST, _MOST)
        error = (left[:, :, i] - rounded[:, :, i]) / factor[:, i, i, None]
        left[:, :, i:] -= error[:, :, None] * factor[:, None, i, i:]
    return rounded
