"""How much the output suffers from noise in a feature map: diagonal Fisher information, without labels.

For a small change d of the real values of a feature map, KL(original || changed) is about d'Fd / 2, where F is the
Fisher information of the output distribution (S. Amari, "Natural gradient works efficiently in learning", 1998). One
backward pass from the random vector g = sum_y r_y sqrt(p_y) (e_y - p), r_y = +-1, has E[gg'] = F exactly, so the
squared gradients at a feature map, averaged over samples, are F's diagonal there. Outputs that are compared by relative
squared error have the identity, scaled, in F's place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from fmtc_tflite.calibration.adjoints import clipped_gradient, input_gradients
from fmtc_tflite.calibration.runner import ModelRunner
from fmtc_tflite.evaluation.fidelity import FidelitySource, find_fidelity_source
from fmtc_tflite.evaluation.metrics import dequantize, log_softmax
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model_io import Model, Op, Tensor
from fmtc_tflite.graph.sites import Site

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
    model: Model,
    content: bytes,
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
    runner = ModelRunner(model, content, num_threads=num_threads)
    rng = np.random.default_rng(seed)
    backward = _Backward(model, output_kind, runner)
    maps = [_Accumulator() for _ in sites]
    count = 0
    for sample in tqdm(samples, desc="sensitivities", disable=None, leave=False):
        runner.run(sample)
        backward.run(rng)
        for site, accumulator in zip(sites, maps, strict=True):
            accumulator.add(backward.gradients.get(id(site.tensor)), site.tensor)
        count += 1
    return [a.result(count) for a in maps]


class _Accumulator:
    def __init__(self) -> None:
        self.noise: np.ndarray | None = None
        self.shift: np.ndarray | None = None

    def add(self, gradient: np.ndarray | None, tensor: Tensor) -> None:
        if gradient is None or gradient.ndim != 4:
            return
        scaled = gradient.astype(np.float64) * (tensor.scale or 1.0)
        noise, shift = (scaled**2).sum((0, 1, 2)), scaled.sum((0, 1, 2)) ** 2
        self.noise = noise if self.noise is None else self.noise + noise
        self.shift = shift if self.shift is None else self.shift + shift

    def result(self, count: int) -> Sensitivity | None:
        if self.noise is None or self.shift is None:
            return None
        return Sensitivity(self.noise / count, self.shift / count)


class _Backward:
    """One backward pass after another over the main subgraph.

    Attributes:
      gradients: by id of the tensor, with respect to its real values.
    """

    def __init__(self, model: Model, output_kind: str, runner: ModelRunner) -> None:
        self._subgraph, self._runner = model.subgraphs[0], runner
        self._sources = [
            _differentiable(model, find_fidelity_source(model, output_kind, i))
            for i in range(len(self._subgraph.outputs))
        ]
        self.gradients: dict[int, np.ndarray] = {}

    def run(self, rng: np.random.Generator) -> None:
        """Computes the gradients for the sample that the runner has just run."""
        self.gradients = {}
        unknown: set[int] = set()
        for source in self._sources:
            start = _start(source, self._runner.read(source.tensor), rng)
            self.gradients[id(source.tensor)] = self.gradients.get(id(source.tensor), 0) + start
        for op in reversed(self._subgraph.ops):
            output = op.outputs[0] if op.outputs else None
            if output is None or (id(output) not in self.gradients and id(output) not in unknown):
                continue
            if id(output) in unknown or not self._step(op, output):
                unknown |= {id(t) for t in op.inputs if t is not None}
        for tensor in unknown:
            self.gradients.pop(tensor, None)

    def _step(self, op: Op, output: Tensor) -> bool:
        gradient = clipped_gradient(op, output, self.gradients[id(output)], self._runner.read)
        found = input_gradients(op, gradient, self._runner.read)
        if found is None:
            return False
        for tensor, value in found:
            earlier = self.gradients.get(id(tensor))
            self.gradients[id(tensor)] = value if earlier is None else earlier + value
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
