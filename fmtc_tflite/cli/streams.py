"""The standard streams of a tool: open, able to show any text, and with errors that say whose they are."""

from __future__ import annotations

import io
import os
import sys

# Of /dev/null, in place of a stream that is closed. Writing to stdout then fails, as it should.
_MODES = {0: os.O_RDONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}


class StdoutError(OSError):
    """Something cannot be printed."""


class _Stdout(io.FileIO):
    """Whose errors cannot be taken for those of other files."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as e:
            raise StdoutError(e.errno, e.strerror) from e


class _Stderr(io.FileIO):
    """Drops what cannot be written: a message or a progress bar that nobody sees must not end the work."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError:
            return len(memoryview(data))  # type: ignore[arg-type]


def prepare() -> None:
    """To be called first: what is opened before gets the number of a stream that is closed, and what is printed."""
    for number, mode in _MODES.items():
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # it gets the lowest free number, which is this one
    for name, raw in (("stdout", _Stdout(1, "w", closefd=False)), ("stderr", _Stderr(2, "w", closefd=False))):
        before = getattr(sys, name)
        encoding = "utf-8" if before is None else before.encoding
        stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace")
        stream.reconfigure(line_buffering=name == "stderr" or raw.isatty())
        setattr(sys, name, stream)


def drop_stdout() -> None:
    """Has what is left in stdout's buffer go nowhere, so that it does not fail once more when the process ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
