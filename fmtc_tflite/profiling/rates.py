"""Traffic as a stream: what an inference moves, at so many inferences a second."""

from __future__ import annotations

from typing import Any

from fmtc_tflite.errors import UsageError
from fmtc_tflite.profiling.options import ProfileOptions

DEFAULT_MACS_PER_CYCLE = 256  # of common accelerators for microcontrollers
_PICO = 1e-12
_CROSSING = ("feature_map_written", "feature_map_read", "weights_read", "side_information_read")  # rings stay on chip


def with_rates(document: dict[str, Any], options: ProfileOptions) -> dict[str, Any]:
    """The profile with `rates`, and those of every total, if inferences per second or a clock are given.

    Raises:
      UsageError: a clock, and a network without multiply-adds.
    """
    if options.fps is None and options.clock_hz is None:
        return document
    per_cycle = None if options.clock_hz is None else options.macs_per_cycle or DEFAULT_MACS_PER_CYCLE
    fps = options.fps
    if options.clock_hz is not None and per_cycle is not None:
        network = multiply_accumulates(next(reversed(document["models"][0]["totals"].values())))
        if network == 0:
            raise UsageError("--clock_hz: the network has no multiply-adds to take time; give --fps")
        fps = options.clock_hz * per_cycle / network
    assert fps is not None
    for model in document["models"]:
        done = multiply_accumulates(next(reversed(model["totals"].values())))  # the same, whatever moves how
        for total in model["totals"].values():
            total["rates"] = _rates(total, done, fps)
    own = {"inferences_per_second": fps, "clock_hz": options.clock_hz, "macs_per_cycle": per_cycle}
    return {**document, "rates": own}


def multiply_accumulates(total: dict[str, Any]) -> int:
    """Of an inference, by ops of the graph and by the codec."""
    return int(total["graph_multiply_accumulates"] + total["codec_multiply_accumulates"])


def _rates(total: dict[str, Any], macs: int, fps: float) -> dict[str, Any]:
    moved = sum(total[f"{kind}_bytes"] for kind in _CROSSING)
    return {
        "bytes_per_second": moved * fps,
        "multiply_accumulates_per_second": macs * fps,
        "bytes_per_multiply_accumulate": moved / macs if macs else None,
        "watts": total["energy"]["total_pj"] * _PICO * fps,
    }
