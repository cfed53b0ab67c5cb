"""Compares what .ci/device_run.py wrote here ($1) and on the device ($2), whose codec must have used the kernels $3.

With the runtime's reference kernels, every payload and output must be equal. Its optimized kernels round in another
manner on Arm than on x86, in the original model too, so their outputs are only counted. With the reference kernels, for
which they were made, the lossless model's and the regions' outputs must be the original's on the device.
"""

from __future__ import annotations

import sys

import numpy as np

EXACT, CODED = ("lossless", "regions"), ("lossless", "lossy")
MODELS = ("original", *EXACT, "lossy")
Results = dict[str, np.ndarray]


def count_equal(a: Results, b: Results) -> str:
    assert a.keys() == b.keys(), sorted(a.keys() ^ b.keys())
    assert a, "nothing to compare"
    return f"{sum(np.array_equal(a[name], b[name]) for name in a)} of {len(a)}"


def all_equal(a: Results, b: Results, what: str) -> bool:
    print(f"  {what}: {count_equal(a, b)}")
    return all(np.array_equal(a[name], b[name]) for name in a)


def below(results: Results, prefix: str, suffix: str = "") -> Results:
    """Results of such names, by what lies between."""
    names = [name for name in results if name.startswith(prefix) and name.endswith(suffix)]
    return {name.removeprefix(prefix): results[name] for name in names}


def main() -> None:
    host, device = (dict(np.load(path)) for path in sys.argv[1:3])
    host_level, level = host.pop("level"), device.pop("level")
    assert level == sys.argv[3], f"kernels of the device's codec: {level}, expected {sys.argv[3]}"
    (device_runtime,) = {name.split("/")[0] for name in device}
    there = below(device, f"{device_runtime}/")
    good = True
    for runtime in sorted({name.split("/")[0] for name in host}):
        here = below(host, f"{runtime}/")
        print(f"{device_runtime} and {level} on the device, {runtime} and {host_level} here, equal of both:")
        for model in MODELS:
            prefix = f"reference/{model}/"
            assert model not in CODED or f"{prefix}0/payload 0" in there, f"{model}: no payloads"
            good &= all_equal(below(here, prefix), below(there, prefix), f"reference kernels, {model}")
        for model in MODELS:
            prefix = f"optimized/{model}/"
            equal = count_equal(below(here, prefix), below(there, prefix))
            print(f"  optimized kernels, {model}: {equal}, which is for information")
    print("on the device, outputs that are the original's, with reference kernels:")
    for model in EXACT:
        original, converted = (below(there, f"reference/{name}/", "output") for name in ("original", model))
        good &= all_equal(original, converted, model)
    if not good:
        sys.exit("the device's results differ")


main()
