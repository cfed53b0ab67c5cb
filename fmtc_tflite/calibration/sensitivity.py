"""How much the output suffers from noise in a feature map: diagonal Fisher information, without labels.

For a small change d of the real values of a feature map, KL(original || changed) is about d'Fd / 2, where F is the
Fisher information of the output distribution (S. Amari, "Natural gradient works efficiently in learning", 1998). One
backward pass from the random vector g = sum_y r_y sqrt(p_y) (e_y - p), r_y = +-1, has E[gg'] = F exactly, so the
squared gradients at a feature map, averaged over samples, are F's diagonal there. Outputs that are compared by relative
squared error have the identity, scaled, in F's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.calibration.adjoints import Values, input_gradients
from fmtc_tflite.calibration.exact_sum import ExactSum
from fmtc_tflite.calibration.slices import row_slices
from fmtc_tflite.calibration.statistics import State
from fmtc_tflite.fidelity.fidelity_source import FidelitySource, find_fidelity_source
from fmtc_tflite.fidelity.metrics import dequantize, log_softmax
from fmtc_tflite.graph.computed_constants import computed_constants
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model, Op, Tensor
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.inference.parallel import in_parallel, num_parallel
from fmtc_tflite.progress import progress

_LEAST_PROBABILITY = 1e-3  # below it, the resolution of quantized probabilities is what counts


@dataclass(frozen=True)
class Sensitivity:
    """What noise in a feature map costs, per channel, in units of the fidelity measure.

    A quantizer with mean squared error D and mean error m in a channel (in the tensor's own integer units) costs about
    (noise * D + shift * m^2) / 2.

    Attributes:
      noise: float64 [C], sum over positions of F's diagonal: independent errors.
      shift: float64 [C], sum of F over all pairs of positions: an error that is the same everywhere.
    """

    noise: np.ndarray
    shift: np.ndarray


def measure_sensitivities(
    file: ModelFile,
    sites: Sequence[Site],
    samples: Iterable[Mapping[str, np.ndarray]],
    output_kind: str,
    seed: int = 0,
    num_threads: int | None = None,
) -> list[Sensitivity | None]:
    """Sensitivities of feature maps.

    Args:
      sites: of the main subgraph.
      samples: a few calibration samples.

    Returns:
      For each site; None where an operator on the way to the output has no known gradient.
    """
    count = num_parallel(file.model, num_threads)
    meters = [SensitivityMeter(file, sites, output_kind, seed, num_threads) for _ in range(count)]
    numbered = enumerate(progress(samples, "sensitivities"))
    for _ in in_parallel(meters, numbered, lambda meter, item: meter.add(*item)):
        pass
    for meter in meters[1:]:
        meters[0].merge(meter)
    return [sums.result() for sums in meters[0].sums]


def gradient_stops(
    file: ModelFile, sample: Mapping[str, np.ndarray], output_kind: str, num_threads: int | None = None
) -> list[Op]:
    """The ops of the main subgraph through which no gradient is known, from the outputs backwards."""
    runner = ModelRunner(file, num_threads=num_threads)
    backward = _Backward(file.model, output_kind, runner)
    runner.run(sample)
    backward.run(np.random.default_rng(0))
    return backward.stops


class SensitivityStatistics:
    """Sums of squared gradients at one tensor; they merge in any order to the same result."""

    def __init__(self, channels: int) -> None:
        self._noise, self._shift = ExactSum(channels), ExactSum(channels)
        self._count = 0

    def add(self, gradient: np.ndarray, scale: float = 1.0) -> None:
        """Adds one sample: the gradient with respect to the tensor's values, [N, H, W, C], and its integers' scale."""
        noise, shift = np.zeros((2, gradient.shape[3]))
        for rows in row_slices(gradient.shape):
            part = gradient[:, rows].astype(np.float64) * scale
            shift += part.sum((0, 1, 2))
            noise += np.square(part, out=part).sum((0, 1, 2))
        self._noise.add(noise)
        self._shift.add(shift**2)
        self._count += 1

    def state(self) -> State:
        return {"noise": self._noise.words, "shift": self._shift.words, "count": np.array(self._count)}

    def add_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._noise.words += state["noise"]
        self._shift.words += state["shift"]
        self._count += int(state["count"])

    def merge(self, other: SensitivityStatistics) -> None:
        self.add_state(other.state())

    def result(self) -> Sensitivity | None:
        """Means over samples; None if no gradient was known."""
        if self._count == 0:
            return None
        return Sensitivity(self._noise.mean(self._count), self._shift.mean(self._count))


class SensitivityMeter:
    """Runs samples forwards and gradients backwards, and sums up.

    Attributes:
      sums: for each site.
    """

    def __init__(
        self,
        file: ModelFile,
        sites: Sequence[Site],
        output_kind: str,
        seed: int = 0,
        num_threads: int | None = None,
    ) -> None:
        """Args: see measure_sensitivities."""
        self._runner = ModelRunner(file, num_threads=num_threads)
        self._backward = _Backward(file.model, output_kind, self._runner)
        self._seed = seed
        self.sums = [SensitivityStatistics(site.tensor.shape[3]) for site in sites]
        self._sums_of = {site.tensor: sums for site, sums in zip(sites, self.sums, strict=True)}

    def add(self, position: int, sample: Mapping[str, np.ndarray]) -> None:
        """Adds one sample; its random vector depends on the seed and its position among all samples alone."""
        self._runner.run(sample)
        self._backward.run(np.random.default_rng([self._seed, position]), self._take)

    def _take(self, tensor: Tensor, gradient: np.ndarray) -> None:
        sums = self._sums_of.get(tensor)
        if sums is not None and gradient.ndim == 4:
            sums.add(gradient, tensor.scale or 1.0)

    def merge(self, other: SensitivityMeter) -> None:
        """Adds what another meter of the same sites has summed up."""
        for own, sums in zip(self.sums, other.sums, strict=True):
            own.merge(sums)


class _Backward:
    """One backward pass after another over the main subgraph.

    A gradient is given away as soon as it is complete, so that few of them exist at once.

    Attributes:
      stops: ops whose gradient is not known, of the last pass; what they read has none.
    """

    def __init__(self, model: Model, output_kind: str, runner: ModelRunner) -> None:
        self._subgraph, self._runner = model.subgraphs[0], runner
        self._values = Values(runner.read, computed_constants(self._subgraph))
        self._sources = [
            _differentiable(model, find_fidelity_source(model, output_kind, i))
            for i in range(len(self._subgraph.outputs))
        ]
        self._gradients: dict[Tensor, np.ndarray] = {}
        self.stops: list[Op] = []

    def run(self, rng: np.random.Generator, take: Callable[[Tensor, np.ndarray], None] | None = None) -> None:
        """Computes the gradients for the sample that the runner has just run.

        Args:
          take: gets those of tensors that ops write, with respect to real values; not to be kept.
        """
        self._gradients, self.stops = {}, []
        unknown: set[Tensor] = set()
        for source in self._sources:
            self._add(source.tensor, _start(source, self._runner.read(source.tensor), rng))
        for op in reversed(self._subgraph.ops):
            written = {t for t in op.outputs if t is not None}
            if written and not written & (self._gradients.keys() | unknown):
                continue
            is_cut = bool(written & unknown)
            if take is not None:
                for tensor in written & (self._gradients.keys() - unknown):
                    take(tensor, self._gradients[tensor])
            # What is written to a variable comes back in later steps.
            if is_cut or not written or not self._step(op):
                unknown |= (read := self._depending(op))
                self.stops += [op] if read and not is_cut else []
            for tensor in written:
                self._gradients.pop(tensor, None)

    def _add(self, tensor: Tensor, gradient: np.ndarray) -> None:
        earlier = self._gradients.get(tensor)
        if earlier is not None:
            gradient = earlier + gradient
        elif any(np.may_share_memory(gradient, other) for other in self._gradients.values()):
            gradient = gradient.copy()  # each of them is changed in place later
        self._gradients[tensor] = gradient

    def _depending(self, op: Op) -> set[Tensor]:
        """What the op reads that a gradient could be of."""
        return {t for t in op.inputs if t is not None and t.dtype is not None and not self._values.is_constant(t)}

    def _step(self, op: Op) -> bool:
        output = op.outputs[0] if len(op.outputs) == 1 else None
        gradient = None if output is None else self._gradients.pop(output, None)
        found = None if gradient is None else input_gradients(op, gradient, self._values)
        if found is None:
            return False
        for tensor, value in found:
            if not self._values.is_constant(tensor):
                self._add(tensor, value)
        return True


def _differentiable(model: Model, source: FidelitySource) -> FidelitySource:
    """Labels have no gradient: the scores that an ARG_MAX takes them from stand in."""
    producer = GraphView(model.subgraphs[0]).producer(source.tensor)
    if source.measure != "disagreement" or producer is None or producer.opcode != "ARG_MAX":
        return source
    scores = producer.inputs[0]
    assert scores is not None
    return FidelitySource("kl", scores, source.output_index, False, scores.scale, scores.zero_point)


def _start(source: FidelitySource, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random vector with the Fisher information of the measure as its covariance, float32."""
    real = dequantize(values, source.scale, source.zero_point)
    signs = rng.choice([-1.0, 1.0], real.shape)
    if source.measure != "kl":
        return (signs * np.sqrt(2 / max(float((real**2).sum()), 1e-30))).astype(np.float32)
    if source.probabilities:
        gradient = signs / np.sqrt(np.maximum(real, _LEAST_PROBABILITY))
    else:
        p = np.exp(log_softmax(real))
        root = np.sqrt(p) * signs
        gradient = root - p * root.sum(-1, keepdims=True)
    places = max(int(np.prod(real.shape[:-1])), 1)
    per_real = 1.0 if source.scale is None or not source.tensor.scale else source.scale / source.tensor.scale
    return (gradient / np.sqrt(places) * per_real).astype(np.float32)
