"""Writes the ops for TensorFlow Lite Micro as a library in source, for build systems of boards.

Usage:
  python tools/micro_library.py FOLDER [--layout esp_idf|arduino]

esp_idf is a component that wants espressif/esp-tflite-micro, arduino a library folder beside one with TensorFlow Lite
Micro. Both have the sources in src/, among them micro/tflm_ops.h. Exit codes as those of fmtc-convert.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from absl import flags

from fmtc_tflite import __version__
from fmtc_tflite.cli import common
from fmtc_tflite.errors import UsageError

FLAGS = flags.FLAGS
flags.DEFINE_enum("layout", "esp_idf", ["esp_idf", "arduino"], "Whose folder.")

_NATIVE = Path(__file__).resolve().parent.parent / "custom_ops"
_LISTS = ("BASE", "SIMD", "CODEC", "MICRO_REGION", "MICRO", "TFLM")
_ROOMS = ("base", "cpu", "simd", "codec", "region", "micro")
_ALONE = ("tflite/op_options.cc", "tflite/op_options.h")
_DEFINITIONS = ("FMTC_SMALL", "FMTC_MICRO", "FMTC_TFLM_INCLUDE_DIR")
_CONFIGURED = "base/features.h"  # what every source of the library includes, so that no build system need define them


def _files() -> list[str]:
    lists = (_NATIVE / "CMakeLists.txt").read_text()
    found = []
    for name in _LISTS:
        block = re.search(rf"^set\(FMTC_{name}_SOURCES\n(.*?)^\)", lists, re.MULTILINE | re.DOTALL)
        assert block is not None, name
        found += block[1].split()
    headers = [path for room in _ROOMS for path in sorted((_NATIVE / room).glob("*.h"))]
    return [*found, *(path.relative_to(_NATIVE).as_posix() for path in headers), *_ALONE]


def _content(name: str) -> str:
    text = (_NATIVE / name).read_text()
    if name == _CONFIGURED or name.startswith("micro/tflm_abi"):
        text = "".join(f"#ifndef {each}\n#define {each}\n#endif\n" for each in _DEFINITIONS) + text
    return text


def _build_files(sources: list[str]) -> dict[str, str]:
    if FLAGS.layout == "arduino":
        properties = {
            "name": "fmtc_micro",
            "version": __version__,
            "author": "fmtc-tflite",
            "maintainer": "fmtc-tflite",
            "sentence": "Fused regions and coded feature maps for TensorFlow Lite Micro.",
            "paragraph": "Include micro/tflm_ops.h and add the ops to the resolver.",
            "category": "Data Processing",
            "url": "https://arxiv.org/abs/1905.10830",
            "architectures": "*",
            "includes": "micro/tflm_ops.h",
        }
        return {"library.properties": "".join(f"{key}={value}\n" for key, value in properties.items())}
    listed = "".join(f"    src/{name}\n" for name in sources)
    component = (
        f'idf_component_register(\n  SRCS\n{listed}  INCLUDE_DIRS "src"\n  REQUIRES esp-tflite-micro\n)\n'
        "target_compile_options(${COMPONENT_LIB} PRIVATE -O2 -ffp-contract=off)\n"
    )
    manifest = f'version: "{__version__}"\ndependencies:\n  espressif/esp-tflite-micro: "*"\n'
    return {"CMakeLists.txt": component, "idf_component.yml": manifest}


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if len(arguments) != 1:
        raise UsageError("expected one FOLDER; see --help")
    folder, files = Path(arguments[0]), _files()
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} has files in it, expected a new or empty folder")
    texts = {f"src/{name}": _content(name) for name in files}
    texts |= _build_files([name for name in files if name.endswith(".cc")])
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    common.show(f"written         {folder}, {len(texts)} files")


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
