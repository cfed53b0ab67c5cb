"""Runs models in the Python package tflite-micro with the ops of this package, in a process of its own.

    python tflm_runner.py LIBRARY INPUTS.npz OUTPUTS.npz MODEL...

Every model gets all inputs (arrays `0`, `1`, ... with the samples along the first axis). OUTPUTS has each model's
outputs by `MODEL'S NUMBER.OUTPUT'S NUMBER`; the interpreter's reports and errors go to stderr, behind a line with the
model's number.
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np

ARENA_BYTES = 12 << 20


def main(library: str, inputs: str, outputs: str, *models: str) -> None:
    from tflite_micro.python.tflite_micro import _runtime

    # The package looks the ops up by name, and the ops call what the package exports.
    ctypes.CDLL(_runtime.__file__, ctypes.RTLD_GLOBAL)
    ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
    from tflite_micro import runtime

    samples = np.load(inputs)
    found = {}
    for number, model in enumerate(models):
        print(f"model {number}", file=sys.stderr, flush=True)
        try:
            interpreter = runtime.Interpreter.from_file(
                model, arena_size=ARENA_BYTES, custom_op_registerers=["FmtcAddOps"]
            )
            interpreter.print_allocations()
            results: dict[int, list[np.ndarray]] = {}
            for sample in range(len(samples["0"])):
                for index in range(len(samples.files)):
                    interpreter.set_input(samples[str(index)][sample], index)
                interpreter.invoke()
                for index in range(_output_count(interpreter)):
                    results.setdefault(index, []).append(interpreter.get_output(index))
        except RuntimeError as error:
            print(f"error {error}", file=sys.stderr, flush=True)
            continue
        found |= {f"{number}.{index}": np.stack(arrays) for index, arrays in results.items()}
    np.savez(outputs, **found)


def _output_count(interpreter: object) -> int:
    count = 0
    while True:
        try:
            interpreter.get_output_details(count)  # type: ignore[attr-defined]
        except IndexError:
            return count
        count += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
