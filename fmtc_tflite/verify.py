"""Running a converted model beside its original: fidelity, coded sizes, bit-exactness."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from fmtc_tflite.calibration.runner import ModelRunner
from fmtc_tflite.errors import VerificationError
from fmtc_tflite.evaluation.fidelity import FidelitySource, find_fidelity_source
from fmtc_tflite.evaluation.metrics import (
    ByteStatistics,
    CodedBytes,
    Disagreement,
    KlDivergence,
    MeanResult,
    RelativeMse,
    Top1Agreement,
    dequantize,
)
from fmtc_tflite.graph.model_io import Model, Tensor, load_model
from fmtc_tflite.graph.rewrite import ENCODE

Sample = Mapping[str, np.ndarray]
_METRICS: dict[str, type[KlDivergence] | type[Disagreement] | type[RelativeMse]] = {
    "kl": KlDivergence,
    "disagreement": Disagreement,
    "relative_mse": RelativeMse,
}
_PAYLOAD_LENGTH_OFFSET = 8  # FORMAT.md section 8


@dataclass(frozen=True)
class Comparison:
    """What a side-by-side run showed.

    Attributes:
      measure: kl (nats), disagreement or relative_mse.
      source_tensor: the tensor that was compared.
      fidelity: mean of the measure with its standard error.
      top1_agreement: share of samples with the same best class; None where there are no classes.
      bit_exact: all outputs were equal on all samples.
      site_bytes: coded bytes of each coded feature map, by the original tensor's name.
      network_bytes: coded bytes of all feature maps together, per sample.
    """

    measure: str
    source_tensor: str
    fidelity: MeanResult
    top1_agreement: float | None
    bit_exact: bool
    site_bytes: dict[str, ByteStatistics]
    network_bytes: ByteStatistics


class _OutputMeter:
    """Accumulates the measure that fits one output."""

    def __init__(self, source: FidelitySource) -> None:
        self.source = source
        self._metric: KlDivergence | Disagreement | RelativeMse = _METRICS[source.measure]()
        self._agreement = Top1Agreement() if source.measure == "kl" else None

    def add(self, original: np.ndarray, converted: np.ndarray) -> None:
        """Adds one sample's source tensors as the interpreter holds them."""
        if isinstance(self._metric, Disagreement):
            self._metric.add(original, converted)
            return
        first, second = (dequantize(x, self.source.scale, self.source.zero_point) for x in (original, converted))
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            name = self.source.tensor.name
            raise VerificationError(f"tensor {name!r} has NaN or infinite values; check the calibration data")
        if isinstance(self._metric, KlDivergence) and self.source.probabilities:
            self._metric.add_probabilities(first, second, step=self.source.scale or 0.0)
        else:
            self._metric.add(first, second)
        if self._agreement is not None:
            self._agreement.add(first, second)

    @property
    def result(self) -> MeanResult:
        return self._metric.result()

    @property
    def top1_agreement(self) -> float | None:
        return None if self._agreement is None else self._agreement.result().mean


class FidelityMeter:
    """Accumulates the fidelity of a model's outputs; the worst of them counts."""

    def __init__(self, sources: Sequence[FidelitySource]) -> None:
        self._outputs = [_OutputMeter(source) for source in sources]

    def add(self, original: Sequence[np.ndarray], converted: Sequence[np.ndarray]) -> None:
        """Adds one sample: the source tensors of all outputs."""
        for meter, first, second in zip(self._outputs, original, converted, strict=True):
            meter.add(first, second)

    @property
    def worst(self) -> _OutputMeter:
        return max(self._outputs, key=lambda meter: meter.result.mean)


class FidelityTrial:
    """Measures candidates of a conversion against outputs of the original that are computed once."""

    def __init__(
        self, model: Model, content: bytes, samples: Sequence[Sample], output_kind: str, num_threads: int | None
    ) -> None:
        self._samples, self._output_kind, self._num_threads = samples, output_kind, num_threads
        sources = fidelity_sources(model, output_kind)
        runner = ModelRunner(model, content, num_threads=num_threads)
        self._originals = [_run_and_read(runner, sample, sources) for sample in samples]

    def measure(self, converted: bytes) -> MeanResult:
        """Fidelity of a converted model on the trial's samples."""
        model = load_model(converted)
        sources = fidelity_sources(model, self._output_kind)
        runner = ModelRunner(model, converted, num_threads=self._num_threads)
        meter = FidelityMeter(sources)
        for sample, original in zip(self._samples, self._originals, strict=True):
            meter.add(original, _run_and_read(runner, sample, sources))
        return meter.worst.result


def fidelity_sources(model: Model, output_kind: str) -> list[FidelitySource]:
    """What to compare for each graph output."""
    count = max(len(model.subgraphs[0].outputs), 1)
    return [find_fidelity_source(model, output_kind, index) for index in range(count)]


def _run_and_read(runner: ModelRunner, sample: Sample, sources: Sequence[FidelitySource]) -> list[np.ndarray]:
    runner.run(sample)
    return [runner.read(source.tensor) for source in sources]


def coded_tensors(model: Model, subgraph_index: int = 0) -> dict[str, Tensor]:
    """Name of each coded feature map -> its coded tensor."""
    found = {}
    for op in model.subgraphs[subgraph_index].ops:
        if op.opcode == ENCODE and op.inputs[0] is not None and op.outputs[0] is not None:
            found[op.inputs[0].name] = op.outputs[0]
    return found


def payload_bytes(coded: np.ndarray) -> int:
    """Length of what the encoder wrote into a coded tensor, uint8 of any shape."""
    if coded.size == 0:
        return 0
    return int(coded.ravel()[_PAYLOAD_LENGTH_OFFSET : _PAYLOAD_LENGTH_OFFSET + 4].view("<u4")[0])


def compare(
    original: tuple[Model, bytes],
    converted: bytes,
    samples: Iterable[Sample],
    output_kind: str = "auto",
    num_threads: int | None = None,
) -> Comparison:
    """Runs original and converted model side by side on every sample.

    Args:
      original: the model and its bytes.
      converted: the converted model's bytes; read anew, as a user's runtime will.
      samples: inputs by tensor name; at least one.
      output_kind: see find_fidelity_source.

    Raises:
      VerificationError: outputs that are not finite.
    """
    reread = load_model(converted)
    sources = [fidelity_sources(m, output_kind) for m in (original[0], reread)]
    runners = [ModelRunner(*original, num_threads=num_threads), ModelRunner(reread, converted, num_threads=num_threads)]
    meter, coded = FidelityMeter(sources[0]), coded_tensors(reread)
    sizes, network, exact = {name: CodedBytes() for name in coded}, CodedBytes(), True
    for sample in tqdm(samples, desc="verification", disable=None, leave=False):
        meter.add(*(_run_and_read(r, sample, s) for r, s in zip(runners, sources, strict=True)))
        exact = exact and _outputs_equal(runners, (original[0], reread))
        payloads = {name: payload_bytes(runners[1].read(tensor)) for name, tensor in coded.items()}
        for name, size in payloads.items():
            sizes[name].add(size)
        network.add(sum(payloads.values()))
    worst = meter.worst
    return Comparison(
        measure=worst.source.measure,
        source_tensor=worst.source.tensor.name,
        fidelity=worst.result,
        top1_agreement=worst.top1_agreement,
        bit_exact=exact,
        site_bytes={name: s.result() for name, s in sizes.items()},
        network_bytes=network.result(),
    )


def _outputs_equal(runners: Sequence[ModelRunner], models: Sequence[Model]) -> bool:
    pairs = zip(models[0].subgraphs[0].outputs, models[1].subgraphs[0].outputs, strict=True)
    return all(np.array_equal(runners[0].read(a), runners[1].read(b), equal_nan=_is_float(a)) for a, b in pairs)


def _is_float(tensor: Tensor) -> bool:
    return tensor.dtype is not None and tensor.dtype.kind == "f"


def uncertainty_warning(fidelity: MeanResult, bound: float) -> str | None:
    """A warning where the measured mean is too uncertain to be held against its bound; None if it is not."""
    if not math.isnan(fidelity.std_error) and fidelity.std_error <= bound / 4:
        return None
    return (
        f"fidelity is uncertain: {fidelity.mean:.4g} +- {fidelity.std_error:.2g} on {fidelity.num_samples} held-back "
        f"samples against a bound of {bound:g}; more calibration samples would fix it better"
    )
