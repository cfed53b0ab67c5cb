"""Measures what a model costs a process: memory that appears from before its interpreter to after the first inference.

Usage:
  python tools/bench_memory.py MODEL.tflite [--converted regions=A.tflite,ops=B.tflite]

Each figure is the growth of Anonymous in /proc/self/smaps_rollup, in KB (1024 bytes) and in a fresh process that opens
the model by its path: the tensor arena, the delegates' workspaces and packed weights, and what the runtime keeps. Pages
of the file itself are not in it. Before it is taken, another model has run, so that libraries and their own tables are
not counted: --warm for the original, --warm_converted, which runs the plugin's ops, for converted models. The table has
medians of --turns processes. Linux only; needs the installed package. Exit codes as those of fmtc-convert.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from absl import flags

from fmtc_tflite import ConvertOptions, convert
from fmtc_tflite.cli import common
from fmtc_tflite.errors import UsageError
from fmtc_tflite.files import check_writable, write_all
from fmtc_tflite.progress import progress
from fmtc_tflite.runtime.process_memory import growth_kb

ORIGINAL = "original"
DEMO_MODEL = Path(str(importlib.resources.files("fmtc_tflite") / "demo" / "demo_int8.tflite"))

FLAGS = flags.FLAGS
flags.DEFINE_list("converted", [], "Converted models, as NAME=FILE.")
flags.DEFINE_string("warm", None, "Model that runs before the original (default: the bundled one).")
flags.DEFINE_string(
    "warm_converted", None, "Model that runs before converted ones (default: the bundled one, as regions)."
)
flags.DEFINE_multi_enum("kernels", ["xnnpack", "builtin"], ["xnnpack", "builtin"], "Kernels of the runtime.")
flags.DEFINE_integer("turns", 3, "Processes for each figure.", lower_bound=1)
flags.DEFINE_string(
    "json", None, "File for the JSON document; - is stdout, in the place of the Markdown table.", short_name="o"
)
flags.DEFINE_bool("overwrite", False, "Replace an existing JSON file.")


def _models(original: str) -> dict[str, str]:
    models = {ORIGINAL: original}
    for entry in FLAGS.converted:
        name, separator, path = entry.partition("=")
        if not separator or name in models:
            raise UsageError(f"--converted {entry}: expected NAME=FILE, each name once and none {ORIGINAL!r}")
        models[name] = path
    for path in models.values():
        if not os.path.isfile(path):
            raise UsageError(f"{path} is no file; expected a .tflite model")
    return models


def _measure(models: dict[str, str], warm: dict[bool, str]) -> list[dict[str, Any]]:
    rows = []
    every = [(kernels, name) for kernels in sorted(set(FLAGS.kernels)) for name in models]
    for kernels, name in progress(every, "processes"):
        path, converted = models[name], name != ORIGINAL
        figures = [growth_kb(path, warm[converted], kernels, converted) for _ in range(FLAGS.turns)]
        rows.append({"model": name, "kernels": kernels, "kb": statistics.median(figures), "all_kb": figures})
    return rows


def _table(document: dict[str, Any]) -> str:
    rows = (f"| {row['model']} | {row['kernels']} | {row['kb']:,.0f} |" for row in document["memory"])
    return "\n".join(["| model | kernels | KB |", "|---|---|---|", *rows])


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if len(arguments) != 1:
        raise UsageError(f"expected one MODEL.tflite, got {' '.join(arguments) or 'none'}; see --help")
    json_file = common.json_file()
    if json_file is not None:
        check_writable([Path(json_file)], FLAGS.overwrite)
    models = _models(arguments[0])
    with tempfile.TemporaryDirectory() as folder:
        warm_converted = FLAGS.warm_converted
        if warm_converted is None and len(models) > 1:
            warm_converted = str(Path(folder) / "warm.tflite")
            convert(DEMO_MODEL, warm_converted, options=ConvertOptions(execution="regions"))
        rows = _measure(models, {False: FLAGS.warm or str(DEMO_MODEL), True: warm_converted})
    document = {"memory": rows}
    if json_file is not None:
        write_all([(Path(json_file), json.dumps(document, indent=1).encode() + b"\n")], FLAGS.overwrite)
    common.show_document(document, _table, [json_file])


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
