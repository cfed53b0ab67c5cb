"""What is measured on two models' tensors, sample by sample: fidelity of the outputs, sizes of the coded maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fmtc_tflite.errors import VerificationError
from fmtc_tflite.fidelity.fidelity_source import FidelitySource, find_fidelity_source
from fmtc_tflite.fidelity.metrics import (
    Accumulator,
    CodedBytes,
    Disagreement,
    Group,
    KlDivergence,
    MeanResult,
    RelativeMse,
    State,
    Top1Agreement,
    dequantize,
    largest_share,
)
from fmtc_tflite.graph.model_io import Model

_METRICS: dict[str, type[KlDivergence] | type[Disagreement] | type[RelativeMse]] = {
    "kl": KlDivergence,
    "disagreement": Disagreement,
    "relative_mse": RelativeMse,
}
_LEVEL_OFFSET, _PAYLOAD_LENGTH_OFFSET = 6, 8  # FORMAT.md section 8


class OutputMeter(Group):
    """Accumulates the measure that fits one output.

    Attributes:
      source: what is compared, as it is in the original.
    """

    def __init__(self, source: FidelitySource, converted: FidelitySource) -> None:
        self.source, self._converted = source, converted
        self._metric: KlDivergence | Disagreement | RelativeMse = _METRICS[source.measure]()
        self._agreement = Top1Agreement() if source.measure == "kl" else None

    def add(self, original: np.ndarray, converted: np.ndarray) -> None:
        """Adds one sample's source tensors as the interpreter holds them."""
        if isinstance(self._metric, Disagreement):
            self._metric.add(original, converted)
            return
        first = dequantize(original, self.source.scale, self.source.zero_point)
        second = dequantize(converted, self._converted.scale, self._converted.zero_point)
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            name = self.source.tensor.name
            raise VerificationError(f"tensor {name!r} has NaN or infinite values; check the model's input data")
        if isinstance(self._metric, KlDivergence) and self.source.probabilities:
            self._metric.add_probabilities(first, second, step=self.source.scale or 0.0)
        else:
            self._metric.add(first, second)
        if self._agreement is not None:
            self._agreement.add(first, second)

    def parts(self) -> dict[str, Accumulator]:
        return {"measure": self._metric} | ({"agreement": self._agreement} if self._agreement is not None else {})

    @property
    def result(self) -> MeanResult:
        return self._metric.result()

    @property
    def top1_agreement(self) -> float | None:
        return None if self._agreement is None else self._agreement.result().mean

    @property
    def largest_share(self) -> float | None:
        """The share of a single sample in the divergence (of relative MSE: in its error); None where there is none."""
        metric = self._metric
        return largest_share(metric.error_energy if isinstance(metric, RelativeMse) else metric.values)

    @property
    def contributions(self) -> np.ndarray:
        """What each sample adds to the result, whose mean they have; float64 [samples]."""
        metric = self._metric
        if isinstance(metric, RelativeMse):
            signal = math.fsum(metric.signal_energy) / len(metric.signal_energy)
            return np.array(metric.error_energy) / max(signal, 1e-30)
        return np.array(metric.values)

    @property
    def sample_values(self) -> Sequence[float] | None:
        """The measure of each sample; None where it is defined on all samples together."""
        return None if isinstance(self._metric, RelativeMse) else self._metric.values


class FidelityMeter:
    """Accumulates the fidelity of a model's outputs; the worst of them counts."""

    def __init__(self, sources: Sequence[FidelitySource], converted: Sequence[FidelitySource] | None = None) -> None:
        """Args: sources: one for each output of the original. converted: where they differ in the converted model."""
        pairs = zip(sources, sources if converted is None else converted, strict=True)
        self.outputs = [OutputMeter(first, second) for first, second in pairs]

    def add(self, original: Sequence[np.ndarray], converted: Sequence[np.ndarray]) -> None:
        """Adds one sample: the source tensors of all outputs."""
        for meter, first, second in zip(self.outputs, original, converted, strict=True):
            meter.add(first, second)

    def least_mean(self, count: int) -> float:
        """What the worst output's mean over `count` samples is at least, with what was added so far; 0 if unknown."""
        return (
            max(0.0 if meter.sample_values is None else math.fsum(meter.sample_values) for meter in self.outputs)
            / count
        )

    @property
    def worst(self) -> OutputMeter:
        return max(self.outputs, key=lambda meter: meter.result.mean)


class CodedMeter:
    """Accumulates the coded sizes of a converted model's feature maps, one by one and together.

    Attributes:
      sites: sizes of each coded feature map, by the original tensor's name.
      network: sizes of all of them together, per sample.
      coarsened: samples of each map that did not fit its coded tensor, and were coded coarser.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.sites = {name: CodedBytes() for name in names}
        self.network = CodedBytes()
        self.coarsened = dict.fromkeys(names, 0)

    def add(self, coded: Mapping[str, np.ndarray]) -> None:
        """Adds one sample: the coded tensors, uint8 of any shape, or their `coded_header`, by the original map."""
        payloads = {name: payload_bytes(tensor) for name, tensor in coded.items()}
        for name, size in payloads.items():
            self.sites[name].add(size)
            self.coarsened[name] += _level(coded[name]) > 0
        self.network.add(sum(payloads.values()))

    def coarsened_share(self, name: str) -> float:
        """Share of the samples of a map that were coded coarser."""
        return self.coarsened[name] / max(len(self.network.sizes), 1)

    def state(self) -> State:
        """Sizes that were added so far; columns are in the order of the sites."""
        columns = [meter.sizes for meter in self.sites.values()]
        return {"network": np.array(self.network.sizes, np.int64), "sites": np.array(columns, np.int64)}

    def add_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Adds what another meter of the same sites held."""
        self.network.add_state({"sizes": state["network"]})
        for meter, sizes in zip(self.sites.values(), state["sites"], strict=True):
            meter.add_state({"sizes": sizes})


def fidelity_sources(model: Model, output_kind: str) -> list[FidelitySource]:
    """What to compare for each graph output."""
    count = max(len(model.subgraphs[0].outputs), 1)
    return [find_fidelity_source(model, output_kind, index) for index in range(count)]


def coded_header(coded: np.ndarray) -> np.ndarray:
    """What `CodedMeter` needs of a coded tensor, as a copy: few bytes, where the tensor has room for the whole map."""
    return coded.ravel()[: _PAYLOAD_LENGTH_OFFSET + 4].copy()


def payload_bytes(coded: np.ndarray) -> int:
    """Length of what the encoder wrote into a coded tensor, uint8 of any shape."""
    if coded.size == 0:
        return 0
    return int(coded.ravel()[_PAYLOAD_LENGTH_OFFSET : _PAYLOAD_LENGTH_OFFSET + 4].view("<u4")[0])


def _level(coded: np.ndarray) -> int:
    """The level that the encoder used (FORMAT.md section 4.3)."""
    return int(coded.ravel()[_LEVEL_OFFSET]) if coded.size else 0
