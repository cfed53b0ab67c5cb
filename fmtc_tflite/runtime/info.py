"""What runs converted models on this machine, for reports and bug reports."""

from __future__ import annotations

from typing import TypedDict

from fmtc_tflite.runtime.interpreter import available_runtimes
from fmtc_tflite.runtime.library import load_library


class RuntimeInfo(TypedDict):
    """What `runtime_info` returns."""

    library_version: str  # of the native library
    format_version: int  # the newest version of coded feature maps that it writes and reads
    cpu_level: str  # the instructions that it uses, as docs/building.md names them, or what FMTC_CPU_LEVEL asks for
    runtimes: tuple[str, ...]  # installed TensorFlow Lite runtimes, the preferred one first


def runtime_info() -> RuntimeInfo:
    """Versions and choices of the native library, and the runtimes that can load it.

    Raises:
      RuntimeLibraryError: the native library is missing or does not fit.
    """
    library = load_library()
    return {
        "library_version": library.fmtc_version().decode(),
        "format_version": library.fmtc_format_version(),
        "cpu_level": library.fmtc_cpu_level().decode(errors="replace"),
        "runtimes": available_runtimes(),
    }
