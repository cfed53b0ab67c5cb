"""Compares codecs on one model: bits against accuracy. `python tools/rate_accuracy.py --help` has the help."""

from __future__ import annotations

from fmtc_tflite.cli.entry import rate_accuracy

if __name__ == "__main__":
    rate_accuracy()
