"""Entry points of the installed scripts: light, so that they are in charge before anything heavy is imported."""

from __future__ import annotations

import importlib
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


def convert() -> None:
    """fmtc-convert."""
    _run("convert")


def evaluate() -> None:
    """fmtc-eval."""
    _run("evaluate")


def profile() -> None:
    """fmtc-profile."""
    _run("profile")


def rate_accuracy() -> None:
    """tools/rate_accuracy.py."""
    _run("rate_accuracy")


def _run(tool: str) -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored
        signal.signal(signal.SIGINT, _leave)  # an exception would not do: imported modules make other errors of it
    importlib.import_module("fmtc_tflite.cli.streams").prepare()
    errors = importlib.import_module("fmtc_tflite.errors")
    try:
        module = importlib.import_module(f"fmtc_tflite.cli.{tool}")
    except errors.RuntimeLibraryError as error:  # something of other packages is not where it was
        sys.exit(_complain(error))
    module.console_main()


def _complain(error: Exception) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 5


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Handles Ctrl-C until the tool's own work begins."""
    os.write(2, b"error: interrupted; nothing was written\n")
    os._exit(130)
