"""Runs a job's shards on the runner that the user names, and goes on where an earlier run of the job was stopped."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import logging
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineState

from fmtc_tflite import errors, files
from fmtc_tflite.beam.job_folder import JobFolder, State
from fmtc_tflite.beam.shards import COUNT, Job, Shard, Work, WorkOnShard, this_machine
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.errors import FmtcError, UsageError
from fmtc_tflite.progress import progress
from fmtc_tflite.types import CalibrationOptions, EvaluateOptions

# Beam's DirectRunner first tries Prism, a program that it downloads and that knows no --direct_num_workers.
_LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_LOCAL_NAMES = ("DirectRunner", "direct", _LOCAL_RUNNER)
_DASK_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"
_DASK_NAMES = ("DaskRunner", "dask", _DASK_RUNNER)
_ERROR_IN_WORKER = re.compile(r"fmtc_tflite\.errors\.(\w+): (.+?)(?: \[while running|\\n|$)", re.MULTILINE)
_LOOK_SECONDS = 2.0  # between looks at what is finished

_logger = logging.getLogger(__name__)

Planned = tuple[str, tuple[Dataset, ...], int, int]  # a stage, all its samples, and the first and end of a shard's


def run(
    work: Work,
    contents: tuple[bytes, ...],
    shards: Sequence[Planned],
    identity: Mapping[str, Any],
    wanted: CalibrationOptions | EvaluateOptions,
) -> Iterator[State]:
    """Runs all shards that no earlier run of the same job has finished, and yields what each came to, in their order.

    Args:
      work: done with each shard.
      contents: the models.
      identity: all that results depend on; JSON-serialisable.
      wanted: the pipeline's options, and how long it may take.

    Raises:
      UsageError: options that Beam does not take; workers that see something else than this machine.
      FmtcError: the pipeline failed, or took too long.
    """
    if not shards:
        return
    options = _pipeline_options(wanted.beam or (), len(shards))
    machine = this_machine()
    plan = [(stage, first, end) for stage, _, first, end in shards]
    name = hashlib.sha256(json.dumps([machine, identity, plan], sort_keys=True).encode()).hexdigest()[:16]
    with _shared_folder(options, f"fmtc-{name}") as folder:
        waiting = prepare(folder, shards)
        if waiting:
            given = options.get_all_options(drop_default=True)
            job = Job(folder.path, tuple(map(folder.put_model, contents)), work, machine, given)
            _run_pipeline(options, job, waiting, {i: end - first for i, (_, first, end) in enumerate(plan)}, wanted)
        for number, (_, first, end) in enumerate(plan):
            state = folder.result(number)
            if int(state.pop(COUNT)) != end - first:
                raise FmtcError(f"--beam: {folder.path} has results of other samples; delete it and start anew")
            yield state


def prepare(folder: JobFolder, shards: Sequence[Planned]) -> list[int]:
    """Writes the list of each shard's samples for its worker; returns the shards that are not finished."""
    finished = folder.finished()
    if finished:
        _logger.warning(
            "--beam: %d of %d shards were finished by an earlier run, in %s", len(finished), len(shards), folder.path
        )
    waiting = [number for number in range(len(shards)) if number not in finished]
    for number in waiting:
        folder.put_shard(number, Shard.of(*shards[number]))
    return waiting


def _run_pipeline(
    options: Any,
    job: Job,
    waiting: Sequence[int],
    sizes: Mapping[int, int],
    wanted: CalibrationOptions | EvaluateOptions,
) -> None:
    start, running = time.monotonic(), _Running(options, job, waiting)
    total = sum(sizes.values())
    shown = total - sum(sizes[number] for number in waiting)
    with progress(None, "--beam", total, shown) as bar:
        try:
            while not running.wait(_LOOK_SECONDS):
                done = sum(sizes[number] for number in JobFolder(job.folder).finished())
                bar.update(done - shown)
                shown = done
                if wanted.beam_timeout is not None and time.monotonic() - start > wanted.beam_timeout:
                    raise FmtcError(
                        f"--beam_timeout: the pipeline has run for {wanted.beam_timeout:g} s; the same command goes on "
                        "from what is finished, where --temp_location keeps it"
                    )
        except BaseException:
            running.cancel()
            raise
        bar.update(total - shown)
    _logger.info("--beam: the pipeline of %d shards took %.1f s", len(waiting), time.monotonic() - start)


class _Running(threading.Thread):
    """A pipeline at work: runners wait in ways of their own, which signals and time do not end."""

    def __init__(self, options: Any, job: Job, shards: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._options, self._job, self._shards = options, job, shards
        resource_tracker.ensure_running()  # which ends with this process, and would complain if it were ended before
        self._others = descendants(os.getpid())
        self._pipeline: Any = None
        self._result: Any = None
        self._error: FmtcError | None = None
        # After a join() that a signal interrupts, CPython may hold a thread for ended that is not (3.11).
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        """The thread's work."""
        try:
            self._run_pipeline()
        except Exception as error:  # whatever the runner has for it
            self._error = _translated(error)
        finally:
            self._ended.set()

    def _run_pipeline(self) -> None:
        self._pipeline = beam.Pipeline(options=self._options)
        _ = self._pipeline | beam.Create(self._shards) | beam.Reshuffle() | beam.ParDo(WorkOnShard(self._job))
        try:
            self._result = self._pipeline.run()
            outcome = self._result.wait_until_finish()
            if outcome not in (None, PipelineState.DONE):
                raise FmtcError(f"--beam: the pipeline ended as {outcome}; the runner's log has the reason")
        finally:
            client = getattr(self._result, "client", None)  # Dask's, which else complains at the end of the process
            if client is not None:
                client.close()

    def wait(self, seconds: float) -> bool:
        """Whether it is finished, after so many seconds at most. Raises FmtcError if it failed."""
        ended = self._ended.wait(seconds)
        if self._error is not None:
            raise self._error
        return ended

    def cancel(self) -> None:
        """Stops it, and ends the worker processes that it has on this machine."""
        if self._ended.is_set():
            return
        if self._result is not None:
            with suppress(Exception):  # not every runner can
                self._result.cancel()
        until = time.monotonic() + _LOOK_SECONDS
        with _silence():
            while not self._ended.is_set() and time.monotonic() < until:
                # It may be starting some just now, and removes temporary files.
                for process in descendants(os.getpid()) - self._others:
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                self._ended.wait(0.1)
        if self._pipeline is not None:  # whose folder is removed only when it ends by itself
            shutil.rmtree(self._pipeline.local_tempdir, ignore_errors=True)


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps to itself what a runner's threads say and raise when their workers are gone."""
    before, threading.excepthook = threading.excepthook, lambda _: None
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        threading.excepthook = before


def descendants(process: int) -> set[int]:
    """All processes that a process and its children have started and that are still at work."""
    found: set[int] = set()
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found |= {child} | descendants(child)
    return found


def _pipeline_options(arguments: Sequence[str], num_shards: int) -> Any:
    """Beam's options object.

    Raises:
      UsageError: an option that Beam does not know (other runners than the local one may have more).
    """
    if any(argument == f"--runner={name}" for argument in arguments for name in _DASK_NAMES):
        _load_dask()
        if not any(argument.startswith(("--dask_npartitions", "--dask_partition_size")) for argument in arguments):
            # One shard each: the runner's own partitions would leave nearly all to one worker.
            arguments = [*arguments, f"--dask_npartitions={num_shards}"]
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            options = PipelineOptions(list(arguments))
            every = options.get_all_options(retain_unknown_options=True)
    except SystemExit as error:  # argparse's way
        reason = complaint.getvalue().strip().rpartition("error: ")[2]
        raise UsageError(f"--beam: Beam does not take '{' '.join(arguments)}': {reason}") from error
    unknown = every.keys() - options.get_all_options().keys()
    standard = options.view_as(StandardOptions)
    if standard.runner in (None, *_LOCAL_NAMES):
        standard.runner = _LOCAL_RUNNER
    if standard.runner in _DASK_NAMES:
        standard.runner = _DASK_RUNNER
    if unknown and standard.runner in (_LOCAL_RUNNER, _DASK_RUNNER):
        raise UsageError(f"--beam: Beam knows no option {', '.join(sorted(f'--{name}' for name in unknown))}")
    return options


def _load_dask() -> None:
    """Makes Beam know the runner's options, which it else throws away."""
    try:
        importlib.import_module("dask.distributed")
        importlib.import_module("apache_beam.runners.dask.dask_runner")
    except ImportError as error:
        raise UsageError(
            f"--beam: Dask's runner does not load ({error}); run `pip install 'apache-beam[dask]'`"
        ) from error


def _is_local(options: Any) -> bool:
    """Whether workers are processes of this machine, which are ended with this one."""
    runner, every = options.view_as(StandardOptions).runner, options.get_all_options()
    has_scheduler = every.get("address") or every.get("scheduler_file")
    return runner == _LOCAL_RUNNER or (runner == _DASK_RUNNER and not has_scheduler)


@contextmanager
def _shared_folder(options: Any, name: str) -> Iterator[JobFolder]:
    """A folder that the workers and this machine can write and read.

    One in --temp_location is gone when all is done, and stays for the same command if it is not.
    """
    shared = options.view_as(GoogleCloudOptions).temp_location
    FileSystems.set_options(options)
    if shared is None:
        if not _is_local(options):
            raise UsageError(
                f"--beam: --runner={options.view_as(StandardOptions).runner} needs --temp_location as well: a folder "
                "(local, gs://, hdfs://) that the workers and this machine share, for models and results"
            )
        with TemporaryDirectory() as local:
            yield JobFolder(local)
        return
    folder = JobFolder(FileSystems.join(shared, name))
    folder.make()
    files.keeps(Path(folder.path))
    try:
        yield folder
    except BaseException:
        if _is_local(options):  # others may be at work still
            folder.remove_unfinished()
        raise
    folder.remove()


def _translated(error: Exception) -> FmtcError:
    """What happened in a worker, as this package's own error if it was one."""
    if isinstance(error, FmtcError):
        found = [(type(error).__name__, str(error).partition(" [while running")[0])]
    else:
        found = _ERROR_IN_WORKER.findall(str(error))
    if not found:
        lines = str(error).strip().splitlines() or [""]
        return FmtcError(f"--beam: the pipeline failed ({type(error).__name__}: {lines[-1]})")
    kind, message = found[-1]
    return getattr(errors, kind, FmtcError)(message)
