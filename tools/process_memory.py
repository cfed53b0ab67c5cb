"""Prints the anonymous memory, in KB (1024 bytes), that a model adds to this fresh process; for tools/bench_memory.py.

Usage: python tools/process_memory.py MODEL.tflite WARM.tflite {xnnpack|builtin} {original|converted}

A script of its own, so that what it imports is little: memory that imports have freed would hide what the model takes.
"""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fmtc_tflite import load_interpreter


def _run(path: str, kernels: str, attach_delegate: bool) -> Any:
    """Opens a model by its path and runs it once on zeros."""
    interpreter = load_interpreter(
        path, num_threads=1, builtin_kernels_only=kernels == "builtin", attach_delegate=attach_delegate
    )
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    return interpreter


def _anonymous_kb() -> int:
    match = re.search(r"^Anonymous:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1])


def main() -> None:
    """Measures as the arguments say."""
    model, warm, kernels, kind = sys.argv[1:]
    kept = [_run(warm, kernels, kind == "converted")]
    ctypes.CDLL(None).malloc_trim(0)  # what is free in the heap would hide what the model takes
    before = _anonymous_kb()
    kept.append(_run(model, kernels, kind == "converted"))
    print(_anonymous_kb() - before)


if __name__ == "__main__":
    main()
