"""Times models as regions beside their originals under XNNPACK: one process, one thread, all models taking turns.

Usage:
  python tools/bench_regions.py MODEL.tflite ...              converts each model itself
  python tools/bench_regions.py MODEL.tflite=REGIONS.tflite ...

In a turn each of a model's two interpreters runs once to warm up and then a few times that count. What counts is the
processor time of this thread, so that others on the machine matter little. The table has, in microseconds, medians and
the spread (the middle half of the times, as a share of the median), and the ratio of the medians: below 1 the regions
are faster. --cpu_level forces the instructions of our ops; tools/without_avx512.py takes AVX-512 from XNNPACK, too.
Needs the installed package. Exit codes as those of fmtc-convert.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from fmtc_tflite import ConvertOptions, convert, load_interpreter, runtime_info
from fmtc_tflite.api import read_model_file
from fmtc_tflite.cli import common
from fmtc_tflite.data.opening import input_specs_from_model
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.errors import UsageError
from fmtc_tflite.files import check_writable, write_all
from fmtc_tflite.graph.model_io import load_model

_RUNS_A_TURN = 5

FLAGS = flags.FLAGS
flags.DEFINE_float("seconds", 5.0, "Time for each model.", lower_bound=0.1)
flags.DEFINE_string("cpu_level", None, "Instructions of our ops, as the variable FMTC_CPU_LEVEL; the best by default.")
flags.DEFINE_string("json", None, "File for the JSON document; the Markdown table goes to stdout.")
flags.DEFINE_bool("overwrite", False, "Replace an existing JSON file.")


@dataclass
class Pair:
    """A model's two interpreters with their times in seconds."""

    name: str
    interpreters: tuple[Any, Any]
    seconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    def take_turn(self) -> None:
        for interpreter, seconds in zip(self.interpreters, self.seconds, strict=True):
            interpreter.invoke()
            for _ in range(_RUNS_A_TURN):
                start = time.thread_time()
                interpreter.invoke()
                seconds.append(time.thread_time() - start)


def _open(path: str, sample: dict[str, np.ndarray], is_converted: bool) -> Any:
    interpreter = load_interpreter(path, num_threads=1, attach_delegate=is_converted)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], sample[detail["name"]])
    return interpreter


def open_pair(argument: str, folder: str) -> Pair:
    """From MODEL or MODEL=REGIONS; what has to be converted goes to the folder.

    Raises:
      UsageError: a file that does not exist, or whose outputs differ.
      FmtcError: of the conversion.
    """
    original, _, converted = argument.partition("=")
    for path in filter(None, (original, converted)):
        if not os.path.isfile(path):
            raise UsageError(f"{path} is no file; expected a .tflite model")
    name = Path(original).stem
    if not converted:
        converted = str(Path(folder) / f"{name}.tflite")
        convert(original, converted, options=ConvertOptions(execution="regions", kernels="xnnpack"))
    (sample,) = SyntheticDataset(input_specs_from_model(load_model(read_model_file(Path(original)))), 1)
    pair = Pair(name, (_open(original, sample, False), _open(converted, sample, True)))
    outputs = []
    for interpreter in pair.interpreters:
        interpreter.invoke()
        outputs.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    if not all(np.array_equal(a, b) for a, b in zip(*outputs, strict=True)):
        raise UsageError(f"{converted}: its outputs are not those of {original}")
    return pair


def result(pair: Pair) -> dict[str, Any]:
    """A row of the table; times in microseconds."""

    def times(seconds: list[float]) -> dict[str, float]:
        low, median, high = 1e6 * np.quantile(seconds, [0.25, 0.5, 0.75])
        return {"median_us": float(median), "least_us": 1e6 * min(seconds), "spread": float((high - low) / median)}

    original, regions = map(times, pair.seconds)
    return {
        "model": pair.name,
        "original": original,
        "regions": regions,
        "ratio": regions["median_us"] / original["median_us"],
        "ratio_of_least": regions["least_us"] / original["least_us"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    lines = ["| model | XNNPACK, us | spread | regions, us | spread | ratio | of the least |", "|---|" + "---|" * 6]
    for row in rows:
        cells = [row["model"]]
        for times in (row["original"], row["regions"]):
            cells += [f"{times['median_us']:.0f}", f"{times['spread']:.0%}"]
        lines.append("| " + " | ".join([*cells, f"{row['ratio']:.2f}", f"{row['ratio_of_least']:.2f}"]) + " |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if not arguments:
        raise UsageError("expected MODEL.tflite or MODEL.tflite=REGIONS.tflite, once or more; see --help")
    json_file = Path(FLAGS.json) if FLAGS.json is not None else None
    if json_file is not None:
        check_writable([json_file], overwrite=FLAGS.overwrite)
    if FLAGS.cpu_level is not None:
        os.environ["FMTC_CPU_LEVEL"] = FLAGS.cpu_level
    with tempfile.TemporaryDirectory() as folder:
        pairs = [open_pair(argument, folder) for argument in arguments]
        end = time.monotonic() + FLAGS.seconds * len(pairs)
        while time.monotonic() < end:
            for pair in pairs:
                pair.take_turn()
    rows = [result(pair) for pair in pairs]
    level = runtime_info()["cpu_level"]
    common.show(f"our instructions: {level}\n\n{table(rows)}")
    if json_file is not None:
        document = {"cpu_level": level, "models": rows}
        write_all([(json_file, json.dumps(document, indent=1).encode() + b"\n")], FLAGS.overwrite)


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
