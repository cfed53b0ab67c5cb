"""The classes that flatc generates from TFLite's schema: internal to ai-edge-litert, and imported here alone."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from fmtc_tflite.errors import RuntimeLibraryError

__all__ = ["load_schema", "schema"]

TESTED_VERSIONS = "2.1 to 2.3"  # of ai-edge-litert
_MODULE = "ai_edge_litert.schema_py_generated"
_NEEDED = (
    "ActivationFunctionType",
    "BufferT",
    "BuiltinOperator",
    "BuiltinOptions",
    "BuiltinOptions2",
    "ExternalBufferT",  # else data in other files would be lost from tensors
    "MetadataT",
    "MirrorPadMode",
    "Model",
    "ModelT",
    "OperatorCodeT",
    "OperatorT",
    "Padding",
    "QuantizationDetails",
    "QuantizationParametersT",
    "SignatureDefT",
    "SparseIndexVector",
    "SubGraphT",
    "TensorMapT",
    "TensorT",
    "TensorType",
)


def load_schema() -> ModuleType:
    """The generated module.

    Raises:
      RuntimeLibraryError: ai-edge-litert is missing, or has the classes no more where tested versions have them.
    """
    advice = f"tested versions are {TESTED_VERSIONS}: run `pip install 'ai-edge-litert>=2.1,<3'`"
    try:
        importlib.import_module("ai_edge_litert")
    except ImportError as error:
        raise RuntimeLibraryError(f"ai-edge-litert is not installed; {advice}") from error
    try:
        module = importlib.import_module(_MODULE)
    except ImportError as error:
        raise RuntimeLibraryError(
            f"this ai-edge-litert has no {_MODULE}, which is internal to it and has moved ({error}); {advice}"
        ) from error
    missing = [name for name in _NEEDED if not hasattr(module, name)]
    if missing:
        raise RuntimeLibraryError(
            f"{_MODULE} is internal to ai-edge-litert and has changed: it has no {', '.join(missing)}; {advice}"
        )
    return module


if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema
else:
    schema = load_schema()
