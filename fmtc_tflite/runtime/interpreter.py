"""Interpreters with the delegate attached, for each TensorFlow Lite runtime that is installed.

Needs numpy and a runtime, nothing else, so that a device can run converted models with little on it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fmtc_tflite.errors import RuntimeLibraryError, UsageError
from fmtc_tflite.runtime.extensions import attached_extensions, registerers
from fmtc_tflite.runtime.library import library_path, load_library


class _RuntimeApi(NamedTuple):
    """What the runtimes share, under three module names."""

    interpreter: Callable[..., Any]
    interpreter_with_custom_ops: Callable[..., Any]
    load_delegate: Callable[[str], Any]
    op_resolver_type: Any


def _from_module(name: str) -> _RuntimeApi:
    module = importlib.import_module(name)
    return _RuntimeApi(module.Interpreter, module.InterpreterWithCustomOps, module.load_delegate, module.OpResolverType)


def _from_tensorflow() -> _RuntimeApi:
    importlib.import_module("tensorflow")
    return _from_module("tensorflow.lite.python.interpreter")


_RUNTIMES: dict[str, Callable[[], _RuntimeApi]] = {
    "ai_edge_litert": lambda: _from_module("ai_edge_litert.interpreter"),
    "tflite_runtime": lambda: _from_module("tflite_runtime.interpreter"),
    "tensorflow": _from_tensorflow,
}


# The resolver type of each set of kernels, None for the runtime's default.
KERNEL_SETS = {"xnnpack": None, "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}


def _is_installed(runtime: str) -> bool:
    return importlib.util.find_spec(runtime) is not None


def available_runtimes() -> tuple[str, ...]:
    """Names of the installed runtimes, in the order in which load_interpreter prefers them."""
    return tuple(filter(_is_installed, _RUNTIMES))


def chosen_runtime(runtime: str | None = None) -> str:
    """The name of the runtime that load_interpreter takes.

    Raises:
      UsageError: unknown runtime name.
      RuntimeLibraryError: none is installed.
    """
    runtime = runtime or next(iter(available_runtimes()), None)
    if runtime is None:
        raise RuntimeLibraryError("no TensorFlow Lite runtime is installed; run `pip install ai-edge-litert`")
    if runtime not in _RUNTIMES:
        raise UsageError(f"unknown runtime {runtime!r}; choose one of {', '.join(_RUNTIMES)}")
    return runtime


def default_kernels(runtime: str | None = None) -> str:
    """The set of KERNEL_SETS that a runtime runs 8-bit models with by default (None: the first that is installed)."""
    name = runtime or next(iter(available_runtimes()), "")
    return "builtin" if name == "tflite_runtime" else "xnnpack"  # the last tflite-runtime leaves them to the built-ins


def has_vectors(runtime: str) -> bool:
    """Whether the runtime's built-in kernels are compiled with vectors, which round otherwise than plain loops."""
    return runtime != "tflite_runtime"


def delegate_path() -> str:
    """Path of the delegate, for `load_delegate(path)` of any runtime.

    Raises:
      RuntimeLibraryError: the native library is missing.
    """
    return str(library_path())


def load_interpreter(
    model_path: str | Path | None = None,
    runtime: str | None = None,
    num_threads: int | None = None,
    *,
    model_content: bytes | None = None,
    preserve_all_tensors: bool = False,
    builtin_kernels_only: bool = False,
    kernels: str | None = None,
    attach_delegate: bool = True,
) -> Any:
    """Opens a model, converted or not, with the delegate that runs the ops of this package.

    Op libraries and delegates of users that are attached (fmtc_tflite.runtime.extensions) get into it as well.

    Args:
      model_path: the `.tflite` file; or give `model_content`.
      runtime: 'ai_edge_litert', 'tflite_runtime' or 'tensorflow'; None takes the first that is installed.
      num_threads: threads for the runtime's kernels; None leaves it to the runtime.
      model_content: the model's bytes.
      preserve_all_tensors: keep every intermediate tensor readable after `invoke()`. Implies `builtin_kernels_only`,
        because other delegates keep their tensors to themselves.
      builtin_kernels_only: run without the runtime's default delegates (XNNPACK).
      kernels: run with the kernels of this set, of KERNEL_SETS: 'xnnpack' is the runtime's default with delegates,
        'builtin' the same as `builtin_kernels_only`, 'reference' the reference kernels.
      attach_delegate: False opens the model as a program without this package would.

    Returns:
      The runtime's own `Interpreter`. `allocate_tensors()` has not been called.

    Raises:
      UsageError: unknown runtime name; not exactly one of `model_path` and `model_content`.
      RuntimeLibraryError: no runtime, or not this one, is installed; the native library is missing or does not load.
      ValueError: from the runtime, on a file that is no model.
    """
    if (model_path is None) == (model_content is None):
        raise UsageError("load_interpreter needs either model_path or model_content")
    api = _load_api(runtime)
    options: dict[str, Any] = {"num_threads": num_threads, "experimental_preserve_all_tensors": preserve_all_tensors}
    if kernels is None:
        kernels = "builtin" if builtin_kernels_only or preserve_all_tensors else "xnnpack"
    if kernels not in KERNEL_SETS:
        raise UsageError(f"unknown kernels {kernels!r}; choose one of {', '.join(KERNEL_SETS)}")
    resolver = KERNEL_SETS[kernels]
    if resolver is not None:
        options["experimental_op_resolver_type"] = getattr(api.op_resolver_type, resolver)
    extensions = attached_extensions()
    delegates = list(extensions.delegates)
    if attach_delegate:
        load_library()  # checks that it loads, and that it and this package fit together
        delegates.insert(0, delegate_path())
    if delegates:
        options["experimental_delegates"] = [_load_delegate(api.load_delegate, path) for path in delegates]
    open_interpreter = api.interpreter
    if extensions.op_libraries:
        open_interpreter = functools.partial(api.interpreter_with_custom_ops, registerers(extensions))
    if model_path is not None:
        options["model_path"] = str(model_path)
    else:
        options["model_content"] = model_content
    return open_interpreter(**options)


@functools.cache
def _load_delegate(load: Callable[[str], Any], path: str) -> Any:
    """The runtime's delegate object. It has no state, so that one serves all interpreters."""
    try:
        return load(path)
    except (RuntimeError, ValueError, OSError) as e:
        raise RuntimeLibraryError(" ".join(str(e).split())) from e


def _load_api(runtime: str | None) -> _RuntimeApi:
    runtime = chosen_runtime(runtime)
    if not _is_installed(runtime):
        package = runtime.replace("_", "-")
        raise RuntimeLibraryError(
            f"the runtime {runtime} is not installed; run `pip install {package}` or use one of: "
            f"{', '.join(available_runtimes()) or 'none'}"
        )
    try:
        return _RUNTIMES[runtime]()
    except (ImportError, AttributeError) as e:
        raise RuntimeLibraryError(f"the runtime {runtime} is installed but does not load: {e}; reinstall it") from e
