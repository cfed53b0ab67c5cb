"""What users bring for ops that their runtime lacks: op libraries and delegates, attached to every interpreter.

An op library registers custom ops with the runtime's resolver. It is a shared library with a C function that gets a
`tflite::MutableOpResolver*` (the runtime calls it by its name), or a Python extension module with such functions. A
delegate is a shared library with `tflite_plugin_create_delegate`, TensorFlow Lite's interface of external delegates.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from fmtc_tflite.errors import RuntimeLibraryError, UsageError
from fmtc_tflite.types import NO_EXTENSIONS, Extensions

DEFAULT_FUNCTION = "RegisterSelectedOps"  # as TensorFlow Lite's own tools name it
_CPLUSPLUS_FUNCTION = "_Z19RegisterSelectedOpsPN6tflite17MutableOpResolverE"
_DELEGATE_FUNCTION = "tflite_plugin_create_delegate"

Registerer: TypeAlias = "str | Callable[[int], Any]"  # what the runtimes' Python interpreters take


_attached: ContextVar[Extensions] = ContextVar("extensions", default=NO_EXTENSIONS)


def attached_extensions() -> Extensions:
    """Those that are attached now."""
    return _attached.get()


def registerers(extensions: Extensions) -> list[Registerer]:
    """The functions of all op libraries."""
    return [registerer for library in extensions.op_libraries for registerer in _registerers(library)]


@contextmanager
def attached(extensions: Extensions) -> Iterator[None]:
    """Attaches them to all interpreters that are opened meanwhile.

    Raises:
      UsageError: a file is missing, or has no such function.
      RuntimeLibraryError: a Python module does not load.
    """
    registerers(extensions)
    for path in extensions.delegates:
        _check_delegate(path)
    token = _attached.set(extensions)
    try:
        yield
    finally:
        _attached.reset(token)


def _check_file(flag: str, path: str) -> str:
    if not os.path.isfile(path):
        raise UsageError(f"{flag} {path}: there is no such file; give a shared library")
    return os.path.abspath(path)


@functools.cache
def _check_delegate(path: str) -> None:
    """The runtimes' own loaders end in tracebacks."""
    library = _load("--delegate", _check_file("--delegate", path))
    if not hasattr(library, _DELEGATE_FUNCTION):
        raise UsageError(f"--delegate {path}: it has no function {_DELEGATE_FUNCTION}, which external delegates have")


def _load(flag: str, path: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path, ctypes.RTLD_GLOBAL)  # where the runtime looks functions up by name
    except OSError as error:
        raise UsageError(f"{flag} {path} does not load: {error}; give a shared library for this machine") from error


@functools.cache
def _registerers(library: str) -> tuple[Registerer, ...]:
    file, _, function = (library, "", "") if os.path.isfile(library) else library.rpartition(":")
    path = _check_file("--op_library", file or library)
    loaded = _load("--op_library", path)
    if hasattr(loaded, f"PyInit_{_module_name(path)}"):
        return _of_python_module(path, function)
    names = (function,) if function else (DEFAULT_FUNCTION, _CPLUSPLUS_FUNCTION)
    for name in names:
        if hasattr(loaded, name):
            return (name,)
    raise UsageError(
        f"--op_library {path}: it has no function {names[0]}; name the one that takes a tflite::MutableOpResolver*, as "
        f"--op_library {path}:FUNCTION"
    )


def _of_python_module(path: str, function: str) -> tuple[Registerer, ...]:
    specification = importlib.util.spec_from_file_location(_module_name(path), path)
    assert specification is not None
    assert specification.loader is not None
    try:
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    except ImportError as error:
        raise RuntimeLibraryError(f"--op_library {path} does not load: {error}") from error
    public = [name for name in vars(module) if callable(getattr(module, name)) and not name.startswith("_")]
    names = [function] if function else public
    if not names or not set(names) <= set(public):
        raise UsageError(f"--op_library {path}: got {function or 'no function'}, it has {', '.join(public) or 'none'}")
    return tuple(getattr(module, name) for name in names)


def _module_name(path: str) -> str:
    return os.path.basename(path).partition(".")[0]
