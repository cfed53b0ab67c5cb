"""The readable executor of region programs (custom_ops/REGION.md), the yardstick for faster ones: numpy, row by row.

It executes a program's bytes as they are, in scratch memory of the stated size, with the rings and overlays that the
program says; nothing here knows how programs are planned.
"""

from __future__ import annotations

from fmtc_tflite.regions.reference.machine import run_program

__all__ = ["run_program"]
