"""Runs the models of .ci/device.sh on some samples with each runtime that is installed, on the device or beside it.

It needs there what a device has: numpy, a runtime and this package's part that goes with it. Writes to the file $1 the
level of the codec's kernels, and for each runtime, kernels of the runtime, model and sample the output and, with the
reference kernels, all payloads.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import fmtc_tflite

NUM_SAMPLES = 8
CODED, PAYLOAD_LENGTH = "fmtc_coded", slice(8, 12)  # custom_ops/FORMAT.md, section 8
KERNELS = {"reference": "BUILTIN_REF", "optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES"}


def payloads(interpreter: Any) -> Iterator[np.ndarray]:
    for tensor in interpreter.get_tensor_details():
        if CODED in tensor["name"]:
            coded = interpreter.get_tensor(tensor["index"]).ravel()
            yield coded[: int.from_bytes(coded[PAYLOAD_LENGTH].tobytes(), "little")]


def run(runtime: str, kernels: str, model: str, samples: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the name of each result, and the result."""
    module = importlib.import_module(f"{runtime}.interpreter")
    interpreter = module.Interpreter(
        f"{model}.tflite",
        experimental_delegates=[module.load_delegate(fmtc_tflite.delegate_path())],
        experimental_op_resolver_type=module.OpResolverType[KERNELS[kernels]],
        experimental_preserve_all_tensors=kernels == "reference",
    )
    interpreter.allocate_tensors()
    (model_input,), (model_output,) = interpreter.get_input_details(), interpreter.get_output_details()
    for i, sample in enumerate(samples):
        interpreter.set_tensor(model_input["index"], sample[np.newaxis])
        interpreter.invoke()
        yield f"{kernels}/{model}/{i}/output", interpreter.get_tensor(model_output["index"])
        if kernels == "reference":
            for j, payload in enumerate(payloads(interpreter)):
                yield f"{kernels}/{model}/{i}/payload {j}", payload


def main() -> None:
    pixels = np.load("samples.npz")["x"][:NUM_SAMPLES]
    samples = (pixels ^ 0x80).view(np.int8)  # pixel - 128
    results = {"level": np.array(fmtc_tflite.runtime_info()["cpu_level"])}
    for runtime in fmtc_tflite.available_runtimes():
        if runtime == "tensorflow":
            continue  # it has the kernels of ai_edge_litert, and another module for them
        for kernels in KERNELS:
            for model in ("original", "lossless", "regions", "lossy"):
                for name, result in run(runtime, kernels, model, samples):
                    results[f"{runtime}/{name}"] = result
    np.savez(sys.argv[1], **results)


main()
