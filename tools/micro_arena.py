"""What models need in TensorFlow Lite Micro as they are and with regions: its planned arena.

Usage:
  python tools/micro_arena.py MODEL.tflite... [--max_extra_macs 0,0.05]

Converts each model with --target micro and each budget of multiply-adds computed twice, verified as by fmtc-convert,
and prints Markdown: the head of the original's arena, then for each budget head and tail (64-bit pointers; 32 bits in
brackets), the multiply-adds computed twice, and the head without the model's inputs. Exit codes as those of
fmtc-convert.
"""

from __future__ import annotations

import sys
from pathlib import Path

import arena_table

from fmtc_tflite import ConvertOptions
from fmtc_tflite.api import read_model_file
from fmtc_tflite.cli import common
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.memory.arena import tensor_bytes

arena_table.define_shares(["0", "0.05"])


def _row(path: str, shares: list[float]) -> str:
    content, cells, original = read_model_file(Path(path)), [], 0
    inputs = sum(tensor_bytes(tensor) for tensor in load_model(content).subgraphs[0].inputs)
    for share in shares:
        report = convert_content(content, ConvertOptions(target="micro", max_extra_macs=share)).report
        original, micro = report["arena"]["original_planned_bytes"], report["micro"]
        head, tail = micro["head_bytes"], micro["tail_bytes"]
        least = "at least " if micro["ops_of_unknown_tail"] else ""
        extra, total = 100 * report["macs"]["extra_share"], head + tail["64"]
        sizes = f"{head:,} + {least}{tail['64']:,} ({tail['32']:,}) = {total:,}"
        cells.append(f"{sizes}; {extra:.1f} %; {head - inputs:,}")
    return f"| {Path(path).stem} | {original:,} | {' | '.join(cells)} |"


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    arena_table.show(arguments, "original head", _row)


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
