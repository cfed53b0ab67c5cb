"""Tells how many instructions microcontrollers take for a multiply-add, op by op, and what others' kernels take.

    qemu-system-arm -M mps2-an386 -nographic -semihosting -icount shift=0 -kernel BUILD/region_bench 2>&1 |
      python tools/bench_micro.py

It reads what custom_ops/bare_metal/region_bench.cc and rival_kernels.cc print, on boards whose emulator has each
instruction take a nanosecond: for an op its work and its ticks, both the difference between eleven inferences and one,
and for a network the inferences and their ticks. An addition of ADD counts as one multiply-add.
"""

from __future__ import annotations

import sys

from absl import flags

from fmtc_tflite.cli import common
from fmtc_tflite.errors import UsageError

_CLOCK = flags.DEFINE_float("clock_mhz", 25, "Of the board's timer: 25 on mps2-an386, 32 on mps3-an547.")


def main(arguments: list[str]) -> None:
    """Reads lines from stdin."""
    if arguments:
        raise UsageError(f"unexpected arguments: {' '.join(arguments)}; see --help")
    instructions = 1000 / _CLOCK.value  # of a tick
    for line in sys.stdin:
        *name, kernel, inputs, outputs, work, ticks = ["", "", "", "", *line.split()]
        if "network" in line:
            print(f"network: {int(ticks) * instructions / int(work) / 1e6:.2f} million instructions an inference")
        elif work.isdigit():
            label = " ".join(part for part in name if part)
            rate = int(ticks) * instructions / int(work)
            print(f"{label:26} {kernel:>3} taps {inputs:>4} -> {outputs:>4} channels {int(work):>11,} x {rate:6.2f}")


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
