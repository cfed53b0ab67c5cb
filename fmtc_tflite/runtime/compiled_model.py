"""Converted models under CompiledModel, the main API of LiteRT 2. Experimental: it rests on what is internal to LiteRT.

LiteRT's Python package takes no delegates there, and no accelerators but those whose libraries it finds, under names
that it knows, in a folder when an environment is made. So it gets a folder in which ours has such a name.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fmtc_tflite.errors import RuntimeLibraryError
from fmtc_tflite.runtime.library import library_path, load_library

TESTED_VERSIONS = ("2.2", "2.3")  # of ai-edge-litert
_PACKAGE = "ai-edge-litert"
_LIBRARY_NAME = "libfmtc_litert_accelerator.so"
_NAME_THAT_LITERT_LOOKS_FOR = "libLiteRtGpuAccelerator.so"


def load_compiled_model(model_path: str | Path, num_threads: int | None = None) -> Any:
    """Compiles a model, converted or not, for the CPU, with the ops of this package.

    Args:
      model_path: the `.tflite` file.
      num_threads: threads for the kernels, those of regions as well; None = 1, which is LiteRT's default.

    Returns:
      The `CompiledModel` of ai_edge_litert.

    Raises:
      RuntimeLibraryError: ai-edge-litert or the native library is missing, or the former has a version that is not
        tested.
      RuntimeError: from LiteRT, on a file that is no model.
    """
    check_version()
    environment = _environment()
    module = importlib.import_module("ai_edge_litert.compiled_model")
    options = module.Options(
        hardware_accelerators=module.HardwareAccelerator.CPU,
        cpu_options=module.CpuOptions(num_threads=num_threads or 1),
    )
    return module.CompiledModel.from_file(str(model_path), environment=environment, options=options)


def check_version() -> None:
    """Raises RuntimeLibraryError where there is no ai-edge-litert whose CompiledModel is known to work."""
    tested = " and ".join(TESTED_VERSIONS)
    try:
        version = importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise RuntimeLibraryError(f"CompiledModel needs {_PACKAGE} {tested}; run `pip install {_PACKAGE}`") from None
    if re.sub(r"^(\d+\.\d+).*", r"\1", version) not in TESTED_VERSIONS:
        raise RuntimeLibraryError(
            f"{_PACKAGE} {version}: its CompiledModel takes converted models through what is internal to it, and "
            f"tested are {tested}; install one of these, or use fmtc_tflite.load_interpreter"
        )


@functools.cache
def _environment() -> Any:
    """One for the process, since LiteRT looks for accelerators when it is made."""
    load_library()  # checks that it loads, and that it and this package fit together
    library = library_path()
    accelerator = library.with_name(_LIBRARY_NAME)
    if not accelerator.is_file():
        raise RuntimeLibraryError(
            f"native library: {accelerator} is missing, expected it beside {library.name}; reinstall the package"
        )
    module = importlib.import_module("ai_edge_litert.environment")
    with TemporaryDirectory(prefix="fmtc_") as folder:
        (Path(folder) / _NAME_THAT_LITERT_LOOKS_FOR).symlink_to(accelerator)
        for file in library.parent.glob("libfmtc_tflite.so*"):  # which it looks for beside itself
            (Path(folder) / file.name).symlink_to(file)
        return module.Environment.create(options=module.EnvironmentOptions(runtime_path=folder))
