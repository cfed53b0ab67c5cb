"""Accumulators that are fed batch by batch, merge in any order and give the same result whatever the order.

Each has `add(...)` for one batch, `merge(other)` for another accumulator of the same settings, and `result()`;
`state()` and `add_state()` carry what it holds from one process or run to another. What is kept of a sample is a number
or two, so that the sums can be taken exactly (`math.fsum`) when all is known: 8 bytes a sample and value, and no
dependence on how the samples were split over workers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from fmtc_tflite.errors import CalibrationError

P99_MIN_SAMPLES = 100

State = dict[str, np.ndarray]


@dataclass(frozen=True)
class MeanResult:
    """A mean over samples.

    Attributes:
      mean: The mean; nan without samples.
      std_error: Standard error of the mean (n - 1 in the variance); nan below two samples.
      num_samples: Number of samples.
    """

    mean: float
    std_error: float
    num_samples: int


@dataclass(frozen=True)
class ByteStatistics:
    """`coded_bytes` of the reports, all in bytes.

    Attributes:
      mean: Mean over samples.
      p50: Median (numpy's `linear` percentile).
      p99: 99th percentile (numpy's `linear`); None below 100 samples, where only `max` is honest.
      max: Largest sample.
      num_samples: Number of samples.
    """

    mean: float
    p50: float
    p99: float | None
    max: int
    num_samples: int

    def to_dict(self) -> dict[str, float | int | None]:
        return asdict(self)


def dequantize(values: np.ndarray, scale: float | None, zero_point: int | None) -> np.ndarray:
    """Real values in float64: `(values - zero_point) * scale`, or the values themselves if `scale` is None."""
    real = np.asarray(values, dtype=np.float64)
    return real if scale is None else (real - (zero_point or 0)) * scale


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax over the last axis, float64."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def mean_with_error(values: Iterable[float]) -> MeanResult:
    """Mean and its standard error, exactly rounded sums: the order of the values does not matter."""
    values = list(values)
    count = len(values)
    if not count:
        return MeanResult(math.nan, math.nan, 0)
    mean = math.fsum(values) / count
    if count == 1:
        return MeanResult(mean, math.nan, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return MeanResult(mean, math.sqrt(variance / count), count)


class Accumulator(Protocol):
    """What can be handed from one process or run to another."""

    def state(self) -> State:
        """What was added so far."""
        ...

    def add_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Adds what another accumulator of the same settings held."""
        ...


class Group(ABC):
    """An accumulator made of others."""

    @abstractmethod
    def parts(self) -> Mapping[str, Accumulator]:
        """The others, by name."""

    def state(self) -> State:
        """The parts' states, each name with its part's in front."""
        return {f"{part}.{k}": v for part, meter in self.parts().items() for k, v in meter.state().items()}

    def add_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Adds what another group of the same parts held."""
        for part, meter in self.parts().items():
            start = f"{part}."
            meter.add_state({k[len(start) :]: v for k, v in state.items() if k.startswith(start)})


class PerSample:
    """Keeps arrays with an entry for each sample: the attributes that `_COLUMNS` names."""

    _COLUMNS: tuple[str, ...] = ("values",)

    def state(self) -> State:
        """What was added so far, by column."""
        columns = ((name, getattr(self, name)) for name in self._COLUMNS)
        return {name: np.array(column, dtype=column.typecode) for name, column in columns}

    def add_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Adds what another accumulator of the same settings held."""
        for name in self._COLUMNS:
            column = getattr(self, name)
            column.frombytes(np.ascontiguousarray(state[name], dtype=column.typecode).tobytes())

    def merge(self, other: PerSample) -> None:
        """Adds what another accumulator of the same settings holds."""
        self.add_state(other.state())


class SampleMean(PerSample):
    """Mean of one number per sample; base of the measures that compare two outputs sample by sample."""

    def __init__(self) -> None:
        self.values = array("d")

    def add_values(self, values: Iterable[float]) -> None:
        """Adds one number for each of some samples."""
        self.values.extend(float(value) for value in values)

    def result(self) -> MeanResult:
        return mean_with_error(self.values)


def largest_share(values: Sequence[float]) -> float | None:
    """The largest value's share of the sum of values that are not negative; None where all are 0."""
    total = math.fsum(values)
    return max(values) / total if total else None


class KlDivergence(SampleMean):
    """KL(original || converted) in nats, double precision, mean over samples.

    A sample with several distributions (a map of them) counts with their mean.
    """

    def add(self, original_logits: np.ndarray, converted_logits: np.ndarray) -> None:
        """Adds a batch of real-valued logits [N, ..., classes]."""
        original, converted = _pair(original_logits, converted_logits)
        self._add_log_probabilities(log_softmax(original), log_softmax(converted))

    def add_probabilities(self, original: np.ndarray, converted: np.ndarray, step: float) -> None:
        """Adds a batch of probabilities [N, ..., classes].

        Args:
          original: Probabilities of the original model.
          converted: Probabilities of the converted model, of the same shape.
          step: Quantization step of both; half of it is added to each before they are renormalised, so that a
            quantized zero is not taken for an impossibility.
        """
        pair = _pair(original, converted)
        floored = [np.maximum(values, 0.0) + step / 2 for values in pair]
        self._add_log_probabilities(*(np.log(p / p.sum(axis=-1, keepdims=True)) for p in floored))

    def _add_log_probabilities(self, original: np.ndarray, converted: np.ndarray) -> None:
        divergence = (np.exp(original) * (original - converted)).sum(axis=-1)
        per_sample = divergence.reshape(len(divergence), -1).mean(axis=1)
        self.add_values(np.maximum(per_sample, 0.0))  # rounding can leave -1e-17


class Disagreement(SampleMean):
    """Share of differing elements between two label maps, mean over samples: 1 - agreement."""

    def add(self, original: np.ndarray, converted: np.ndarray) -> None:
        """Adds a batch of labels [N, ...] of any type."""
        original, converted = _same_shape(np.asarray(original), np.asarray(converted))
        self.add_values((original != converted).reshape(len(original), -1).mean(axis=1))


class Top1Agreement(SampleMean):
    """Share of samples for which both outputs have their largest score (the first of equals) in the same place."""

    def add(self, original: np.ndarray, converted: np.ndarray) -> None:
        """Adds a batch of scores [N, ..., classes]; a map of scores counts with the share of its places."""
        original, converted = _same_shape(np.asarray(original), np.asarray(converted))
        equal = original.argmax(axis=-1) == converted.argmax(axis=-1)
        self.add_values(equal.reshape(len(equal), -1).mean(axis=1))


class RelativeMse(PerSample):
    """Error energy over signal energy, both summed over all samples: 10^(-SQNR/10)."""

    _COLUMNS = ("error_energy", "signal_energy")

    def __init__(self) -> None:
        self.error_energy = array("d")
        self.signal_energy = array("d")

    def add(self, original: np.ndarray, converted: np.ndarray) -> None:
        """Adds a batch of real values [N, ...]."""
        original, converted = _pair(original, converted)
        count = len(original)
        self.error_energy.extend(((original - converted) ** 2).reshape(count, -1).sum(axis=1))
        self.signal_energy.extend((original**2).reshape(count, -1).sum(axis=1))

    def result(self) -> MeanResult:
        """The ratio, with the standard error of a ratio estimator (linearised); infinite if only the error has
        energy, 0 if neither has."""
        count = len(self.error_energy)
        error, signal = math.fsum(self.error_energy), math.fsum(self.signal_energy)
        if not count:
            return MeanResult(math.nan, math.nan, 0)
        if signal == 0:
            return MeanResult(0.0 if error == 0 else math.inf, math.nan, count)
        ratio = error / signal
        residuals = (e - ratio * s for e, s in zip(self.error_energy, self.signal_energy, strict=True))
        return MeanResult(ratio, mean_with_error(residuals).std_error * count / signal, count)


class Predictions(PerSample):
    """The best class of each sample."""

    _COLUMNS = ("classes",)

    def __init__(self) -> None:
        self.classes = array("q")

    def add(self, scores: np.ndarray) -> None:
        """Adds a batch of scores [N, classes]."""
        self.classes.extend(scores.argmax(axis=1).tolist())


class CodedBytes(PerSample):
    """Statistics of coded sizes: of one tensor, or of a network if each sample's sum over its tensors is added."""

    _COLUMNS = ("sizes",)

    def __init__(self) -> None:
        self.sizes = array("q")

    def add(self, size_bytes: int) -> None:
        """Adds one sample."""
        self.sizes.append(size_bytes)

    def result(self) -> ByteStatistics:
        """Raises CalibrationError without samples."""
        count = len(self.sizes)
        if not count:
            raise CalibrationError("coded sizes: got no samples, expected at least one; give more calibration data")
        sizes = np.sort(np.array(self.sizes, dtype=np.int64))
        p50, p99 = np.percentile(sizes, [50, 99])
        return ByteStatistics(
            mean=int(sizes.sum()) / count,
            p50=float(p50),
            p99=float(p99) if count >= P99_MIN_SAMPLES else None,
            max=int(sizes[-1]),
            num_samples=count,
        )


def _pair(original: np.ndarray, converted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _same_shape(np.asarray(original, dtype=np.float64), np.asarray(converted, dtype=np.float64))


def _same_shape(original: np.ndarray, converted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if original.shape != converted.shape:
        raise ValueError(f"outputs to compare: got shapes {original.shape} and {converted.shape}, expected equal ones")
    return original, converted
