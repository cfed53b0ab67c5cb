"""What a conversion must keep: a bound on fidelity, on accuracy or on the rate, and the search for the coarsest coding.

Each constraint finds a coarseness (fmtc_tflite.coding.allocation) by running candidates of the conversion, and then
judges the finished conversion on all held-back samples.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from fmtc_tflite.coding import allocation
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.data.repeated import RepeatedSamples
from fmtc_tflite.errors import UsageError
from fmtc_tflite.fidelity.task import LabelSet, find_task
from fmtc_tflite.fidelity.verify import AccuracyTrial, Comparison, FidelityTrial, Labels
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.types import ConvertOptions

# Of one step of a search, in feature-map values, and the least and most samples.
_TRIAL_VALUES, _LEAST_TRIAL_SAMPLES, _MOST_TRIAL_SAMPLES = 700_000_000, 16, 512
_MOST_BETWEEN = 3  # further steps between those of a search, where samples are fewer than that

Convert = Callable[[float], Model]  # the converted model at a coarseness, with placeholder tables


class Constraint(ABC):
    """A bound, and how to come near it.

    Attributes:
      text: as a user would write it.
      is_of_rate: it bounds coded bits; else outputs, which entropy tables do not change.
    """

    is_of_rate = False

    def __init__(self, text: str) -> None:
        self.text = text

    @abstractmethod
    def search(self) -> float | None:
        """The coarsest coding that is expected to keep the constraint; None if none is."""

    @abstractmethod
    def holds(self, comparison: Comparison, bits_per_value: float) -> bool:
        """Whether a conversion keeps it; `bits_per_value` counts where it is of the rate."""

    @abstractmethod
    def correction(self, comparison: Comparison, bits_per_value: float) -> float:
        """A factor for the coarseness after a miss: as far as the miss suggests, within limits."""


class FidelityBound(Constraint):
    """--max_kl: the fidelity measure, whichever it is, on average over samples."""

    def __init__(
        self, text: str, bound: float, open_trial: Callable[[], FidelityTrial], convert: Convert, num_samples: int
    ) -> None:
        """Args: num_samples: that a trial would have, were there enough."""
        super().__init__(text)
        self._bound, self._open_trial, self._convert, self._num_samples = bound, open_trial, convert, num_samples

    def search(self) -> float | None:
        trial = self._open_trial()
        num_between = min(self._num_samples // trial.num_samples - 1, _MOST_BETWEEN)
        return allocation.coarsest_by_trend(
            lambda coarseness: self._measure(trial, coarseness), self._bound, max(num_between, 0)
        )

    def _measure(self, trial: FidelityTrial, coarseness: float) -> tuple[float, float]:
        measured = trial.measure(self._convert(coarseness), allocation.TREND_RANGE * self._bound)
        logging.info("coarseness %.4f: fidelity %.5f +- %.5f", coarseness, measured.mean, measured.std_error)
        return measured.mean, measured.std_error

    def holds(self, comparison: Comparison, bits_per_value: float) -> bool:
        return comparison.fidelity.mean <= self._bound

    def correction(self, comparison: Comparison, bits_per_value: float) -> float:
        return min(max(self._bound / comparison.fidelity.mean, 0.5), 0.97)


class AccuracyBound(Constraint):
    """--max_accuracy_drop: how much top-1 may fall on labelled samples, its standard error included."""

    def __init__(self, text: str, bound: float, open_trial: Callable[[], AccuracyTrial], convert: Convert) -> None:
        super().__init__(text)
        self._bound, self._open_trial, self._convert = bound, open_trial, convert

    def search(self) -> float | None:
        trial = self._open_trial()
        return allocation.coarsest(lambda coarseness: self._is_met(trial, coarseness))

    def _is_met(self, trial: AccuracyTrial, coarseness: float) -> bool:
        drop = trial.measure(self._convert(coarseness))
        logging.info("coarseness %.4f: top-1 falls by %.5f +- %.5f", coarseness, drop.mean, drop.std_error)
        return drop.mean + drop.std_error <= self._bound

    def holds(self, comparison: Comparison, bits_per_value: float) -> bool:
        drop = comparison.accuracy_drop
        return drop is not None and drop.mean + drop.std_error <= self._bound

    def correction(self, comparison: Comparison, bits_per_value: float) -> float:
        return 0.8


class RateBound(Constraint):
    """--max_bits_per_value: payload over the values of all candidates."""

    is_of_rate = True

    def __init__(self, text: str, bound: float, bits: Callable[[float], float]) -> None:
        """Args: bits: expected bits per value at a coarseness."""
        super().__init__(text)
        self._bound, self._bits = bound, bits

    def search(self) -> float | None:
        return allocation.finest(self._is_met)

    def _is_met(self, coarseness: float) -> bool:
        bits = self._bits(coarseness)
        logging.info("coarseness %.4f: about %.3f bits/value", coarseness, bits)
        return bits <= self._bound

    def holds(self, comparison: Comparison, bits_per_value: float) -> bool:
        return bits_per_value <= self._bound

    def correction(self, comparison: Comparison, bits_per_value: float) -> float:
        return min(max((bits_per_value / self._bound) ** 3, 1.08), 2.0)


def trial_samples(values: int) -> int:
    """How many samples a trial takes where there are as many, by the feature-map values of one inference."""
    return min(max(_TRIAL_VALUES // values, _LEAST_TRIAL_SAMPLES), _MOST_TRIAL_SAMPLES)


def fidelity_trial(file: ModelFile, sources: Sequence[Dataset], values: int, options: ConvertOptions) -> FidelityTrial:
    """A trial on as many samples as its time allows.

    Args:
      sources: samples to take, the first of these as far as they go.
      values: feature-map values of one inference.
    """
    parts: list[Dataset] = []
    for source in sources:
        parts.append(source.evenly(trial_samples(values) - sum(map(len, parts))))
    return FidelityTrial(file, RepeatedSamples(*parts), options.output_kind, options.num_threads)


def find_labels(model: Model, samples: Dataset, options: ConvertOptions) -> Labels:
    """The labels of samples for --max_accuracy_drop.

    Raises:
      UsageError: there are none.
      CalibrationError: they do not fit the model.
    """
    if samples.labels is None:
        raise UsageError(
            "--max_accuracy_drop needs labels: give --calibration_data as a .csv with file,label, a .npz with x and y, "
            "or a folder with a subfolder for each class"
        )
    labels = LabelSet(samples.labels, samples.num_classes, f"--calibration_data {options.calibration.data}")
    return Labels(find_task([model], labels, options.label_offset), samples.labels)
