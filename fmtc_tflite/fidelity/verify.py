"""Running a converted model beside its original: fidelity, coded sizes, bit-exactness."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.fidelity.accuracy import LabelRanks, paired_difference
from fmtc_tflite.fidelity.fidelity_source import FidelitySource
from fmtc_tflite.fidelity.meters import CodedMeter, FidelityMeter, coded_header, fidelity_sources
from fmtc_tflite.fidelity.metrics import ByteStatistics, MeanResult
from fmtc_tflite.fidelity.region_sources import original_sources
from fmtc_tflite.fidelity.task import Task
from fmtc_tflite.graph.coded_maps import coded_tensors
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model, Tensor
from fmtc_tflite.graph.region_ops import region_inputs
from fmtc_tflite.graph.variables import keeps_state
from fmtc_tflite.inference.inner_reader import InnerReader
from fmtc_tflite.inference.memory_need import outgrows_builtin_kernels
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.inference.parallel import in_parallel, is_large, num_at_once, open_runners
from fmtc_tflite.progress import progress

Sample = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """What a side-by-side run showed.

    Attributes:
      measure: kl (nats), disagreement or relative_mse.
      source_tensor: the tensor that was compared.
      fidelity: mean of the measure with its standard error.
      largest_share: share of a single sample in the divergence at most; None where nothing diverges.
      top1_agreement: share of samples with the same best class; None where there are no classes.
      bit_exact: all outputs were equal on all samples.
      outputs_vary: what is compared was not the same for all samples in the original.
      site_bytes: coded bytes of each coded feature map, by the original tensor's name.
      network_bytes: coded bytes of all feature maps together, per sample.
      coarsened: share of samples for which each coded tensor was too small, so that it was coded coarser.
      accuracy_drop: share of samples that the original alone classifies rightly, less that of the converted model;
        None without labels.
    """

    measure: str
    source_tensor: str
    fidelity: MeanResult
    largest_share: float | None
    top1_agreement: float | None
    bit_exact: bool
    outputs_vary: bool
    site_bytes: dict[str, ByteStatistics]
    network_bytes: ByteStatistics
    coarsened: dict[str, float]
    accuracy_drop: MeanResult | None = None


@dataclass(frozen=True)
class Labels:
    """What a classifier should say on some samples.

    Attributes:
      task: which output answers, and how.
      values: integers, one for each sample, in their order.
    """

    task: Task
    values: np.ndarray


class AccuracyTrial:
    """Measures how far the accuracy of candidates of a conversion falls below that of the original."""

    def __init__(self, file: ModelFile, samples: Collection[Sample], labels: Labels, num_threads: int | None) -> None:
        self._samples, self._labels, self._num_threads = samples, labels, num_threads
        runners = open_runners(file, num_threads, readable=file.model.subgraphs[0].outputs)
        self._runner = runners[0]
        self._original = self._ranks(file.model, runners)
        _close(runners)

    def measure(self, converted: Model) -> MeanResult:
        """The drop in top-1 on the trial's samples, with its paired standard error."""
        outputs = converted.subgraphs[0].outputs
        runners = open_runners(ModelFile.of(converted), self._num_threads, self._runner, outputs)
        ranks = self._ranks(converted, runners)
        return paired_difference(self._original, ranks).difference

    def _ranks(self, model: Model, runners: Sequence[ModelRunner]) -> LabelRanks:
        ranks, task = LabelRanks(self._labels.task.label_offset), self._labels.task
        scores = in_parallel(
            runners, progress(self._samples, "trial"), lambda runner, sample: _scores(runner, sample, model, task)
        )
        for own, label in zip(scores, self._labels.values, strict=True):
            ranks.add(own, [label])
        return ranks


def _scores(runner: ModelRunner, sample: Sample, model: Model, task: Task) -> np.ndarray:
    runner.run(sample)
    return task.scores(runner.read(model.subgraphs[0].outputs[task.output_index]))


class FidelityTrial:
    """Measures candidates of a conversion against outputs of the original that are computed once."""

    def __init__(self, file: ModelFile, samples: Collection[Sample], output_kind: str, num_threads: int | None) -> None:
        self._samples, self._output_kind, self._num_threads = samples, output_kind, num_threads
        self._sources = fidelity_sources(file.model, output_kind)
        runners = open_runners(file, num_threads, readable=_tensors(self._sources))
        self._runner = runners[0]
        self._originals = list(self._outputs(runners, self._sources))
        _close(runners)

    @property
    def num_samples(self) -> int:
        return len(self._originals)

    def measure(self, converted: Model, limit: float = math.inf) -> MeanResult:
        """Fidelity of a converted model on the trial's samples.

        Args:
          limit: it may end as soon as the mean is certain to exceed this; it then is a lower bound, without an error.
        """
        meter = self._meter(converted)
        for _ in self._fill(meter, converted):
            least = meter.least_mean(len(self._originals))
            if least > limit:
                return MeanResult(least, math.nan, len(self._originals))
        return meter.worst.result

    def contributions(self, converted: Model) -> list[np.ndarray]:
        """What each sample adds to the divergence of each output, float64 [samples]."""
        meter = self._meter(converted)
        for _ in self._fill(meter, converted):
            pass
        return [output.contributions for output in meter.outputs]

    def _meter(self, converted: Model) -> FidelityMeter:
        return FidelityMeter(self._sources, fidelity_sources(converted, self._output_kind))

    def _fill(self, meter: FidelityMeter, converted: Model) -> Iterator[None]:
        """Runs one sample after another."""
        sources = fidelity_sources(converted, self._output_kind)
        runners = open_runners(ModelFile.of(converted), self._num_threads, self._runner, _tensors(sources))
        for original, own in zip(self._originals, self._outputs(runners, sources), strict=True):
            meter.add(original, own)
            yield

    def _outputs(self, runners: Sequence[ModelRunner], sources: Sequence[FidelitySource]) -> Iterator[list[np.ndarray]]:
        return in_parallel(
            runners, progress(self._samples, "trial"), lambda runner, sample: _run_and_read(runner, sample, sources)
        )


def _tensors(sources: Iterable[FidelitySource]) -> list[Tensor]:
    return [source.tensor for source in sources]


def _close(runners: Iterable[ModelRunner]) -> None:
    for runner in runners:
        runner.close()


def _run_and_read(runner: ModelRunner, sample: Sample, sources: Sequence[FidelitySource]) -> list[np.ndarray]:
    runner.run(sample)
    return [runner.read(source.tensor) for source in sources]


def compare(
    original: ModelFile,
    converted: ModelFile,
    samples: Iterable[Sample],
    output_kind: str = "auto",
    num_threads: int | None = None,
    labels: Labels | None = None,
    where: tuple[str | None, str | None] = (None, None),
) -> Comparison:
    """Runs original and converted model side by side on every sample.

    Args:
      original: the model.
      converted: read from bytes, as a user's runtime will.
      samples: inputs by tensor name; at least one.
      output_kind: see find_fidelity_source.
      labels: of the samples, to measure accuracy as well.
      where: the runtime to run both with, None for the first that is installed; and the kernels, of
        runtime.interpreter.KERNEL_SETS, None for the built-in ones.

    Raises:
      VerificationError: outputs that are not finite.
    """
    first = _Side(original, output_kind, num_threads, where)
    sides = [first, _Side(converted, output_kind, num_threads, where, first)]
    meter, exact = FidelityMeter(*(side.sources for side in sides)), True
    sizes, ranks = (
        CodedMeter(list(sides[1].coded)),
        [LabelRanks(labels.task.label_offset if labels else 0) for _ in sides],
    )
    first_values, vary = list[np.ndarray](), False
    at_once = 1 if is_large(original.model) else num_at_once(original.model, num_threads)
    workers = range(min(at_once, 2))
    for i, sample in enumerate(progress(samples, "verification")):
        own, other = in_parallel(workers, [(side, sample) for side in sides], _run_side)
        meter.add(own.sources, other.sources)
        first_values = first_values or own.sources
        vary = vary or not all(map(np.array_equal, first_values, own.sources))
        exact = exact and all(map(_are_equal, own.outputs, other.outputs))
        sizes.add(other.coded)
        if labels is not None:
            for its_ranks, reading in zip(ranks, (own, other), strict=True):
                its_ranks.add(labels.task.scores(reading.outputs[labels.task.output_index]), [labels.values[i]])
    worst = meter.worst
    return Comparison(
        measure=worst.source.measure,
        source_tensor=worst.source.tensor.name,
        fidelity=worst.result,
        largest_share=worst.largest_share,
        top1_agreement=worst.top1_agreement,
        bit_exact=exact,
        outputs_vary=vary or meter.worst.result.num_samples < 2,
        site_bytes={name: site.result() for name, site in sizes.sites.items()},
        network_bytes=sizes.network.result(),
        coarsened={name: sizes.coarsened_share(name) for name in sizes.sites},
        accuracy_drop=None if labels is None else paired_difference(ranks[0], ranks[1]).difference,
    )


def _run_side(_: int, run: tuple[_Side, Sample]) -> _Reading:
    side, sample = run
    return side.run(sample)


@dataclass(frozen=True)
class _Reading:
    """What one model gave for one sample: fidelity sources, graph outputs, and the headers of coded tensors by name."""

    sources: list[np.ndarray]
    outputs: list[np.ndarray]
    coded: dict[str, np.ndarray]


class _Side:
    """One of two models that run side by side.

    A large one has an interpreter while it runs only, so that there is one of them at a time: opening it takes little
    beside a run.
    """

    def __init__(
        self,
        file: ModelFile,
        output_kind: str,
        num_threads: int | None,
        where: tuple[str | None, str | None],
        like: _Side | None = None,
    ) -> None:
        self.sources, self._inner = original_sources(file.model, output_kind)
        self.coded = coded_tensors(file.model.subgraphs[0])
        self._file, self._num_threads, self._like = file, num_threads, like
        self._runtime, self._kernels = where
        inside = {inner.tensor for inner in self._inner}
        shown = [*_tensors(self.sources), *file.model.subgraphs[0].outputs]
        self._own = [tensor for tensor in dict.fromkeys(shown) if tensor not in inside]
        read = [*self._own, *self.coded.values(), *region_inputs(inner.region for inner in self._inner)]
        self._readable = read if self._kernels is not None or outgrows_builtin_kernels(file.model) else None
        self._stays_open = not is_large(file.model) or keeps_state(file.model)
        self._runner, self._reader = self._open()
        if not self._stays_open:
            self._runner.close()

    def _open(self) -> tuple[ModelRunner, InnerReader]:
        like = None if self._like is None else self._like._runner
        runner = ModelRunner(
            self._file,
            num_threads=self._num_threads,
            runtime=self._runtime,
            kernels=self._kernels,
            exposed=self._kernels is not None,
            like=like,
            readable=self._readable,
        )
        return runner, InnerReader(runner, self._inner)

    def run(self, sample: Sample) -> _Reading:
        """Runs the model on one sample."""
        if not self._stays_open:
            self._runner, self._reader = self._open()
        runner = self._runner
        runner.run(sample)
        tensors = _tensors(self.sources), self._file.model.subgraphs[0].outputs
        values = {tensor: runner.read(tensor) for tensor in self._own} | self._reader.read()
        coded = {name: coded_header(runner.read(tensor)) for name, tensor in self.coded.items()}
        if not self._stays_open:
            runner.close()
        return _Reading([values[t] for t in tensors[0]], [values[t] for t in tensors[1]], coded)


def _are_equal(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
