"""Compares codecs on one model: bits against accuracy. `python tools/rate_accuracy.py --help` has the help."""

from fmtc_tflite.cli.rate_accuracy import console_main

if __name__ == "__main__":
    console_main()
