"""What regions need with strips: the live arena of models for several budgets of multiply-adds computed twice.

Usage:
  python tools/region_arena.py MODEL.tflite... [--max_extra_macs 0,0.02,0.05] [--max_extra_time 0.1]

Converts each model with --execution regions and each budget, verified as by fmtc-convert, allocates it in the stock
interpreter and prints Markdown: bytes of the original's arena without kernels' scratch memory, and for each budget the
bytes, their share of the original's, that of multiply-adds computed twice and that of time added, as predicted. Exit
codes as those of fmtc-convert.
"""

from __future__ import annotations

import sys
from pathlib import Path

import arena_table
from absl import flags

from fmtc_tflite import ConvertOptions
from fmtc_tflite.api import read_model_file
from fmtc_tflite.cli import common
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.profiling.live import measure_arena

FLAGS = flags.FLAGS
arena_table.define_shares(["0", "0.02", "0.05"])
flags.DEFINE_float("max_extra_time", None, "As that of fmtc-convert.")
flags.DEFINE_enum("kernels", "auto", ["auto", "xnnpack", "builtin", "reference"], "As those of fmtc-convert.")


def _row(path: str, shares: list[float]) -> str:
    content, cells = read_model_file(Path(path)), []
    for share in shares:
        options = ConvertOptions(
            execution="regions", kernels=FLAGS.kernels, max_extra_macs=share, max_extra_time=FLAGS.max_extra_time
        )
        result = convert_content(content, options)
        live = measure_arena(ModelFile.parse(result.content)).extent_bytes
        original = result.report["arena"]["original_planned_bytes"]
        extra = 100 * result.report["macs"]["extra_share"]
        time = 100 * result.report["time"]["extra_share"]
        cells.append(f"{live:,} ({100 * live / original:.1f} %; {extra:.1f} %; {time:.1f} %)")
    return f"| {Path(path).stem} | {original:,} | {' | '.join(cells)} |"


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    arena_table.show(arguments, "original", _row)


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
