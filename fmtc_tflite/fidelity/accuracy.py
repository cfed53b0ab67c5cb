"""Accumulators of accuracy against labels: ranks of classes, mean IoU of label maps; see `metrics`."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.fidelity.metrics import MeanResult, PerSample, State, mean_with_error

IGNORED_LABEL = 255  # of a label map, as in the Pascal VOC and Cityscapes masks


class LabelRanks(PerSample):
    """Where each sample's label stands among the scores: 0 for the best one; of equal scores the first is better."""

    _COLUMNS = ("ranks",)

    def __init__(self, label_offset: int = 0) -> None:
        """Args: label_offset: Added to each label (1 for models with a background class 0)."""
        self.label_offset = label_offset
        self.ranks = array("q")

    def add(self, scores: np.ndarray, labels: Sequence[int] | np.ndarray) -> None:
        """Adds a batch: scores [N, classes] of any type, integer labels [N].

        Raises:
          CalibrationError: a label (with the offset) that is no class.
        """
        scores = np.asarray(scores)
        labels = np.asarray(labels, dtype=np.int64)
        check_labels(labels, scores.shape[1], self.label_offset)
        labels = labels + self.label_offset
        own = scores[np.arange(len(labels)), labels][:, None]
        before = np.arange(scores.shape[1])[None, :] < labels[:, None]
        self.ranks.extend(((scores > own) | ((scores == own) & before)).sum(axis=1).tolist())

    def hits(self, k: int = 1) -> np.ndarray:
        """Whether each sample's label is among the k best, float64 [samples] of 0 and 1."""
        return (np.array(self.ranks, dtype=np.int64) < k).astype(np.float64)

    def result(self, k: int = 1) -> MeanResult:
        """The share of samples whose label is among the k best, with its standard error."""
        return mean_with_error(self.hits(k).tolist())


def check_labels(labels: np.ndarray, classes: int, label_offset: int) -> None:
    """Raises CalibrationError if a label (with the offset) is no class."""
    wrong = labels[(labels + label_offset < 0) | (labels + label_offset >= classes)]
    if wrong.size:
        raise CalibrationError(
            f"labels: got {wrong.flat[0]} with --label_offset {label_offset}, expected a class of 0 to {classes - 1} "
            "after the offset; check the labels or --label_offset"
        )


@dataclass(frozen=True)
class PairedDifference:
    """How two models' answers on the same samples differ.

    Attributes:
      difference: Mean of (first right) - (second right), with its standard error.
      only_first: Samples that only the first model got right.
      only_second: Samples that only the second model got right.
      p_value: See mcnemar_p_value.
    """

    difference: MeanResult
    only_first: int
    only_second: int
    p_value: float


def paired_difference(first: LabelRanks, second: LabelRanks, k: int = 1) -> PairedDifference:
    """Compares two models sample by sample, which is far sharper than to compare their two accuracies."""
    difference = first.hits(k) - second.hits(k)
    only_first, only_second = int((difference > 0).sum()), int((difference < 0).sum())
    p_value = mcnemar_p_value(only_first, only_second)
    return PairedDifference(mean_with_error(difference.tolist()), only_first, only_second, p_value)


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """McNemar's exact test: how likely discordant pairs are split this unevenly, or more so, by a fair coin.

    Two-sided binomial, min(1, 2 P(X <= min(n1, n2))) for X ~ B(n1 + n2, 1/2). The largest term is taken as a logarithm
    and the others relative to it, so that nothing overflows or vanishes for any n.
    """
    count, fewer = only_first + only_second, min(only_first, only_second)
    log_largest = (
        math.lgamma(count + 1) - math.lgamma(fewer + 1) - math.lgamma(count - fewer + 1) - count * math.log(2.0)
    )
    terms = [1.0]
    for i in range(fewer, 0, -1):
        terms.append(terms[-1] * i / (count - i + 1))
        if terms[-1] < 1e-20:  # what follows sums to less than the last bit
            break
    return min(1.0, math.exp(min(math.log(2.0) + log_largest + math.log(math.fsum(terms)), 0.0)))


class MeanIou:
    """Mean over classes of intersection over union, pixels summed over all samples; the label 255 is ignored.

    A class counts if it occurs in a label or a prediction. As in the benchmarks of Pascal VOC and Cityscapes.
    """

    MAX_CLASSES = 256

    def __init__(self, label_offset: int = 0) -> None:
        """Args: label_offset: Added to each label but 255."""
        self.label_offset = label_offset
        self._counts = {name: np.zeros(self.MAX_CLASSES, np.int64) for name in ("shared", "labels", "predictions")}

    def add(self, predictions: np.ndarray, labels: np.ndarray) -> None:
        """Adds a batch of predicted classes and labels, integers [N, H, W].

        Raises:
          CalibrationError: different sizes; a class that is negative or above 254 (255 for predictions).
        """
        if predictions.shape != labels.shape:
            raise CalibrationError(
                f"label maps: got the shape {list(labels.shape)}, expected {list(predictions.shape)} as the model's "
                "output; make them of its size"
            )
        valid = labels != IGNORED_LABEL
        chosen = predictions[valid].astype(np.int64)
        true = labels[valid].astype(np.int64) + self.label_offset
        for name, values in (("label", true), ("prediction", chosen)):
            if values.size and not (values.min() >= 0 and values.max() < self.MAX_CLASSES):
                wrong = values.min() if values.min() < 0 else values.max()
                raise CalibrationError(
                    f"label maps: got the {name} {wrong} (--label_offset {self.label_offset}), expected classes of 0 "
                    f"to {self.MAX_CLASSES - 1}; check the labels or --label_offset"
                )
        for name, values in (("shared", true[true == chosen]), ("labels", true), ("predictions", chosen)):
            self._counts[name] += np.bincount(values, minlength=self.MAX_CLASSES)

    def state(self) -> State:
        """Pixel counts by class."""
        return dict(self._counts)

    def add_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Adds what another accumulator held."""
        for name, counts in self._counts.items():
            counts += state[name]

    def merge(self, other: MeanIou) -> None:
        """Adds what another accumulator holds."""
        self.add_state(other.state())

    def result(self) -> float:
        """The mean IoU; nan without a labelled pixel."""
        union = self._counts["labels"] + self._counts["predictions"] - self._counts["shared"]
        present = union > 0
        return float((self._counts["shared"][present] / union[present]).mean()) if present.any() else math.nan
