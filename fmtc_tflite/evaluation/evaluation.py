"""One evaluation from models and data to results: what `fmtc-eval` runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmtc_tflite.data.opening import Dataset, open_data
from fmtc_tflite.errors import UsageError
from fmtc_tflite.evaluation import shards
from fmtc_tflite.evaluation.measurement import Layout, Measurement
from fmtc_tflite.fidelity.metrics import State
from fmtc_tflite.fidelity.task import LabelSet, Task, find_task
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.inference.input_shapes import with_input_shapes
from fmtc_tflite.progress import progress, stage, stages
from fmtc_tflite.runtime.interpreter import available_runtimes
from fmtc_tflite.sharding.partial_results import PartialResults
from fmtc_tflite.sharding.workers import run_shards
from fmtc_tflite.types import NO_EXTENSIONS, EvaluateOptions


@dataclass(frozen=True)
class Timing:
    """How long the evaluation took; nothing of it repeats exactly.

    Attributes:
      seconds: of running the samples that were not taken from an interrupted run.
      num_samples: these samples.
      num_latency_samples: samples that latency was measured on.
      latency: per model, see shards.measure_latency.
    """

    seconds: float
    num_samples: int
    num_latency_samples: int
    latency: list[dict[str, float]]


class Evaluation:
    """One evaluation of a model, with a reference beside it if there is one.

    Attributes:
      files: the model, and the reference.
      dataset: the samples as the model's inputs.
      task: what the labels ask; None without labels.
      measurement: the results; complete after `run`.
    """

    def __init__(self, model: bytes, reference: bytes | None, options: EvaluateOptions, has_task: bool = True) -> None:
        """Opens models and data and checks that they fit together.

        Args:
          has_task: whether labels in the data are the models' task.

        Raises:
          FmtcError: see fmtc_tflite.errors.
        """
        options.check()
        self.options = options
        contents = [content for content in (model, reference) if content is not None]
        self.files = [ModelFile.parse(with_input_shapes(content, options.input_shapes)) for content in contents]
        models = [file.model for file in self.files]
        layouts = [Layout.of(parsed, options.output_kind) for parsed in models]
        if len(layouts) == 2:
            _check_same_outputs(*layouts)
        self.datasets = [open_data(parsed, options) for parsed in models]
        self.dataset = self.datasets[0]
        self.task = _task(models, self.dataset, options) if has_task else None
        self.measurement = Measurement(layouts, self.task)

    @property
    def contents(self) -> tuple[bytes, ...]:
        """The files' bytes, which other processes are given."""
        return tuple(file.content for file in self.files)

    @contextmanager
    def partial_results(self, folder: Path | None) -> Iterator[PartialResults]:
        """The place for the results of shards; None for one that does not last.

        Raises:
          UsageError: the folder holds results of another evaluation.
        """
        with ExitStack() as stack:
            if folder is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()), "partial")
            yield stack.enter_context(PartialResults(folder, self.identity()))

    def run(self, partial: PartialResults) -> Timing:
        """Runs all samples that have no results yet, and measures latency.

        Raises:
          FmtcError: a worker died twice, or the work failed; `partial` has what was finished.
        """
        work = self.shard_work()
        start = time.monotonic()
        with stages(("evaluation", 10), ("latency", 1)):
            stage("evaluation")
            count = self._run_shards(work, partial)
            seconds = time.monotonic() - start
            stage("latency")
            return self.finish((partial.read(shard) for shard in range(work.num_shards)), seconds, count)

    def shard_work(self) -> shards.ShardWork:
        """The work of all shards."""
        options = self.options
        return shards.ShardWork(
            *(self.contents, tuple(self.datasets), self.task, options.output_kind, options.num_threads),
            *(options.runtime, options.extensions),
        )

    def finish(self, states: Iterable[State], seconds: float, count: int) -> Timing:
        """Takes in the results of all shards, in their order, and measures latency.

        Args:
          states: what `shard_work` gave for each shard.
          seconds: what it took to run `count` samples of them.
        """
        options = self.options
        latency = shards.measure_latency(self.contents, self.datasets, options.num_threads, options.runtime)
        for state in states:
            self.measurement.add_state(state)
        return Timing(seconds, count, min(shards.LATENCY_SAMPLES, len(self.dataset)), latency)

    def _run_shards(self, work: shards.ShardWork, partial: PartialResults) -> int:
        """Runs what is not yet there; returns the number of samples that were run."""
        finished = partial.finished
        waiting = [shard for shard in range(work.num_shards) if shard not in finished]
        count = sum(len(work.positions(shard)) for shard in waiting)
        total = len(self.dataset)
        with progress(None, "evaluation", total, total - count) as done:
            for shard, state in run_shards(work, waiting, self.options.num_workers, work.describe):
                partial.write(shard, state)
                done.update(len(work.positions(shard)))
        return count

    def identity(self) -> dict[str, Any]:
        """All that results depend on, by the flag that says it."""
        options = self.options
        return {
            "--model_file": self.files[0].sha256,
            "--reference_model_file": self.files[1].sha256 if len(self.files) > 1 else None,
            "--data": self.dataset.fingerprint(),
            **options.by_flag(),
            "--label_offset": None if self.task is None else self.task.label_offset,
            "--output_kind": options.output_kind,
            "--num_threads": options.num_threads,
            "--runtime": options.runtime or next(iter(available_runtimes()), None),
            "samples per shard": shards.SHARD_SAMPLES,
            **({} if options.extensions == NO_EXTENSIONS else {"--op_library, --delegate": repr(options.extensions)}),
        }


def _check_same_outputs(model: Layout, reference: Layout) -> None:
    shapes = [[t.shape for t in layout.outputs] for layout in (model, reference)]
    measures = [[s.measure for s in layout.sources] for layout in (model, reference)]
    if shapes[0] != shapes[1] or measures[0] != measures[1]:
        raise UsageError(
            f"--reference: its outputs have the shapes {shapes[1]} ({', '.join(measures[1])}), the model's "
            f"{shapes[0]} ({', '.join(measures[0])}); give the model before conversion, or another of the same outputs"
        )


def _task(models: list[Model], dataset: Dataset, options: EvaluateOptions) -> Task | None:
    if dataset.labels is None and not dataset.has_label_maps:
        return None
    return find_task(models, LabelSet(dataset.labels, dataset.num_classes, str(options.data)), options.label_offset)
