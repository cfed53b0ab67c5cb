"""Measures on this machine what calibration and evaluation with --beam bring and cost, beside one process.

Usage:
  python tools/bench_scale_out.py MODEL.tflite --data IMAGES --preprocessing tf --json scale_out.json
  python tools/bench_scale_out.py MODEL.tflite --data IMAGES --engines dask --workers 2 --samples 1000,2000
  python tools/bench_scale_out.py MODEL.tflite --rows 1281167          only the list of so many images

Runs: every combination of work, engine, workers and number of samples (a CSV of the images of --data, again and again)
takes its turn, --rounds times, in processes and a Dask cluster of its own. Work is calibration, which is what
fmtc-convert measures on workers (statistics of all feature maps, and sensitivities), or evaluation of the model, as by
fmtc-eval. Engines are alone (one process, no Beam), dask (a scheduler, and worker processes of one thread) and
processes (Beam's local ones). The table has images a second with the start, which is imports and opening models, of the
most samples, and without it, by the differences from the fewest. So is the processor time of all processes together.
Memory is the peak of what is resident in the largest process beside the one that starts, a worker, and in that one.

Shards: one process measures samples as one shard of a calibration, writes its result, reads it and adds it up, as
workers and the starting process do. The projection takes the last one of --shards.

List: with --rows, a CSV of so many lines is made, of links to a file, in a temporary folder (TMPDIR). The starting
process opens it, looks sizes up and writes the lists of all shards, as for a calibration; a worker reads one of them.

Projection: what a calibration with --rows images would cost by all these figures, each step shown.

Linux only; needs the extra beam or dask, and for figures that hold a machine that does nothing else. Exit codes as
those of fmtc-convert.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from PIL import Image

from fmtc_tflite import CalibrationOptions, ConvertOptions, EvaluateOptions, api
from fmtc_tflite.blas import one_blas_thread
from fmtc_tflite.calibration import kept_statistics
from fmtc_tflite.calibration.kept_statistics import COVARIANCES, VALUES
from fmtc_tflite.calibration.store import CalibrationStore, tensor_key
from fmtc_tflite.cli import common, data_flags
from fmtc_tflite.conversion.source import Source, open_model
from fmtc_tflite.data.opening import open_calibration_data, open_data
from fmtc_tflite.errors import UsageError
from fmtc_tflite.files import check_writable, write_all
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.progress import progress

try:
    from watched_processes import dask_cluster, in_process, peak_bytes

    from fmtc_tflite.beam import calibrate
    from fmtc_tflite.beam.calibration import CalibrationWork, add, empty
    from fmtc_tflite.beam.job_folder import JobFolder
    from fmtc_tflite.beam.running import prepare
    from fmtc_tflite.beam.shards import COUNT, Shard, check_files, cut
except UsageError as missing:  # the extra
    print(f"error: {missing}", file=sys.stderr)
    sys.exit(2)

ALONE, DASK, PROCESSES = "alone", "dask", "processes"
CALIBRATION, EVALUATION = "calibration", "evaluation"
_LINKS = 1000  # of one file; file systems bound them
_MB, _GB = 1e6, 1e9

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Images, as of fmtc-convert, of which the runs' samples are made; none: no runs.")
data_flags.define()
flags.DEFINE_multi_enum("work", [CALIBRATION, EVALUATION], [CALIBRATION, EVALUATION], "What is done with the samples.")
flags.DEFINE_multi_enum("engines", [ALONE, DASK, PROCESSES], [ALONE, DASK, PROCESSES], "Who does it; repeatable.")
flags.DEFINE_list("workers", ["1", "2"], "Numbers of workers of dask and processes.")
flags.DEFINE_list("samples", ["64", "448"], "Numbers of samples, two at least.")
flags.DEFINE_list("shards", ["64"], "Numbers of samples of the shards that one process measures; empty for none.")
flags.DEFINE_integer("rounds", 1, "Times that each run takes its turn; tables have medians.", lower_bound=1)
flags.DEFINE_integer("rows", 0, "Lines of a CSV that is opened and divided; ImageNet has 1281167.", lower_bound=0)
flags.DEFINE_integer("num_samples", 0, "Of --data, use at most so many images; 0 for all.", lower_bound=0)
flags.DEFINE_integer("seed", 0, "Seed of all random choices.")
flags.DEFINE_string(
    "json", None, "File for the JSON document; - is stdout, in the place of the Markdown tables.", short_name="o"
)
flags.DEFINE_bool("overwrite", False, "Replace an existing JSON file.")


@dataclass(frozen=True)
class Run:
    """What is done, by whom, with how many samples."""

    work: str
    engine: str
    workers: int
    samples: int


@dataclass(frozen=True)
class Task:
    """What processes are told. Attributes: folder: for temporary files; values: what the data flags say."""

    model: str
    folder: str
    values: Mapping[str, Any]

    def content(self) -> bytes:
        """The model's bytes."""
        return Path(self.model).read_bytes()

    def csv(self, samples: int) -> Path:
        """The list of so many samples."""
        return Path(self.folder) / f"samples_{samples}.csv"

    def data(self, samples: int) -> dict[str, Any]:
        """The data flags' values, for all of that list."""
        return {**self.values, "data": self.csv(samples), "num_samples": None}


# --- what runs in processes of its own --------------------------------------------------------------------------------


def timed_run(task: Task, run: Run, beam: tuple[str, ...] | None) -> float:
    """Seconds of a run."""
    start = time.perf_counter()
    if run.work == EVALUATION:
        api.evaluate(task.model, options=EvaluateOptions(**task.data(run.samples), num_threads=1, beam=beam))
    else:
        with one_blas_thread():  # as fmtc-convert
            _calibrate(task, run.samples, beam)
    return time.perf_counter() - start


def _calibrate(task: Task, samples: int, beam: tuple[str, ...] | None) -> None:
    source, sites, covariances = _opened(task, samples)
    options, store = source.options, CalibrationStore(None, {})
    data = open_data(source.file.model, options.calibration)  # all are measured, none held back
    if beam is not None:
        wanted = replace(options, calibration=replace(options.calibration, beam=beam))
        calibrate(store, source.file, sites, data, covariances, wanted)
        return
    kept_statistics.value_statistics(store, source.file, sites, data, covariances, 1)
    chosen, seed = kept_statistics.gradient_samples(source.file.model, data), options.calibration.seed
    kept_statistics.sensitivities(store, source.file, sites, chosen, options.output_kind, seed, 1)


def _opened(task: Task, samples: int) -> tuple[Source, list[Site], list[bool]]:
    """A model as fmtc-convert opens it, the maps that it would measure, and of which it wants covariances."""
    options = ConvertOptions(CalibrationOptions(**task.data(samples)), num_threads=1, execution="ops")
    source = open_model(task.content(), options).sources[0]
    maps = [m for m in source.maps if m.is_lossy]
    return source, [m.site for m in maps], [m.needs_covariance(options) for m in maps]


def one_shard(task: Task, samples: int) -> dict[str, float]:
    """Seconds and bytes of a calibration's shard."""
    source, sites, covariances = _opened(task, samples)
    model, calibration = source.file.model, source.options.calibration
    wanted = {(VALUES, tensor_key(model, site.tensor)): site for site in sites}
    some = [site for site, covariance in zip(sites, covariances, strict=True) if covariance]
    wanted |= {(COVARIANCES, tensor_key(model, site.tensor)): site for site in some}
    work = CalibrationWork(frozenset(wanted), source.options.output_kind, calibration.seed, 1)
    with one_blas_thread():  # as workers
        state = work.open((task.content(),))(Shard.of(VALUES, (open_data(model, calibration),), 0, samples))
    with tempfile.TemporaryDirectory(dir=task.folder) as path:
        folder, start = JobFolder(path), time.perf_counter()
        size = folder.put_result(0, {**state, COUNT: np.array(samples)})
        written = time.perf_counter()
        add({key: empty(key[0], site) for key, site in wanted.items()}, folder.result(0))
        added = time.perf_counter()
    held = sum(values.nbytes for values in state.values())
    return {
        "samples": samples,
        "held_bytes": held,
        "written_bytes": size,
        "write_seconds": written - start,
        "add_seconds": added - written,
    }


def divide(task: Task, rows: int) -> dict[str, float]:
    """What the starting process does with the list of all samples: seconds, bytes, memory."""
    before, start = peak_bytes(os.getpid()), time.perf_counter()
    build, _ = open_calibration_data(load_model(task.content()), CalibrationOptions(**task.data(rows)))
    read = time.perf_counter()
    build.fingerprint()
    known = time.perf_counter()
    folder, ends = JobFolder(f"{task.folder}/job"), cut(len(build))
    folder.make()
    prepare(folder, [(VALUES, (build,), *each) for each in ends])
    return {
        "rows": rows,
        "measured": len(build),
        "shards": len(ends),
        "shard_samples": ends[0][1],
        "read_seconds": read - start,
        "stat_seconds": known - read,
        "write_seconds": time.perf_counter() - known,
        "list_bytes": sum(path.stat().st_size for path in Path(folder.path).iterdir()),
        "peak_bytes": peak_bytes(os.getpid()),
        "before_bytes": before,
    }


def read_list(task: Task) -> dict[str, float]:
    """What a worker does with the list of its shard: seconds, and bytes that its peak grows by."""
    before, start = peak_bytes(os.getpid()), time.perf_counter()
    check_files(JobFolder(f"{task.folder}/job").shard(0))
    return {"worker_seconds": time.perf_counter() - start, "worker_bytes": peak_bytes(os.getpid()) - before}


# --- the benchmark ----------------------------------------------------------------------------------------------------


def measure_run(task: Task, run: Run) -> dict[str, Any]:
    """One run's figures."""
    shared = f"--temp_location={task.folder}/shared"
    if run.engine == DASK:
        with dask_cluster(task.folder, run.workers) as (address, processes):
            beam = ("--runner=DaskRunner", f"--dask_client_address={address}", shared)
            seconds, used = in_process(timed_run, task, run, beam, others=processes)
    else:
        local = ("--direct_running_mode=multi_processing", f"--direct_num_workers={run.workers}", shared)
        seconds, used = in_process(timed_run, task, run, None if run.engine == ALONE else local)
    return {**asdict(run), "seconds": seconds, **used}


def rates(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each work, engine and number of workers: medians over rounds, and what differs with the number of samples."""
    found = []
    for key in dict.fromkeys((run["work"], run["engine"], run["workers"]) for run in runs):
        own = [run for run in runs if (run["work"], run["engine"], run["workers"]) == key]
        counts = sorted({run["samples"] for run in own})

        def middle(name: str, samples: int, own: Sequence[Mapping[str, Any]] = own) -> float:
            return statistics.median(run[name] for run in own if run["samples"] == samples)

        few, many = counts[0], counts[-1]
        more, seconds = many - few, middle("seconds", many)
        found.append(
            {
                **dict(zip(("work", "engine", "workers"), key, strict=True)),
                "samples": many,
                "samples_per_second": many / seconds,
                "without_start_per_second": more / (seconds - middle("seconds", few)),
                "cpu_ms_per_sample": 1e3 * (middle("cpu_seconds", many) - middle("cpu_seconds", few)) / more,
                "worker_peak_bytes": {count: middle("worker_peak_bytes", count) for count in counts},
                "start_peak_bytes": middle("start_peak_bytes", many),
            }
        )
    return found


def projection(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a calibration with as many images as the list has would cost; None if something was not measured."""
    engines = [rate for rate in document["rates"] if rate["work"] == CALIBRATION]
    rate = max(engines, key=lambda each: (each["engine"] != ALONE, each["workers"]), default=None)
    listed, shard = document["list"], next(iter(document["shards"][-1:]), None)
    if rate is None or listed is None or shard is None:
        return None
    measured, shards, per_sample = listed["measured"], listed["shards"], rate["cpu_ms_per_sample"]
    hours, size = measured * per_sample / 3.6e6, shards * shard["written_bytes"]
    write, add_up = shard["write_seconds"], shard["add_seconds"]
    once = (listed["read_seconds"], listed["stat_seconds"], listed["write_seconds"])
    who = f"{rate['engine']}, {rate['workers']} workers"
    steps = (
        f"{listed['rows']:,} images: {measured:,} are measured, the others held back",
        f"{measured:,} x {per_sample:.1f} ms ({who}) = {hours:.1f} core-hours",
        f"{shards} shards of {listed['shard_samples']:,} images; a worker holds {_mb(shard['held_bytes'])} of sums",
        f"{shards} x {_mb(shard['written_bytes'])} = {size / _GB:.1f} GB written",
        f"{shards} x {write:.2f} s = {shards * write / 60:.1f} core-minutes to write them",
        f"{shards} x {add_up:.2f} s = {shards * add_up / 60:.1f} minutes to read and add them, where it was started",
        f"{' + '.join(f'{each:.1f}' for each in once)} = {sum(once):.1f} s to list and divide the data, there",
    )
    return {"core_hours": hours, "written_bytes": size, "steps": steps}


def _table(document: Mapping[str, Any]) -> str:
    lines = [*_rate_lines(document["rates"]), *map(_shard_line, document["shards"])]
    if document["list"] is not None:
        lines.append(_list_line(document["list"]))
    if document["projection"] is not None:
        lines += document["projection"]["steps"]
    return "\n".join(lines)


def _rate_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    if not found:
        return []
    names = ("work", "engine", "workers", "images/s", "without start", "CPU ms an image", "worker, MB", "start, MB")
    rows = [names, ("---",) * len(names)]
    for rate in found:
        peaks = ", ".join(f"{peak / _MB:.0f} ({count})" for count, peak in rate["worker_peak_bytes"].items() if peak)
        rows.append(
            (
                *(rate["work"], rate["engine"], str(rate["workers"])),
                f"{rate['samples_per_second']:.1f} ({rate['samples']})",
                *(f"{rate[name]:.1f}" for name in ("without_start_per_second", "cpu_ms_per_sample")),
                *(peaks, f"{rate['start_peak_bytes'] / _MB:.0f}"),
            )
        )
    return [f"| {' | '.join(row)} |" for row in rows]


def _shard_line(shard: Mapping[str, Any]) -> str:
    return (
        f"shard of {shard['samples']}: {_mb(shard['held_bytes'])} of sums; {_mb(shard['written_bytes'])} written in "
        f"{shard['write_seconds']:.2f} s, read and added in {shard['add_seconds']:.2f} s"
    )


def _list_line(found: Mapping[str, Any]) -> str:
    return (
        f"list of {found['rows']:,}: read in {found['read_seconds']:.1f} s, sizes in {found['stat_seconds']:.1f} s, "
        f"{found['shards']} lists ({_mb(found['list_bytes'])}) written in {found['write_seconds']:.1f} s, peak "
        f"{_mb(found['peak_bytes'])} ({_mb(found['before_bytes'])} before); a worker takes "
        f"{found['worker_seconds']:.2f} s and {_mb(found['worker_bytes'])} for its own"
    )


def _mb(count: float) -> str:
    return f"{count / _MB:.1f} MB"


def _write_lists(task: Task, counts: Iterable[int]) -> None:
    """CSVs of so many samples, of the images that there are."""
    options = CalibrationOptions(data=Path(FLAGS.data), **task.values)
    images = open_data(load_model(task.content()), options)
    names = [os.path.abspath(images.name(position)) for position in range(len(images))]
    for count in counts:
        task.csv(count).write_text("file\n" + "".join(f"{name}\n" for name in islice(cycle(names), count)))


def _write_rows(task: Task, rows: int) -> None:
    """A CSV of so many files, all of which are there, in folders as those of ImageNet."""
    with task.csv(rows).open("w") as file:
        file.write("file,label\n")
        for row in range(rows):
            label, place = divmod(row, _LINKS)
            folder = Path(task.folder) / f"n{label:08}"
            name = f"{folder.name}/{folder.name}_{place}.JPEG"
            if place == 0:
                folder.mkdir()
                Image.new("RGB", (8 + label % 8, 8)).save(Path(task.folder) / name, "PNG")
            else:
                os.link(f"{folder}/{folder.name}_0.JPEG", f"{task.folder}/{name}")
            file.write(f"{name},{label}\n")


def _numbers(flag: str, least: int) -> list[int]:
    values = FLAGS[flag].value
    if not all(value.isdigit() and int(value) >= least for value in values):
        example = ",".join(FLAGS[flag].default)
        raise UsageError(f"--{flag} {','.join(values)}: expected numbers from {least} on, such as {example}")
    return list(dict.fromkeys(map(int, values)))


def _plan(samples: Sequence[int]) -> list[Run]:
    workers = _numbers("workers", 1)
    who = [(e, n) for e in dict.fromkeys(FLAGS.engines) for n in (workers if e != ALONE else [1])]
    every = [Run(work, *each, count) for work in dict.fromkeys(FLAGS.work) for each in who for count in samples]
    return every * FLAGS.rounds


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if len(arguments) != 1:
        raise UsageError(f"expected one model, got {', '.join(arguments) or 'none'}; see --help")
    json_file, samples, sizes = common.json_file(), _numbers("samples", 2), _numbers("shards", 2)
    plan = _plan(samples)
    if FLAGS.data is None and not FLAGS.rows:
        raise UsageError("nothing to measure; give --data or --rows")
    if len(samples) < 2:
        raise UsageError(
            f"--samples {','.join(FLAGS.samples)}: expected two numbers at least, since what counts is the difference"
        )
    if json_file is not None:
        check_writable([Path(json_file)], FLAGS.overwrite)
    document: dict[str, Any] = {"model": Path(arguments[0]).name, "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as folder:
        task = Task(os.path.abspath(arguments[0]), folder, data_flags.values())
        runs, shards = list[Any](), list[Any]()
        if FLAGS.data is not None:
            _write_lists(task, {*samples, *sizes})
            runs = [measure_run(task, run) for run in progress(plan, "runs")]
            shards = [in_process(one_shard, task, count)[0] for count in progress(sizes, "shards")]
        listed = None
        if FLAGS.rows:
            _write_rows(task, FLAGS.rows)
            listed = {**in_process(divide, task, FLAGS.rows)[0], **in_process(read_list, task)[0]}
    document |= {"runs": runs, "rates": rates(runs), "shards": shards, "list": listed}
    document["projection"] = projection(document)
    if json_file is not None:
        write_all([(Path(json_file), json.dumps(document, indent=1).encode() + b"\n")], FLAGS.overwrite)
    common.show_document(document, _table, [json_file])


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
