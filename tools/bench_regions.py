"""Times models as regions beside their originals, all models taking turns.

Usage:
  python tools/bench_regions.py MODEL.tflite ...              converts each model itself
  python tools/bench_regions.py MODEL.tflite=REGIONS.tflite ...

In a turn each of a model's two interpreters runs once to warm up and then a few times that count. What counts is the
processor time of this thread, so that others on the machine matter little. The first table has, in microseconds,
medians and spread (the middle half of the times, as a share of the median), and the ratio of the medians: below 1 the
regions are faster. The second has start-up, medians of loads in turn: opening the file and allocating tensors, and the
same with the first inference, which reads what loading left alone.

With --threads above 1 what counts is the time that passes, on an idle machine. Each interpreter has a process of its
own, and there is a pause before each turn, so that the threads of the one before, which wait for work on a processor,
are asleep. All take turns with one thread, too: a third table has what more of them bring.

--kernels names the runtime's kernels, whose results the regions have.
--cpu_level forces the instructions of our ops; tools/without_avx512.py takes AVX-512 from the runtime, too. Needs the
installed package. Exit codes as those of fmtc-convert.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from fmtc_tflite import ConvertOptions, convert, load_interpreter, runtime_info
from fmtc_tflite.api import read_model_file
from fmtc_tflite.cli import common
from fmtc_tflite.data.opening import input_specs_from_model
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.errors import RuntimeLibraryError, UsageError
from fmtc_tflite.files import check_writable, write_all
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import METADATA_NAME
from fmtc_tflite.progress import progress, stage, stages
from fmtc_tflite.runtime.interpreter import KERNEL_SETS

_RUNS_A_TURN = 5
_PAUSED_RUNS_A_TURN = 20  # where each turn has a pause
_PAUSE = 0.03  # seconds; XNNPACK's threads wait about half of that before they sleep

FLAGS = flags.FLAGS
flags.DEFINE_float("seconds", 5.0, "Time for each model's inferences.", lower_bound=0.1)
flags.DEFINE_integer("threads", 1, "Threads of each interpreter.", lower_bound=1)
flags.DEFINE_integer("loads", 11, "How often each model is loaded.", lower_bound=1)
flags.DEFINE_enum("kernels", "xnnpack", list(KERNEL_SETS), "The runtime's kernels, whose results the regions have.")
flags.DEFINE_string("cpu_level", None, "Instructions of our ops, as the variable FMTC_CPU_LEVEL; the best by default.")
flags.DEFINE_string(
    "json", None, "File for the JSON document; - is stdout, in the place of the Markdown tables.", short_name="o"
)
flags.DEFINE_bool("overwrite", False, "Replace an existing JSON file.")


@dataclass
class Contender:
    """One of a model's two forms, with its times in seconds.

    Attributes:
      path: the file.
      is_converted: it has regions, which take our delegate.
      kernels: of KERNEL_SETS.
      sample: values of the inputs, by the names of their tensors.
      threads: of the interpreter.
      load: to open the file and allocate tensors.
      first: the same, and the first inference.
      run: of an inference.
    """

    path: str
    is_converted: bool
    kernels: str
    sample: dict[str, np.ndarray]
    threads: int = 1
    interpreter: Any = None
    load: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    run: list[float] = field(default_factory=list)

    def open(self) -> None:
        """Opens the model; its inputs are not set.

        Raises:
          UsageError: the runtime refuses it.
        """
        try:
            self.interpreter = load_interpreter(
                self.path, num_threads=self.threads, kernels=self.kernels, attach_delegate=self.is_converted
            )
            self.interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as e:
            raise UsageError(f"{self.path}: the runtime refuses it: {e}; expected a model that runs here") from e

    def time_load(self) -> None:
        self.interpreter = None  # its memory is there for the next one, as it is for the other model's
        start = time.thread_time()
        self.open()
        loaded = time.thread_time()
        self.set_inputs()
        set_up = time.thread_time()
        self.interpreter.invoke()
        self.load.append(loaded - start)
        self.first.append(loaded - start + time.thread_time() - set_up)

    def time_runs(self) -> None:
        """A turn in processor time."""
        self._time_runs(time.thread_time, _RUNS_A_TURN, 1)

    def time_paused_runs(self) -> None:
        """A turn in time that passes."""
        time.sleep(_PAUSE)
        self._time_runs(time.perf_counter, _PAUSED_RUNS_A_TURN, 3)

    def _time_runs(self, clock: Callable[[], float], runs: int, warm_up: int) -> None:
        for _ in range(warm_up):
            self.interpreter.invoke()
        for _ in range(runs):
            start = clock()
            self.interpreter.invoke()
            self.run.append(clock() - start)

    def set_inputs(self) -> None:
        for detail in self.interpreter.get_input_details():
            self.interpreter.set_tensor(detail["index"], self.sample[detail["name"]])

    def outputs(self) -> list[np.ndarray]:
        self.set_inputs()
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(detail["index"]) for detail in self.interpreter.get_output_details()]

    def signature(self) -> tuple[str, str]:
        """Inputs, in the order of their names, and outputs, as text: name, type and shape of each."""

        def described(details: Sequence[dict[str, Any]]) -> list[str]:
            sizes = [", ".join(map(str, detail["shape"])) for detail in details]
            types = [np.dtype(detail["dtype"]).name for detail in details]
            return [f"'{d['name']}' {t}[{s}]" for d, t, s in zip(details, types, sizes, strict=True)]

        inputs = sorted(described(self.interpreter.get_input_details()))
        return ", ".join(inputs) or "none", ", ".join(described(self.interpreter.get_output_details()))


@dataclass
class Pair:
    """A model as it is and as regions, and with one thread where they have more."""

    name: str
    original: Contender
    regions: Contender
    single: tuple[Contender, Contender] | None = None

    @property
    def both(self) -> tuple[Contender, Contender]:
        return self.original, self.regions


def open_pair(argument: str, kernels: str, threads: int, folder: str) -> Pair:
    """From MODEL or MODEL=REGIONS; what has to be converted goes to the folder.

    Raises:
      UsageError: a file that does not exist, or two models whose inputs or outputs differ.
      FmtcError: of the conversion.
    """
    original, _, converted = argument.partition("=")
    for path in filter(None, (original, converted)):
        if not os.path.isfile(path):
            raise UsageError(f"{path} is no file; expected a .tflite model")
    name = Path(original).stem
    (sample,) = SyntheticDataset(input_specs_from_model(load_model(read_model_file(Path(original)))), 1)
    if not converted:
        converted = str(Path(tempfile.mkdtemp(dir=folder)) / f"{name}.tflite")  # names may be the same
        convert(original, converted, options=ConvertOptions(execution="regions", kernels=kernels))
    pair = Pair(
        name,
        Contender(original, False, kernels, sample, threads),
        Contender(converted, True, kernels, sample, threads),
    )
    for contender in pair.both:
        contender.open()
    _check_same(pair)
    if threads > 1:
        one, other = (replace(each, threads=1, interpreter=None, run=[]) for each in pair.both)
        pair.single = one, other
    return pair


def _check_same(pair: Pair) -> None:
    for what, one, other in zip(("inputs", "outputs"), *(each.signature() for each in pair.both), strict=True):
        if one != other:
            raise UsageError(
                f"{pair.original.path} and {pair.regions.path} have different {what}: {one}; and {other}; "
                "expected a model and what fmtc-convert made of it"
            )
    if METADATA_NAME in load_model(read_model_file(Path(pair.regions.path))).metadata:  # loss in its cuts
        return
    if not all(np.array_equal(a, b) for a, b in zip(*(each.outputs() for each in pair.both), strict=True)):
        raise UsageError(
            f"{pair.regions.path}: its outputs are not those of {pair.original.path} with the kernels "
            f"{pair.original.kernels}; see --kernels"
        )


def _serve(connection: Connection, contender: Contender) -> None:
    contender.open()
    contender.set_inputs()
    connection.send([])
    while connection.recv():
        contender.run.clear()
        contender.time_paused_runs()
        connection.send(contender.run)


@contextmanager
def _process(contender: Contender) -> Iterator[Callable[[], None]]:
    """Starts a process for a contender; the function has it take a turn there."""
    contender.interpreter = None
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, contender), daemon=True)
    process.start()
    theirs.close()

    def receive() -> None:
        try:
            contender.run += ours.recv()
        except EOFError as e:
            raise RuntimeLibraryError(f"{contender.path}: the process that runs it died") from e

    def take_turn() -> None:
        ours.send(True)
        receive()

    try:
        receive()
        yield take_turn
    finally:
        ours.close()
        process.terminate()
        process.join()


def measure(pairs: list[Pair], loads: int, seconds: float) -> None:
    """Fills in the times of all pairs, which take turns; `seconds` for each pair's inferences.

    Raises:
      RuntimeLibraryError: a process died.
    """
    contenders = [each for pair in pairs for each in pair.both]
    stage("loading")
    for _ in progress(range(loads), "loading"):
        for contender in contenders:
            contender.time_load()
    with ExitStack() as stack:
        turns = [contender.time_runs for contender in contenders]
        if pairs[0].single is not None:
            contenders += [each for pair in pairs for each in pair.single or ()]
            turns = [stack.enter_context(_process(contender)) for contender in contenders]
        stage("inferences")
        end = time.monotonic() + seconds * len(pairs)
        while time.monotonic() < end or not contenders[0].run:
            for take_turn in turns:
                take_turn()


def result(pair: Pair) -> dict[str, Any]:
    """A model's figures; times in microseconds."""

    def times(contender: Contender) -> dict[str, float]:
        low, median, high = 1e6 * np.quantile(contender.run, [0.25, 0.5, 0.75])
        return {
            "median_us": float(median),
            "least_us": 1e6 * min(contender.run),
            "spread": float((high - low) / median),
            "load_us": 1e6 * float(np.median(contender.load)),
            "load_and_first_us": 1e6 * float(np.median(contender.first)),
        }

    original, regions = map(times, pair.both)
    if pair.single is not None:
        for figures, single in zip((original, regions), pair.single, strict=True):
            figures["one_thread_us"] = 1e6 * float(np.median(single.run))
            figures["speedup"] = figures["one_thread_us"] / figures["median_us"]
    return {
        "model": pair.name,
        "original": original,
        "regions": regions,
        "ratio": regions["median_us"] / original["median_us"],
        "ratio_of_least": regions["least_us"] / original["least_us"],
        "load_ratio": regions["load_us"] / original["load_us"],
        "load_and_first_ratio": regions["load_and_first_us"] / original["load_and_first_us"],
    }


def _threads_table(rows: list[dict[str, Any]], kernels: str, threads: int) -> str:
    heads = (f"{form}, 1 thread, us | {threads} threads | times faster" for form in (kernels, "regions"))
    lines = [f"| model | {' | '.join(heads)} |", "|---|" + "---|" * 6]
    for row in rows:
        cells = [row["model"]]
        for times in (row["original"], row["regions"]):
            cells += [f"{times['one_thread_us']:.0f}", f"{times['median_us']:.0f}", f"{times['speedup']:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables(rows: list[dict[str, Any]], kernels: str, threads: int) -> str:
    """Inferences and start-up as Markdown tables, and what threads bring."""
    runs = [f"| model | {kernels}, us | spread | regions, us | spread | ratio | of the least |", "|---|" + "---|" * 6]
    loads = [
        f"| model | {kernels}, load, us | regions | ratio | with the first inference, us | regions | ratio |",
        "|---|" + "---|" * 6,
    ]
    for row in rows:
        one, other = row["original"], row["regions"]
        cells = [row["model"]]
        for times in (one, other):
            cells += [f"{times['median_us']:.0f}", f"{times['spread']:.0%}"]
        runs.append("| " + " | ".join([*cells, f"{row['ratio']:.2f}", f"{row['ratio_of_least']:.2f}"]) + " |")
        cells = [row["model"]]
        for what in ("load", "load_and_first"):
            cells += [f"{one[what + '_us']:.0f}", f"{other[what + '_us']:.0f}", f"{row[what + '_ratio']:.2f}"]
        loads.append("| " + " | ".join(cells) + " |")
    lines = [*runs, "", *loads]
    if threads > 1:
        lines += ["", _threads_table(rows, kernels, threads)]
    return "\n".join(lines)


def _text(document: dict[str, Any]) -> str:
    shown = tables(document["models"], document["kernels"], document["threads"])
    return f"our instructions: {document['cpu_level']}\n\n{shown}"


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if not arguments:
        raise UsageError("expected MODEL.tflite or MODEL.tflite=REGIONS.tflite, once or more; see --help")
    json_file = common.json_file()
    if json_file is not None:
        check_writable([Path(json_file)], overwrite=FLAGS.overwrite)
    if FLAGS.cpu_level is not None:
        os.environ["FMTC_CPU_LEVEL"] = FLAGS.cpu_level
    plan = [("conversion", len(arguments)), ("loading", 1), ("inferences", 4)]
    with tempfile.TemporaryDirectory() as folder, stages(*plan):
        stage("conversion")
        opened = progress(arguments, "conversion")
        pairs = [open_pair(argument, FLAGS.kernels, FLAGS.threads, folder) for argument in opened]
        measure(pairs, FLAGS.loads, FLAGS.seconds)
    rows = [result(pair) for pair in pairs]
    level = runtime_info()["cpu_level"]
    document = {"cpu_level": level, "kernels": FLAGS.kernels, "threads": FLAGS.threads, "models": rows}
    if json_file is not None:
        write_all([(Path(json_file), json.dumps(document, indent=1).encode() + b"\n")], FLAGS.overwrite)
    common.show_document(document, _text, [json_file])


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
