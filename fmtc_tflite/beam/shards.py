"""What a worker does with one shard, whatever the job."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions

from fmtc_tflite import __version__
from fmtc_tflite.beam.job_folder import JobFolder, State
from fmtc_tflite.blas import one_blas_thread
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.errors import UsageError
from fmtc_tflite.progress import stages
from fmtc_tflite.runtime.interpreter import available_runtimes
from fmtc_tflite.sharding.partial_results import describe_changes

COUNT, UNREADABLE = "samples", "unreadable"  # in a result: how many samples it is of; numbers of some
_LEAST_PER_SHARD, _MOST_SHARDS = 64, 500
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt()
_KEPT_BYTES, _LARGEST_KEPT_BYTES = 64 << 20, 32 << 20


@dataclass(frozen=True)
class Shard:
    """Samples that are worked on together.

    Attributes:
      stage: what is done with them.
      first: the place of the first among all samples of the stage.
      datasets: the samples as inputs of each model.
      files: what the machine that started the pipeline saw of the samples' files, by path.
    """

    stage: str
    first: int
    datasets: tuple[Dataset, ...]
    files: Mapping[str, Any]

    @classmethod
    def of(cls, stage: str, datasets: tuple[Dataset, ...], first: int, end: int) -> Shard:
        """The samples from `first` to before `end`."""
        parts = tuple(dataset.part(np.arange(first, end)) for dataset in datasets)
        return cls(stage, first, parts, parts[0].file_states())

    def __len__(self) -> int:
        return len(self.datasets[0])


class Work(Protocol):
    """What is done with shards; can be pickled."""

    def open(self, contents: tuple[bytes, ...]) -> Callable[[Shard], State]:
        """Opens the models; gives the function from shard to results."""
        ...


@dataclass(frozen=True)
class Job:
    """What a worker is told.

    Attributes:
      folder: where models and shards are, and results go.
      models: their SHA-256.
      machine: what must be alike on all machines.
      options: the pipeline's, by name, which say how to reach file systems.
    """

    folder: str
    models: tuple[str, ...]
    work: Work
    machine: Mapping[str, Any]
    options: Mapping[str, Any]


class WorkOnShard(beam.DoFn):
    """From numbers of shards to the number of their samples, once their results are in the folder."""

    def __init__(self, job: Job) -> None:
        self._job = job
        names = (COUNT, UNREADABLE, "result bytes")
        self._samples, self._unreadable, self._bytes = (Metrics.counter("fmtc-tflite", name) for name in names)

    def process(self, number: int) -> Iterator[int]:
        """Works on one shard, unless another worker has done so.

        Raises:
          UsageError: this machine is not like the one that started the pipeline, or sees other data.
        """
        FileSystems.set_options(PipelineOptions.from_dictionary(self._job.options))  # not every runner does
        folder = JobFolder(self._job.folder)
        if number in folder.finished():
            return
        shard: Shard = folder.shard(number)
        check_files(shard)
        with one_blas_thread(), stages():  # without a bar of its own
            state = _opened(self._job)(shard)
        self._bytes.inc(folder.put_result(number, {**state, COUNT: np.array(len(shard))}))
        self._samples.inc(len(shard))
        self._unreadable.inc(len(state.get(UNREADABLE, ())))
        yield len(shard)


_open_work = threading.local()  # interpreters are not for several threads at once


def _opened(job: Job) -> Callable[[Shard], State]:
    """The job's models, opened once in each process (and thread) that works on it."""
    if getattr(_open_work, "folder", None) != job.folder:
        machine = this_machine()
        if machine != dict(job.machine):
            raise _differs(describe_changes(job.machine, machine))
        _keep_freed_memory()
        folder = JobFolder(job.folder)
        _open_work.work = job.work.open(tuple(folder.model(digest) for digest in job.models))
        _open_work.folder = job.folder
    work: Callable[[Shard], State] = _open_work.work
    return work


def _keep_freed_memory() -> None:
    """Has glibc keep what arrays free for the next ones, as it would by itself.

    Dask's workers are told by a variable to return it at once, and page faults then take a third of a calibration.
    """
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:
        with suppress(AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
            mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)


def this_machine() -> dict[str, Any]:
    """What results depend on beside models, data and flags."""
    return {"fmtc-tflite": __version__, "runtime": next(iter(available_runtimes()), None)}


def check_files(shard: Shard) -> None:
    """Raises UsageError where the samples' files are others here than where the pipeline was started."""
    for path, state in shard.datasets[0].file_states(anew=True).items():
        if state != shard.files[path]:
            raise _differs(f"{path} is {'missing' if state is None else 'another file'}")


def _differs(how: str) -> UsageError:
    return UsageError(
        f"--beam: a worker differs from the machine that started it: {how}; install the same packages "
        f"(fmtc-tflite=={__version__}) on all, and let all see the same data by the same path"
    )


def cut(count: int, least: int = _LEAST_PER_SHARD) -> list[tuple[int, int]]:
    """Shards (first, end) of so many samples: each a multiple of `least`, and no more than some hundred of them."""
    size = least * -(-count // (least * _MOST_SHARDS))
    return [(first, min(first + size, count)) for first in range(0, count, size)]
