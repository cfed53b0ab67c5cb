"""Runs an evaluation's samples on Beam's workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fmtc_tflite.beam.job_folder import State
from fmtc_tflite.beam.running import run
from fmtc_tflite.beam.shards import COUNT, Shard, cut
from fmtc_tflite.evaluation.evaluation import Evaluation, Timing
from fmtc_tflite.evaluation.shards import SHARD_SAMPLES, ShardWork


@dataclass(frozen=True)
class EvaluationWork:
    """Runs one shard after another. Attributes: work: without models and samples."""

    work: ShardWork

    def open(self, contents: tuple[bytes, ...]) -> Callable[[Shard], State]:
        """See Work."""
        work = replace(self.work, contents=contents)
        contenders = work.open_models()

        def measure(shard: Shard) -> State:
            own = replace(work, datasets=shard.datasets)
            states = (own.run(contenders, number) for number in range(own.num_shards))
            return {f"{i}/{name}": value for i, state in enumerate(states) for name, value in state.items()}

        return measure


def evaluate(evaluation: Evaluation) -> Timing:
    """`evaluation.run` on Beam's workers; `evaluation.options.beam` has the pipeline's options.

    Raises:
      UsageError: options that Beam does not take; workers that see something else than this machine.
      FmtcError: the pipeline failed.
    """
    work, count = evaluation.shard_work(), len(evaluation.dataset)
    shards = [("evaluation", work.datasets, *ends) for ends in cut(count, 2 * SHARD_SAMPLES)]
    without_data = EvaluationWork(replace(work, contents=(), datasets=()))
    start = time.monotonic()
    found = list(run(without_data, evaluation.contents, shards, evaluation.identity(), evaluation.options))
    seconds = time.monotonic() - start
    return evaluation.finish((part for state in found for part in _parts(state)), seconds, count)


def _parts(state: State) -> Iterator[State]:
    """What each of the evaluation's own shards came to, of one of the pipeline's."""
    parts: dict[int, State] = {}
    for name, values in state.items():
        number, _, part = name.partition("/")
        if name != COUNT:
            parts.setdefault(int(number), {})[part] = values
    return (parts[number] for number in sorted(parts))
