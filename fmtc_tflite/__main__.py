"""The tools without their scripts: python -m fmtc_tflite convert|eval|profile ..."""

from __future__ import annotations

import sys

import fmtc_tflite
from fmtc_tflite.cli import entry

_TOOLS = {"convert": entry.convert, "eval": entry.evaluate, "profile": entry.profile}


def main() -> None:
    """Runs the tool that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name == "--version":
        print(f"fmtc-tflite {fmtc_tflite.__version__}")
        return
    if name not in _TOOLS:
        asks = name in ("-h", "--help")
        usage = f"usage: python -m fmtc_tflite {'|'.join(_TOOLS)} ...; each has --help"
        print(usage if asks else f"error: {usage}", file=sys.stdout if asks else sys.stderr)
        sys.exit(0 if asks else 2)
    sys.argv = [f"fmtc-{name}", *sys.argv[2:]]
    _TOOLS[name]()


if __name__ == "__main__":
    main()
