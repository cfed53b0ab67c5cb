"""Times whole models: the original beside converted ones, in all combinations that matter.

Usage:
  python tools/bench_latency.py MODEL.tflite [--calibration_data FOLDER]      codes the model's maps itself
  python tools/bench_latency.py MODEL.tflite --converted lossless=A.tflite,default=B.tflite

Every combination of model, kernels (XNNPACK, which applications get by default, or the runtime's built-in ones), number
of threads and instructions of our ops takes turns: --turns times, after one invocation that warms up. Tables and JSON
have medians, the spread (the middle half of the times, as a share of the median), ratios to the original under the same
kernels and threads, and the time to load a model and allocate its tensors. Needs the installed package. Exit codes as
those of fmtc-convert.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

import fmtc_tflite
from fmtc_tflite import CalibrationOptions, ConvertOptions
from fmtc_tflite.api import read_model_file
from fmtc_tflite.cli import common, data_flags
from fmtc_tflite.data.opening import open_data
from fmtc_tflite.errors import RuntimeLibraryError, UsageError
from fmtc_tflite.files import check_writable, write_all
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.progress import progress, stage, stages

ORIGINAL = "original"
_LEVEL_VARIABLE = "FMTC_CPU_LEVEL"

FLAGS = flags.FLAGS
flags.DEFINE_list("converted", [], "Converted models, as NAME=FILE; otherwise the model is converted here.")
flags.DEFINE_string(
    "calibration_data",
    None,
    "Real inputs, as of fmtc-convert: for a lossy conversion beside the lossless one, and to time models on.",
)
flags.DEFINE_alias("data", "calibration_data")
data_flags.define()
flags.DEFINE_integer("num_samples", 512, "Calibrate with at most this many samples; 0 for all.", lower_bound=0)
flags.DEFINE_integer("seed", 0, "Seed of all random choices.")
flags.DEFINE_multi_enum("kernels", ["xnnpack", "builtin"], ["xnnpack", "builtin"], "Kernels of the other ops.")
flags.DEFINE_list("threads", ["1", "2"], "Numbers of threads.")
flags.DEFINE_list("cpu_levels", [""], f"Instructions of our ops to force, as {_LEVEL_VARIABLE} does; empty: the best.")
flags.DEFINE_integer("turns", 21, "Times that each combination is timed.", lower_bound=1)
flags.DEFINE_string(
    "json", None, "File for the JSON document; - is stdout, in the place of the Markdown table.", short_name="o"
)
flags.DEFINE_bool("overwrite", False, "Replace an existing JSON file.")


@dataclass
class Run:
    """One combination, and the seconds that it took."""

    model: str
    kernels: str
    threads: int
    cpu_level: str  # as forced; empty for the best
    invoke: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, int]:
        return self.model, self.kernels, self.threads


class _Server:
    """In a process of its own, since the library chooses its instructions once: keeps interpreters and times them."""

    def __init__(self, files: dict[str, str], samples: list[dict[str, np.ndarray]]) -> None:
        self._files, self._samples = files, samples
        self._interpreters: dict[tuple[str, str, int], Any] = {}
        self._calls = 0

    def level(self) -> str:
        return fmtc_tflite.runtime_info()["cpu_level"]

    def load(self, model: str, kernels: str, threads: int) -> float:
        """Seconds to load and allocate."""
        start = time.perf_counter()
        interpreter = fmtc_tflite.load_interpreter(
            self._files[model],
            num_threads=threads,
            builtin_kernels_only=kernels == "builtin",
            attach_delegate=model != ORIGINAL,
        )
        interpreter.allocate_tensors()
        seconds = time.perf_counter() - start
        self._interpreters[model, kernels, threads] = interpreter
        return seconds

    def invoke(self, model: str, kernels: str, threads: int) -> float:
        """Seconds of an invocation on the next sample, after one that warms up."""
        interpreter = self._interpreters[model, kernels, threads]
        sample = self._samples[self._calls % len(self._samples)]
        self._calls += 1
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], sample[detail["name"]])
        interpreter.invoke()
        start = time.perf_counter()
        interpreter.invoke()
        return time.perf_counter() - start


def _serve(connection: Connection, files: dict[str, str], samples: list[dict[str, np.ndarray]]) -> None:
    server = _Server(files, samples)
    while (request := connection.recv()) is not None:
        method, *arguments = request
        try:
            connection.send((getattr(server, method)(*arguments), None))
        except Exception as e:
            connection.send((None, f"{type(e).__name__}: {e}"))


class _Client:
    """The other end of a server's connection."""

    def __init__(self, connection: Connection, level: str) -> None:
        self._connection, self._level = connection, level

    def call(self, method: str, *arguments: object) -> Any:
        try:
            self._connection.send((method, *arguments))
            result, error = self._connection.recv()
        except (EOFError, BrokenPipeError):
            error = "the process died"
        if error is not None:
            raise RuntimeLibraryError(f"with {_LEVEL_VARIABLE}={self._level!r}: {error}")
        return result


@contextmanager
def _client(level: str, files: dict[str, str], samples: list[dict[str, np.ndarray]]) -> Iterator[_Client]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, files, samples), daemon=True)
    before = os.environ.get(_LEVEL_VARIABLE)
    if level:
        os.environ[_LEVEL_VARIABLE] = level
    try:
        process.start()
    finally:
        if level and before is not None:
            os.environ[_LEVEL_VARIABLE] = before
        elif level:
            del os.environ[_LEVEL_VARIABLE]
    theirs.close()
    try:
        yield _Client(ours, level)
    finally:
        if process.is_alive():
            ours.send(None)
        process.join()


def measure(runs: Sequence[Run], files: dict[str, str], samples: list[dict[str, np.ndarray]], turns: int) -> None:
    """Fills in the seconds of all runs, which take turns.

    Raises:
      RuntimeLibraryError: a level that this processor lacks, or a model that does not run.
    """
    with ExitStack() as stack:
        levels = dict.fromkeys(run.cpu_level for run in runs)
        clients = {level: stack.enter_context(_client(level, files, samples)) for level in levels}
        stage("loading")
        for _ in progress(range(min(turns, 7)), "loading"):
            for run in runs:
                run.load.append(clients[run.cpu_level].call("load", *run.key))
        stage("inferences")
        for _ in progress(range(turns), "inferences"):
            for run in runs:
                run.invoke.append(clients[run.cpu_level].call("invoke", *run.key))
        names = {level: client.call("level") for level, client in clients.items()}
    for run in runs:
        run.cpu_level = "" if run.model == ORIGINAL else names[run.cpu_level]


def _spread(seconds: list[float]) -> float:
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return float((high - low) / middle)


def document(name: str, runs: Sequence[Run], turns: int) -> dict[str, Any]:
    """What --json writes; times in milliseconds."""
    originals = {(run.kernels, run.threads): run for run in runs if run.model == ORIGINAL}

    def result(run: Run) -> dict[str, Any]:
        original = originals[run.kernels, run.threads]
        return {
            "model": run.model,
            "kernels": run.kernels,
            "threads": run.threads,
            "cpu_level": run.cpu_level or None,
            "median_ms": 1e3 * float(np.median(run.invoke)),
            "spread": _spread(run.invoke),
            "ratio": float(np.median(run.invoke) / np.median(original.invoke)),
            "load_ms": 1e3 * float(np.median(run.load)),
            "load_ratio": float(np.median(run.load) / np.median(original.load)),
        }

    info = fmtc_tflite.runtime_info()
    runtime = info["runtimes"][0]
    return {
        "model": name,
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "runtime": f"{runtime} {metadata.version(runtime.replace('_', '-'))}",
        "library_version": info["library_version"],
        "turns": turns,
        "runs": [result(run) for run in runs],
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def table(result: dict[str, Any]) -> str:
    """A document's runs as a Markdown table."""
    machine = f"{result['processor']}, {result['cores']} cores, {result['runtime']}"
    lines = [
        f"{result['model']}, {machine}, medians of {result['turns']} turns",
        "",
        "| kernels | threads | model | our ops | ms | spread | ratio | load, ms | ratio |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for run in sorted(result["runs"], key=lambda r: (r["kernels"], r["threads"])):
        cells = (
            run["kernels"],
            run["threads"],
            run["model"],
            run["cpu_level"] or "",
            f"{run['median_ms']:.2f}",
            f"{run['spread']:.0%}",
            f"{run['ratio']:.2f}",
            f"{run['load_ms']:.2f}",
            f"{run['load_ratio']:.2f}",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _calibration() -> CalibrationOptions:
    data = Path(FLAGS.calibration_data) if FLAGS.calibration_data is not None else None
    return CalibrationOptions(data=data, **data_flags.values())


def _converted_files() -> dict[str, str]:
    files = {}
    for item in FLAGS.converted:
        name, equals, file = item.partition("=")
        if not equals or not name or name == ORIGINAL or not os.path.isfile(file):
            raise UsageError(f"--converted {item}: expected NAME=FILE with an existing file; '{ORIGINAL}' is taken")
        files[name] = file
    return files


def _conversions() -> list[str]:
    return ["lossless"] if FLAGS.calibration_data is None else ["lossless", "default"]


def _convert(model: str, folder: str) -> dict[str, str]:
    """Converted files of the model, losslessly and, with real data, by default."""
    files = {}
    for name in _conversions():
        stage(f"conversion, {name}")
        options = ConvertOptions(calibration=_calibration(), lossless=name == "lossless", execution="ops")
        files[name] = str(Path(folder) / f"{name}.tflite")
        fmtc_tflite.convert(model, files[name], options=options)
    return files


def _samples(model: str) -> list[dict[str, np.ndarray]]:
    model_read = load_model(read_model_file(Path(model)))
    return list(open_data(model_read, replace(_calibration(), num_samples=8)))


def _threads() -> list[int]:
    try:
        threads = [int(value) for value in FLAGS.threads]
    except ValueError:
        threads = []
    if not threads or min(threads) < 1:
        raise UsageError(f"--threads {','.join(FLAGS.threads)}: expected numbers from 1 on, such as 1,2")
    return threads


def _runs(models: Sequence[str], threads: Sequence[int]) -> list[Run]:
    levels = FLAGS.cpu_levels or [""]
    return [
        Run(model, kernels, count, level)
        for kernels in dict.fromkeys(FLAGS.kernels)
        for count in threads
        for model in models
        for level in (levels[:1] if model == ORIGINAL else levels)
    ]


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if len(arguments) != 1:
        raise UsageError(f"expected one model, got {', '.join(arguments) or 'none'}; see --help")
    model = arguments[0]
    threads = _threads()
    json_file = common.json_file()
    if json_file is not None:
        check_writable([Path(json_file)], overwrite=FLAGS.overwrite)
    samples = _samples(model)
    own = _converted_files()
    plan = [] if own else [(f"conversion, {name}", 4) for name in _conversions()]
    with tempfile.TemporaryDirectory() as folder, stages(*plan, ("loading", 1), ("inferences", 4)):
        files = {ORIGINAL: model} | (own or _convert(model, folder))
        runs = _runs(list(files), threads)
        measure(runs, files, samples, FLAGS.turns)
    result = document(Path(model).name, runs, FLAGS.turns)
    if json_file is not None:
        write_all([(Path(json_file), json.dumps(result, indent=1).encode() + b"\n")], FLAGS.overwrite)
    common.show_document(result, table, [json_file])


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
