"""What a model costs a process: memory that appears from before its interpreter to after the first inference."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.runtime.interpreter import load_interpreter

# '' is the working directory, in which there may be a source tree without the library.
_CHILD = (
    "import sys; sys.path = [p for p in sys.path if p]; from fmtc_tflite.runtime.process_memory import main; main()"
)


def growth_kb(
    path: str | Path, warm: str | Path, kernels: str, attach_delegate: bool, runtime: str | None = None
) -> int:
    """Anonymous memory, in KB (1024 bytes), that a model adds to a fresh process, on one thread. Linux only.

    It is a process of its own, in which little is imported, as memory that imports have freed would hide what the model
    takes.

    Args:
      path: the model.
      warm: a model that runs before, so that libraries and their own tables are not counted; it may be the same.
      kernels, attach_delegate, runtime: as for load_interpreter.

    Raises:
      UnsupportedModelError: one of the models does not run.
    """
    arguments = [str(path), str(warm), kernels, str(int(attach_delegate)), runtime or ""]
    command = [sys.executable, "-c", _CHILD, *arguments]
    child = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if child.returncode != 0:
        last = child.stderr.strip().splitlines()[-1:] or [f"exit code {child.returncode}"]
        raise UnsupportedModelError(f"{path} does not run with {kernels} kernels: {last[0]}")
    return int(child.stdout)


def main() -> None:
    """Prints what `growth_kb` asks for; the arguments are its own."""
    model, warm, kernels, attach_delegate, runtime = sys.argv[1:]
    kept = [_run(warm, kernels, attach_delegate == "1", runtime or None)]
    ctypes.CDLL(None).malloc_trim(0)  # what is free in the heap would hide what the model takes
    before = _anonymous_kb()
    kept.append(_run(model, kernels, attach_delegate == "1", runtime or None))
    print(_anonymous_kb() - before)


def _run(path: str, kernels: str, attach_delegate: bool, runtime: str | None) -> Any:
    """Opens a model by its path and runs it once on zeros."""
    interpreter = load_interpreter(path, runtime, 1, kernels=kernels, attach_delegate=attach_delegate)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    return interpreter


def _anonymous_kb() -> int:
    match = re.search(r"^Anonymous:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1])
