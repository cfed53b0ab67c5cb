"""The accuracy tool, from the source tree; the same as the installed `fmtc-eval`, which has the help."""

from __future__ import annotations

from fmtc_tflite.cli.entry import evaluate

if __name__ == "__main__":
    evaluate()
