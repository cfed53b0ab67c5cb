"""Compresses the feature maps inside quantized TensorFlow Lite models.

What runs a converted model needs numpy and a TFLite runtime only. Everything is imported when it is first used.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # type checkers take it for typing's, which takes long to import
if TYPE_CHECKING:
    from typing import Any

    from fmtc_tflite.api import convert, evaluate, profile, restore
    from fmtc_tflite.profiling.options import ProfileOptions
    from fmtc_tflite.profiling.outputs import ProfileOutputs
    from fmtc_tflite.runtime.compiled_model import load_compiled_model
    from fmtc_tflite.runtime.info import runtime_info
    from fmtc_tflite.runtime.interpreter import available_runtimes, delegate_path, load_interpreter
    from fmtc_tflite.types import CalibrationOptions, ConvertOptions, EvaluateOptions

    __version__: str

__all__ = [
    "CalibrationOptions",
    "ConvertOptions",
    "EvaluateOptions",
    "ProfileOptions",
    "ProfileOutputs",
    "__version__",
    "available_runtimes",
    "convert",
    "delegate_path",
    "evaluate",
    "load_compiled_model",
    "load_interpreter",
    "profile",
    "restore",
    "runtime_info",
]

_LAZY = {
    "convert": "api",
    "evaluate": "api",
    "profile": "api",
    "restore": "api",
    "available_runtimes": "runtime.interpreter",
    "delegate_path": "runtime.interpreter",
    "load_compiled_model": "runtime.compiled_model",
    "load_interpreter": "runtime.interpreter",
    "runtime_info": "runtime.info",
    "CalibrationOptions": "types",
    "ConvertOptions": "types",
    "EvaluateOptions": "types",
    "ProfileOptions": "profiling.options",
    "ProfileOutputs": "profiling.outputs",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("fmtc-tflite")
    if name not in _LAZY:
        raise AttributeError(f"module 'fmtc_tflite' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fmtc_tflite.{_LAZY[name]}"), name)
