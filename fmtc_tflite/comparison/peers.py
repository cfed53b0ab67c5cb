"""Lossless coding of the same raw maps by others, and by what hardware does about zeros."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from fmtc_tflite.graph.coded_maps import computed_maps
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.progress import progress

_ZSTD_LEVEL = 19
# Eyeriss (Chen et al., ISCA 2016): a value is preceded by the number of zeros before it, in five bits.
_RUN_BITS = 5

PEERS = {
    "zstd_19": "zstd, level 19, of each map by itself, channel by channel",
    "zero_value": "zero-value compression: a bit per value says whether it is zero, others follow with 8 bits",
    "zero_run_length": "run-length code of zeros: five bits with the zeros before it ahead of each 8-bit value",
}


def measure_peers(
    file: ModelFile, samples: Iterable[Mapping[str, np.ndarray]], num_threads: int | None = None
) -> list[dict[str, Any]]:
    """Bits per value of each of PEERS over all candidate feature maps.

    Args:
      file: the original model.
      samples: inputs by tensor name; at least one.

    Returns:
      Entries with scheme, description, bits_per_value (None where something is missing), missing and num_samples.
    """
    compress = _zstd()
    maps = list(computed_maps(file.model).values())
    runner = ModelRunner(file, num_threads=num_threads)
    totals = dict.fromkeys(PEERS, 0)
    values = count = 0
    for sample in progress(samples, "peers"):
        runner.run(sample)
        count += 1
        for tensor in maps:
            x = runner.read(tensor)
            values += x.size
            zero = x.ravel() == (tensor.zero_point or 0)
            totals["zero_value"] += 8 * (-(-x.size // 8) + int((~zero).sum()))
            totals["zero_run_length"] += run_length_bits(zero)
            if compress is not None:
                totals["zstd_19"] += 8 * len(compress(_channel_major(x)))
    return [_entry(name, totals[name] / values, compress is None, count) for name in PEERS]


def run_length_bits(is_zero: np.ndarray) -> int:
    """Bits of the run-length code, for bool [n].

    A token has a run of up to 31 zeros and the value after it, which is a zero itself where the run goes on, or where
    the map ends with zeros.
    """
    longest = (1 << _RUN_BITS) - 1
    others = np.flatnonzero(~is_zero)
    ends = np.concatenate([others, [len(is_zero)]])
    runs = np.diff(np.concatenate([[-1], ends])) - 1
    tokens = len(others) + int((runs[:-1] // (longest + 1)).sum()) + -(-int(runs[-1]) // (longest + 1))
    return tokens * (_RUN_BITS + 8)


def _entry(name: str, bits: float, no_zstd: bool, num_samples: int) -> dict[str, Any]:
    missing = None
    if name == "zstd_19" and no_zstd:
        missing = "the package zstandard is not installed; run `pip install zstandard`"
    return {
        "scheme": name,
        "description": PEERS[name],
        "bits_per_value": None if missing else bits,
        "missing": missing,
        "num_samples": num_samples,
    }


def _zstd() -> Callable[[bytes], bytes] | None:
    if sys.version_info >= (3, 14):
        module = importlib.import_module("compression.zstd")
        return lambda data: bytes(module.compress(data, _ZSTD_LEVEL))
    if importlib.util.find_spec("zstandard") is None:
        return None
    module = importlib.import_module("zstandard")
    return lambda data: bytes(module.ZstdCompressor(level=_ZSTD_LEVEL).compress(data))


def _channel_major(x: np.ndarray) -> bytes:
    return np.ascontiguousarray(np.moveaxis(x, 3, 1)).tobytes()
