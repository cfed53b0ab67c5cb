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

from absl import flags

from fmtc_tflite import ConvertOptions
from fmtc_tflite.api import read_model_file
from fmtc_tflite.cli import common
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.errors import UsageError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.profiling.live import measure_arena
from fmtc_tflite.progress import progress

FLAGS = flags.FLAGS
flags.DEFINE_list("max_extra_macs", ["0", "0.02", "0.05"], "Shares of the multiply-adds.")
flags.DEFINE_float("max_extra_time", None, "As that of fmtc-convert.")
flags.DEFINE_enum("kernels", "auto", ["auto", "xnnpack", "builtin", "reference"], "As those of fmtc-convert.")


def _shares() -> list[float]:
    try:
        return [float(share) for share in FLAGS.max_extra_macs]
    except ValueError as error:
        raise UsageError(f"--max_extra_macs {','.join(FLAGS.max_extra_macs)}: expected numbers") from error


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
    shares = _shares()
    if not arguments or not shares:
        raise UsageError("expected MODEL.tflite... and at least one share; see --help")
    common.show(f"| model | original | {' | '.join(f'{100 * share:g} %' for share in shares)} |")
    common.show("|---" * (2 + len(shares)) + "|")
    for path in progress(arguments, "models"):
        common.show(_row(path, shares))


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
