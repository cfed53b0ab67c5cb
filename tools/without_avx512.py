"""Runs a command on the LiteRT runtime as it would run on a processor that has AVX2 and neither AVX-512 nor VNNI.

Usage:
  python tools/without_avx512.py python tools/bench_regions.py --cpu_level avx2 MODEL.tflite ...
  python tools/without_avx512.py --amx_only COMMAND...       leaves AVX-512 and takes AMX, which few processors have

The command gets, by PYTHONPATH, a copy of the installed ai_edge_litert in whose libraries every CPUID instruction has
become an illegal one, and by LD_PRELOAD the library of tools/mask_avx512.c, which executes it less those bits.
For measuring only: XNNPACK takes its AVX2 kernels. Needs x86-64 Linux, objdump and a C compiler. The exit code is the
command's; 2 on wrong use.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_PACKAGE = "ai_edge_litert"
_CPUID, _UD2 = b"\x0f\xa2", b"\x0f\x0b"


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _file_offset(library: Path, address: int) -> int:
    """Where an address of code lies in the file."""
    for line in _run("readelf", "-lW", str(library)).splitlines():
        fields = line.split()
        if fields[:1] == ["LOAD"]:
            offset, start, size = int(fields[1], 16), int(fields[2], 16), int(fields[4], 16)
            if start <= address < start + size:
                return address - start + offset
    raise ValueError(f"{library}: nothing is loaded at {address:#x}")


def patch(library: Path) -> int:
    """Makes CPUID instructions illegal ones, in place. Returns their number."""
    code = _run("objdump", "-d", "--no-show-raw-insn", str(library))
    addresses = [int(match, 16) for match in re.findall(r"^\s*([0-9a-f]+):\s+cpuid\b", code, re.MULTILINE)]
    content = bytearray(library.read_bytes())
    for address in addresses:
        at = _file_offset(library, address)
        if content[at : at + 2] != _CPUID:
            raise ValueError(f"{library}: no CPUID instruction at {address:#x}")
        content[at : at + 2] = _UD2
    library.write_bytes(content)
    return len(addresses)


def main() -> int:
    """Runs the tool."""
    spec = importlib.util.find_spec(_PACKAGE)
    amx_only = sys.argv[1:2] == ["--amx_only"]
    command = sys.argv[2:] if amx_only else sys.argv[1:]
    if not command or spec is None or spec.origin is None:
        print(f"usage: without_avx512.py [--amx_only] COMMAND..., where {_PACKAGE} is installed", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / _PACKAGE
        shutil.copytree(Path(spec.origin).parent, package)
        patched = sum(patch(library) for library in package.glob("libpywrap*.so"))
        if patched == 0:
            print(f"no library of {_PACKAGE} asks for the processor's features", file=sys.stderr)
            return 2
        mask = Path(folder) / "mask_avx512.so"
        _run("cc", "-O2", "-shared", "-fPIC", "-o", str(mask), str(Path(__file__).with_name("mask_avx512.c")))
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"PYTHONPATH": path, "LD_PRELOAD": str(mask)}
        if amx_only:
            environment["FMTC_MASK_AMX_ONLY"] = "1"
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
