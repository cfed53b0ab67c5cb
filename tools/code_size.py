"""Tells the size of a program for a microcontroller, function by function.

    python tools/code_size.py PROGRAM

PROGRAM is an ELF file, such as region_size of custom_ops/CMakeLists.txt; arm-none-eabi-nm must be installed.
"""

from __future__ import annotations

import subprocess
import sys

from absl import flags

from fmtc_tflite.cli import common
from fmtc_tflite.errors import UsageError

_NM = flags.DEFINE_string("nm", "arm-none-eabi-nm", "The program that lists symbols.")
_SECTIONS = {"t": "code", "r": "constants", "w": "code"}


def _symbols(program: str) -> list[tuple[int, str, str]]:
    """Size, section and name of each symbol that has a size, the largest first."""
    command = [_NM.value, "-CS", "--size-sort", "--reverse-sort", program]
    try:
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"{' '.join(command)} failed: {getattr(error, 'stderr', None) or error}") from error
    found = []
    for line in listed.splitlines():
        _, size, letter, name = line.split(maxsplit=3)
        if letter.lower() in _SECTIONS:
            found.append((int(size, 16), _SECTIONS[letter.lower()], name))
    return found


def _short(name: str) -> str:
    """Without parameters and namespaces."""
    name = name.replace("(anonymous namespace)::", "").replace("fmtc::region::", "").replace("fmtc::", "")
    return name.partition("(")[0] or name


def main(arguments: list[str]) -> None:
    """Runs the tool on one program."""
    if len(arguments) != 1:
        raise UsageError("name one program")
    symbols = _symbols(arguments[0])
    for size, section, name in symbols:
        print(f"{size:6}  {section:9}  {_short(name)}")
    for section in ("code", "constants"):
        print(f"{sum(size for size, of, _ in symbols if of == section):6}  {section:9}  in all")


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
