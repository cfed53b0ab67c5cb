"""Finds the samples that cannot be read on Beam's workers, before anything is measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fmtc_tflite.beam.job_folder import State
from fmtc_tflite.beam.running import run
from fmtc_tflite.beam.shards import UNREADABLE, Shard, cut
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.types import CalibrationOptions, EvaluateOptions


class ReadWork:
    """Reads one shard after another."""

    def open(self, contents: tuple[bytes, ...]) -> Callable[[Shard], State]:
        """See Work; there are no models."""
        return lambda shard: {UNREADABLE: shard.first + shard.datasets[0].unreadable()}


def unreadable(dataset: Dataset, options: CalibrationOptions | EvaluateOptions) -> np.ndarray:
    """`dataset.unreadable()`, by Beam's workers.

    Raises:
      UsageError: options that Beam does not take; workers that see something else than this machine.
      FmtcError: the pipeline failed.
    """
    shards = [("read", (dataset,), *ends) for ends in cut(len(dataset))]
    identity = {"data": dataset.fingerprint(), "samples": dataset.selection()}
    found = [state[UNREADABLE] for state in run(ReadWork(), (), shards, identity, options)]
    return np.concatenate([np.empty(0, np.int64), *found])
