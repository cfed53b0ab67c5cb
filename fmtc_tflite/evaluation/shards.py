"""Runs a model, and a reference beside it, over data: the shards of an evaluation."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np

from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.errors import UsageError
from fmtc_tflite.evaluation.measurement import Layout, Measurement, Outputs
from fmtc_tflite.fidelity.metrics import State
from fmtc_tflite.fidelity.task import Task
from fmtc_tflite.graph.coded_maps import is_converted, named_kernels
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Tensor, load_model
from fmtc_tflite.graph.region_ops import region_inputs
from fmtc_tflite.inference.inner_reader import InnerReader
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.progress import progress
from fmtc_tflite.runtime.checked import CheckedInterpreter
from fmtc_tflite.runtime.extensions import attached
from fmtc_tflite.types import NO_EXTENSIONS, Extensions

# Fixed, so that results do not depend on the number of workers.
SHARD_SAMPLES = 32
LATENCY_SAMPLES = 50
_WARM_UP_RUNS = 3


class Contender:
    """One model, run with the runtime's default kernels, or with those whose results a model's regions give.

    Default kernels, because that is what applications get, and because accuracies depend on them: XNNPACK rounds
    otherwise than the built-in kernels. It keeps intermediate tensors to itself, so those that are measured are made
    additional graph outputs of a copy of the model.
    """

    def __init__(
        self,
        content: bytes,
        output_kind: str,
        num_threads: int | None,
        runtime: str | None,
        kernels: str | None = None,
    ) -> None:
        model = load_model(content)
        self.layout = Layout.of(model, output_kind)
        graph = model.subgraphs[0]
        known = {*graph.inputs, *graph.outputs}
        inner = {each.tensor for each in self.layout.inner}
        wanted = [source.tensor for source in self.layout.sources if source.tensor not in inner]
        wanted += [*self.layout.coded.values(), *region_inputs(each.region for each in self.layout.inner)]
        graph.outputs = [*graph.outputs, *(tensor for tensor in dict.fromkeys(wanted) if tensor not in known)]
        self._batch = graph.inputs[0].shape[0] if graph.inputs and graph.inputs[0].shape else 1
        self._runner = ModelRunner(
            ModelFile.of(model), num_threads=num_threads, runtime=runtime, default_kernels=True, kernels=kernels
        )
        self._inner = InnerReader(self._runner, self.layout.inner)

    def run(self, sample: Mapping[str, np.ndarray]) -> Outputs:
        """What the model gives for one sample."""
        self._runner.run(sample)
        inner = self._inner.read()
        return Outputs(
            [self._read(tensor) for tensor in self.layout.outputs],
            [self._first(inner[s.tensor]) if s.tensor in inner else self._read(s.tensor) for s in self.layout.sources],
            {name: self._runner.read(tensor) for name, tensor in self.layout.coded.items()},
        )

    def _read(self, tensor: Tensor) -> np.ndarray:
        return self._first(self._runner.read(tensor))

    def _first(self, value: np.ndarray) -> np.ndarray:
        """Of a fixed batch, which holds copies of one sample, the first item."""
        return value[:1] if self._batch > 1 and value.shape[:1] == (self._batch,) else value


@dataclass(frozen=True)
class ShardWork:
    """All that a process needs to work on shards; can be pickled.

    Attributes:
      contents: the model's bytes, and the reference's if there is one.
      datasets: the same samples as inputs of each model.
      task: None without labels.
    """

    contents: tuple[bytes, ...]
    datasets: tuple[Dataset, ...]
    task: Task | None
    output_kind: str = "auto"
    num_threads: int | None = None
    runtime: str | None = None
    extensions: Extensions = NO_EXTENSIONS

    @property
    def num_shards(self) -> int:
        return len(self._parts)

    def positions(self, shard: int) -> np.ndarray:
        """Positions of a shard's samples."""
        return self._parts[shard]

    @cached_property
    def _parts(self) -> list[np.ndarray]:
        """Whole streams where a model keeps state, else so many samples."""
        data = next((each for each in self.datasets if each.is_streamed), None)
        if data is not None:
            return data.streams()
        count = len(self.datasets[0])
        return [np.arange(first, min(first + SHARD_SAMPLES, count)) for first in range(0, count, SHARD_SAMPLES)]

    def describe(self, shard: int) -> str:
        """What messages call a shard."""
        positions = self.positions(shard)
        return f"shard {shard} (samples {positions[0]} to {positions[-1]})"

    def try_models(self) -> None:
        """Runs the first sample, in the interpreters that measure and in those that are timed.

        Raises:
          FmtcError: a model that cannot be run, or data that do not fit it.
        """
        kernels = kernels_of(self.contents)
        contenders = self.open_models()
        timed = [_timed_run(content, self.num_threads, self.runtime, kernels) for content in self.contents]
        for samples, _ in self._samples(self.positions(0)[:1]):
            for contender, run, sample in zip(contenders, timed, samples, strict=True):
                contender.run(sample)
                run(sample)

    def open_models(self) -> list[Contender]:
        """The models, ready to run."""
        kernels = kernels_of(self.contents)
        return [Contender(c, self.output_kind, self.num_threads, self.runtime, kernels) for c in self.contents]

    def __call__(self) -> Callable[[int], State]:
        """Opens the models; gives the function from shard to results."""
        with attached(self.extensions):  # in a worker they are not yet
            contenders = self.open_models()
        return lambda shard: self.run(contenders, shard)

    def run(self, contenders: Sequence[Contender], shard: int) -> State:
        """Runs the samples of a shard."""
        measurement = Measurement([contender.layout for contender in contenders], self.task)
        for samples, label in self._samples(self.positions(shard)):
            outputs = [contender.run(sample) for contender, sample in zip(contenders, samples, strict=True)]
            measurement.add(outputs, label)
        return measurement.state()

    def _samples(self, positions: np.ndarray) -> Iterator[tuple[list[dict[str, np.ndarray]], np.ndarray | None]]:
        """Each sample as the input of each model, and its label."""
        parts = [dataset.subset(positions) for dataset in self.datasets]
        same = all(part.input_specs == parts[0].input_specs for part in parts)
        streams = zip(*parts, strict=True) if not same else ([sample] * len(parts) for sample in parts[0])
        for samples, label in zip(streams, self._labels(parts[0]), strict=self.task is not None):
            yield list(samples), label

    def _labels(self, part: Dataset) -> Iterator[np.ndarray | None]:
        if self.task is None:
            return repeat(None)
        if part.labels is not None:
            return iter(part.labels)
        return part.read_label_maps(self.task.size)


def kernels_of(contents: Sequence[bytes]) -> str | None:
    """The kernels that models are run with: those that regions in one of them name, else None, the runtime's default.

    Raises:
      UsageError: the models name different ones.
    """
    named = {kernels for content in contents if (kernels := named_kernels(load_model(content))) is not None}
    if len(named) > 1:
        raise UsageError(f"the models' regions give the results of the kernels {' and '.join(sorted(named))}: "
                         "evaluate models of one kind together")  # fmt: skip
    return next(iter(named), None)


def measure_latency(
    contents: Sequence[bytes], datasets: Sequence[Dataset], num_threads: int | None, runtime: str | None
) -> list[dict[str, float]]:
    """Time of `invoke()` of each model on the first samples, one model after the other on each sample.

    In interpreters of their own, with the kernels of `kernels_of` and the models as they are.

    Returns:
      For each model: median_ms and p95_ms per sample.
    """
    kernels = kernels_of(contents)
    runs = [_timed_run(content, num_threads, runtime, kernels) for content in contents]
    parts = [data.subset(np.arange(min(LATENCY_SAMPLES, len(data)))) for data in datasets]
    times: list[list[float]] = [[] for _ in runs]
    for position, samples in enumerate(progress(zip(*parts, strict=True), "latency", len(parts[0]))):
        for run, sample, own in zip(runs, samples, times, strict=True):
            for _ in range(_WARM_UP_RUNS if position == 0 else 0):
                run(sample)
            own.append(run(sample))
    return [{"median_ms": statistics.median(own), "p95_ms": float(np.percentile(own, 95))} for own in times]


def _timed_run(
    content: bytes, num_threads: int | None, runtime: str | None, kernels: str | None
) -> Callable[[Mapping[str, np.ndarray]], float]:
    model = load_model(content)
    interpreter = CheckedInterpreter(
        content,
        model.subgraphs[0].op_labels,
        runtime=runtime,
        num_threads=num_threads,
        kernels=kernels,
        attach_delegate=is_converted(model),
    )
    graph = model.subgraphs[0]
    index = {tensor: i for i, tensor in enumerate(graph.tensors)}
    inputs = [(tensor.name, index[tensor]) for tensor in graph.inputs]

    def run(sample: Mapping[str, np.ndarray]) -> float:
        for name, number in inputs:
            interpreter.set_input(number, sample[name])
        start = time.perf_counter()
        interpreter.invoke()
        return 1000 * (time.perf_counter() - start)

    return run
