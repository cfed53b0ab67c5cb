"""Calibration and evaluation as Apache Beam pipelines, for data that outgrow one machine.

What runs is the very work of fmtc-convert and fmtc-eval, shard by shard, with their statistics and metrics; Beam's
runner (processes of this machine, Flink, Spark, Dataflow) says where. Sums are integers, floating-point ones are kept
per sample or added exactly, so results equal those of one process whatever the shards and the order of merging.

Each worker opens the data itself, by the same path, and refuses to work where it sees other data, another runtime or
another version of this package than the machine that started the pipeline.
"""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fmtc_tflite import __version__, errors
from fmtc_tflite.blas import one_blas_thread
from fmtc_tflite.calibration import kept_statistics, passes
from fmtc_tflite.calibration.sensitivity import SensitivityMeter, SensitivityStatistics
from fmtc_tflite.calibration.statistics import CovarianceStatistics, State, ValueStatistics
from fmtc_tflite.calibration.store import CalibrationStore, calibration_identity, tensor_key
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.data.opening import open_calibration_data
from fmtc_tflite.data.tfds_reader import TFDS_PREFIX
from fmtc_tflite.errors import FmtcError, UsageError
from fmtc_tflite.evaluation.evaluation import Evaluation, Timing
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.sites import Site, find_sites
from fmtc_tflite.sharding.partial_results import describe_changes
from fmtc_tflite.types import ConvertOptions, EvaluateOptions

logging.disable(logging.WARNING)  # it warns at each import where Google's clients are not installed
try:
    import apache_beam as beam
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
    from apache_beam.runners.runner import PipelineState
except ImportError as error:
    raise UsageError(f"--beam: Apache Beam does not load ({error}); run `pip install 'apache-beam>=2.60'`") from error
finally:
    logging.disable(logging.NOTSET)

# Beam's DirectRunner first tries Prism, a program that it downloads and that knows no --direct_num_workers.
_LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_LOCAL_NAMES = ("DirectRunner", "direct", _LOCAL_RUNNER)
_SHARD_SAMPLES, _GRADIENT_SHARD_SAMPLES = 64, 8  # results do not depend on them
_ERROR_IN_WORKER = re.compile(r"fmtc_tflite\.errors\.(\w+): (.+?)(?: \[while running|\\n|$)", re.MULTILINE)

Statistics = ValueStatistics | CovarianceStatistics | SensitivityStatistics
Key = tuple[str, str]  # a stage, and the key of a tensor
Shard = tuple[str, int, int]  # a stage, the first of its samples and the end


@dataclass(frozen=True)
class CalibrationJob:
    """What a worker needs for calibration; can be pickled.

    Attributes:
      content: the model.
      options: those of the conversion, with a path of the data that workers see.
      identity: of the calibration, as the machine sees it that starts the pipeline.
      wanted: what is measured of which tensors.
    """

    content: bytes
    options: ConvertOptions
    identity: Mapping[str, Any]
    wanted: frozenset[Key]


class MeasureShard(beam.DoFn):
    """From shards of the calibration samples to ((stage, tensor), statistics)."""

    def __init__(self, job: CalibrationJob) -> None:
        self._job = job

    def setup(self) -> None:
        """Opens model and data; raises UsageError where they are not what they should be."""
        job = self._job
        self._file = ModelFile.parse(job.content)
        self._samples, _ = open_calibration_data(self._file.model, job.options.calibration)
        _check_worker(job.identity, _calibration_identity(job.content, job.options, self._samples))
        self._sites = {tensor_key(self._file.model, site.tensor): site for site in find_sites(self._file.model)}

    def process(self, shard: Shard) -> Iterator[tuple[Key, Statistics]]:
        """Measures one shard."""
        stage, first, end = shard
        measure = self._sensitivities if stage == kept_statistics.SENSITIVITIES else self._values
        with one_blas_thread():
            yield from measure(first, end)

    def _values(self, first: int, end: int) -> Iterator[tuple[Key, Statistics]]:
        wanted = self._job.wanted
        keys = [
            key for key in self._sites if {(kept_statistics.VALUES, key), (kept_statistics.COVARIANCES, key)} & wanted
        ]
        found = passes.value_statistics(
            self._file,
            [self._sites[key] for key in keys],
            self._samples.subset(np.arange(first, end)),
            [(kept_statistics.COVARIANCES, key) in wanted for key in keys],
            self._job.options.num_threads,
        )
        for key, (values, covariance) in zip(keys, found, strict=True):
            yield (kept_statistics.VALUES, key), values
            if covariance is not None:
                yield (kept_statistics.COVARIANCES, key), covariance

    def _sensitivities(self, first: int, end: int) -> Iterator[tuple[Key, Statistics]]:
        options = self._job.options
        keys = [key for key in self._sites if (kept_statistics.SENSITIVITIES, key) in self._job.wanted]
        meter = SensitivityMeter(
            self._file,
            [self._sites[key] for key in keys],
            options.output_kind,
            options.calibration.seed,
            options.num_threads,
        )
        chosen = kept_statistics.gradient_samples(self._file.model, self._samples).subset(np.arange(first, end))
        for position, sample in enumerate(chosen, first):
            meter.add(position, sample)
        for key, sums in zip(keys, meter.sums, strict=True):
            yield (kept_statistics.SENSITIVITIES, key), sums


class MergeStatistics(beam.CombineFn):
    """Merges statistics of one tensor; in any order to the same result."""

    def create_accumulator(self) -> Statistics | None:
        return None

    def add_input(self, total: Statistics | None, statistics: Statistics) -> Statistics:
        if total is None:
            return copy.deepcopy(statistics)  # inputs belong to Beam
        total.merge(statistics)  # type: ignore[arg-type]  # one key has statistics of one kind
        return total

    def merge_accumulators(self, totals: Iterable[Statistics | None]) -> Statistics | None:
        result = None
        for total in totals:
            result = result if total is None else self.add_input(result, total)
        return result

    def extract_output(self, total: Statistics | None) -> Statistics | None:
        return total


class RunShard(beam.DoFn):
    """From numbers of an evaluation's shards to (number, results)."""

    def __init__(self, contents: Sequence[bytes], options: EvaluateOptions, identity: Mapping[str, Any]) -> None:
        self._contents, self._options, self._identity = tuple(contents), options, identity

    def setup(self) -> None:
        """Opens models and data; raises UsageError where they are not what they should be."""
        reference = self._contents[1] if len(self._contents) > 1 else None
        evaluation = Evaluation(self._contents[0], reference, self._options)
        _check_worker(self._identity, _evaluation_identity(evaluation))
        self._run = evaluation.shard_work()()

    def process(self, shard: int) -> Iterator[tuple[int, State]]:
        """Runs one shard."""
        with one_blas_thread():
            yield shard, self._run(shard)


class CollectShards(beam.CombineFn):
    """Brings the results of an evaluation's shards together, by their numbers."""

    def create_accumulator(self) -> dict[int, State]:
        return {}

    def add_input(self, collected: dict[int, State], result: tuple[int, State]) -> dict[int, State]:
        collected[result[0]] = result[1]
        return collected

    def merge_accumulators(self, parts: Iterable[dict[int, State]]) -> dict[int, State]:
        return {shard: state for part in parts for shard, state in part.items()}

    def extract_output(self, collected: dict[int, State]) -> dict[int, State]:
        return collected


def calibrate(
    store: CalibrationStore,
    file: ModelFile,
    sites: Sequence[Site],
    samples: Dataset,
    with_covariance: Sequence[bool],
    options: ConvertOptions,
) -> None:
    """Measures on Beam's workers what `kept_statistics` will look for in the store.

    Args:
      samples: those to build from.
      options: `calibration.beam` has the pipeline's options.

    Raises:
      UsageError: options that Beam does not take; workers that see something else than this machine.
      FmtcError: the pipeline failed.
    """
    calibration, chosen = options.calibration, kept_statistics.gradient_samples(file.model, samples)
    missing: dict[Key, tuple[Site, dict[str, Any]]] = {}
    for site, covariance in zip(sites, with_covariance, strict=True):
        wanted = {kept_statistics.VALUES: kept_statistics.site_parameters(file.model, site, samples)}
        if covariance:
            wanted[kept_statistics.COVARIANCES] = wanted[kept_statistics.VALUES]
        kind, seed = options.output_kind, calibration.seed
        wanted[kept_statistics.SENSITIVITIES] = kept_statistics.sensitivity_parameters(
            file.model, site, chosen, kind, seed
        )
        for stage, parameters in wanted.items():
            if store.get(stage, parameters) is None:
                missing[stage, tensor_key(file.model, site.tensor)] = (site, parameters)
    seen_by_workers = replace(
        options, calibration=replace(calibration, data=_absolute(calibration.data), store=None, beam=None)
    )
    identity = _calibration_identity(file.content, seen_by_workers, samples)
    job = CalibrationJob(file.content, seen_by_workers, identity, frozenset(missing))
    measure = beam.ParDo(MeasureShard(job)) | beam.CombinePerKey(MergeStatistics()) | beam.Map(_with_state)
    found = _run(measure, _calibration_shards(missing, len(samples), len(chosen)), list(missing), calibration.beam)
    for (stage, key), (site, parameters) in missing.items():
        state = found[stage, key]
        if stage == kept_statistics.SENSITIVITIES:
            sums = SensitivityStatistics(site.tensor.shape[3])
            sums.add_state(state)
            state = dict(kept_statistics.sensitivity_arrays(sums.result()))
        store.put(stage, parameters, state)


def evaluate(evaluation: Evaluation) -> Timing:
    """`evaluation.run` on Beam's workers; `evaluation.options.beam` has the pipeline's options.

    Raises:
      UsageError: options that Beam does not take; workers that see something else than this machine.
      FmtcError: the pipeline failed.
    """
    options = replace(evaluation.options, data=_absolute(evaluation.options.data), beam=None)
    num_shards, key = evaluation.shard_work().num_shards, ("evaluation", "")
    work = (
        beam.ParDo(RunShard(evaluation.contents, options, _evaluation_identity(evaluation)))
        | beam.CombineGlobally(CollectShards())
        | beam.Map(lambda states: (key, {f"{i}/{k}": v for i, state in states.items() for k, v in state.items()}))
    )
    start = time.monotonic()
    found = _run(work, range(num_shards), [key], evaluation.options.beam)[key]
    seconds = time.monotonic() - start
    states: list[State] = [{} for _ in range(num_shards)]
    for name, values in found.items():
        shard, _, part = name.partition("/")
        states[int(shard)][part] = values
    return evaluation.finish(states, seconds, len(evaluation.dataset))


def _calibration_shards(keys: Iterable[Key], num_samples: int, num_gradient_samples: int) -> list[Shard]:
    """Only the passes that something is missing of."""
    missing = {stage for stage, _ in keys}
    shards: list[Shard] = []
    if missing & {kept_statistics.VALUES, kept_statistics.COVARIANCES}:
        shards += [(kept_statistics.VALUES, *ends) for ends in _cut(num_samples, _SHARD_SAMPLES)]
    if kept_statistics.SENSITIVITIES in missing:
        shards += [
            (kept_statistics.SENSITIVITIES, *ends) for ends in _cut(num_gradient_samples, _GRADIENT_SHARD_SAMPLES)
        ]
    return shards


def _cut(count: int, size: int) -> list[tuple[int, int]]:
    return [(first, min(first + size, count)) for first in range(0, count, size)]


def _with_state(result: tuple[Key, Statistics]) -> tuple[Key, State]:
    return result[0], result[1].state()


def _absolute(data: str | Path | None) -> Any:
    """A path that does not depend on the working directory."""
    return data if data is None or str(data).startswith(TFDS_PREFIX) else Path(data).resolve()


# --- identities: what must be the same here and there -----------------------------------------------------------------


def _calibration_identity(content: bytes, options: ConvertOptions, samples: Dataset) -> dict[str, Any]:
    identity = calibration_identity(content, options.calibration, samples)
    return {"fmtc-tflite": __version__, "samples": samples.selection(), **identity}


def _evaluation_identity(evaluation: Evaluation) -> dict[str, Any]:
    return {"fmtc-tflite": __version__, **evaluation.identity()}


def _check_worker(here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    """Raises UsageError where a worker (`there`) would not give what the machine that started the pipeline would."""
    if dict(here) != dict(there):
        raise UsageError(
            f"--beam: a worker differs from the machine that started it: {describe_changes(here, there)}; install the "
            f"same packages (fmtc-tflite=={__version__}) on all, and let all see the same data by the same path"
        )


# --- running ----------------------------------------------------------------------------------------------------------


def _run(
    transform: beam.PTransform, shards: Sequence[Any], keys: Sequence[Key], arguments: Sequence[str] | None
) -> dict[Key, State]:
    """Runs a pipeline from shards to (key, state) and brings the states here, through files in a shared folder."""
    if not shards:
        return {}
    options = _pipeline_options(arguments or ())
    try:
        with _shared_folder(options) as folder:
            pipeline = beam.Pipeline(options=options)
            results = pipeline | beam.Create(shards) | beam.Reshuffle() | transform
            _ = results | beam.Map(_write_state, folder)
            start, running = time.monotonic(), pipeline.run()
            try:
                outcome = running.wait_until_finish()
            except KeyboardInterrupt:
                with suppress(Exception):  # not every runner can
                    running.cancel()
                raise
            logging.info("--beam: the pipeline of %d shards took %.1f s", len(shards), time.monotonic() - start)
            if outcome not in (None, PipelineState.DONE):
                raise FmtcError(f"--beam: the pipeline ended as {outcome}; the runner's log has the reason")
            return {key: _read_state(folder, key) for key in keys}
    except Exception as error:  # whatever the runner has for it
        raise _translated(error) from error


def _pipeline_options(arguments: Sequence[str]) -> Any:
    """Beam's options object.

    Raises:
      UsageError: an option that Beam does not know (other runners than the local one may have more).
    """
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
        if unknown:
            raise UsageError(f"--beam: Beam knows no option {', '.join(sorted(f'--{name}' for name in unknown))}")
    return options


@contextmanager
def _shared_folder(options: Any) -> Iterator[str]:
    """A folder that the workers and this machine can write and read, gone in the end."""
    shared = options.view_as(GoogleCloudOptions).temp_location
    runner = options.view_as(StandardOptions).runner
    if shared is None:
        if runner != _LOCAL_RUNNER:
            raise UsageError(
                f"--beam: --runner={runner} needs --temp_location as well: a folder (local, gs://, hdfs://) that the "
                "workers and this machine share, for the results"
            )
        with TemporaryDirectory() as local:
            yield local
        return
    folder = FileSystems.join(shared, f"fmtc-{uuid.uuid4().hex}")
    FileSystems.mkdirs(folder)
    try:
        yield folder
    finally:
        for path in (f"{folder}/", folder):  # the files; then the folder, where the file system has such
            with suppress(BeamIOError):
                FileSystems.delete([path])


def _place(folder: str, key: Key) -> str:
    return FileSystems.join(folder, hashlib.sha256(repr(key).encode()).hexdigest() + ".npz")


def _write_state(result: tuple[Key, State], folder: str) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **result[1])  # type: ignore[arg-type]
    with FileSystems.create(_place(folder, result[0])) as file:
        file.write(buffer.getvalue())


def _read_state(folder: str, key: Key) -> State:
    try:
        with FileSystems.open(_place(folder, key)) as file, np.load(io.BytesIO(file.read())) as archive:
            return dict(archive)
    except (OSError, ValueError, BeamIOError) as error:
        raise FmtcError(f"--beam: {folder} has no results of the workers ({error}); do all share it?") from error


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
