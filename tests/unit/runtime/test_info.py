"""What the native library says about itself, and the instructions that it is forced to use."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import fmtc_tflite
from fmtc_tflite.runtime.info import runtime_info

pytestmark = pytest.mark.extras

LEVELS = ["scalar", "neon", "neon_dotprod", "avx2", "avx_vnni", "avx512"]

# Codes a map of 3 segments, and prints the level, the CRC of the payload and whether it decodes.
PROGRAM = """
import zlib
import numpy as np
from fmtc_tflite.coding import entropy_model
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.runtime.info import runtime_info
from fmtc_tflite.runtime.library import NativeCodec

rng = np.random.default_rng(1)
x = np.clip(rng.normal(0, 6, (1, 37, 29, 23)), -128, 127).astype(np.int8)
classes = entropy_model.fit_classes(rng.gamma(0.3, 1, (2, 256)) ** 2)[0]
info = SideInformation(23, np.arange(23, dtype=np.uint8) % 2, np.arange(23, dtype=np.uint8) % 5, tuple(classes))
with NativeCodec(info.to_bytes(), x.shape[:3], np.int8) as codec:
    coded = codec.encode(x)
    print(runtime_info()["cpu_level"], zlib.crc32(coded.tobytes()), (codec.decode(coded) == x).all())
"""


def run_at(level: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"FMTC_CPU_LEVEL": level}
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)


def test_runtime_info() -> None:
    info = runtime_info()
    assert info["library_version"] == fmtc_tflite.__version__
    assert info["format_version"] == 2
    assert info["cpu_level"] in LEVELS
    assert info["runtimes"] == fmtc_tflite.available_runtimes()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the system's own names of x86 instructions")
def test_the_level_is_the_best_that_the_system_knows() -> None:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = set(next(line for line in lines if line.startswith("flags")).partition(":")[2].split())
    expected = "scalar"
    if flags >= {"avx2", "bmi1", "bmi2", "popcnt", "sse4_2", "pclmulqdq"}:
        expected = "avx2"
        if "avx_vnni" in flags or flags >= {"avx512vl", "avx512_vnni"}:
            expected = "avx_vnni"
        avx512 = {f"avx512{part}" for part in ("f", "dq", "cd", "bw", "vl", "vbmi", "_vbmi2", "_vnni", "_bitalg")}
        if flags >= avx512 | {"vpclmulqdq"}:
            expected = "avx512"
    environment = {name: value for name, value in os.environ.items() if name != "FMTC_CPU_LEVEL"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == expected


@pytest.mark.parametrize("level", LEVELS[1:])
def test_levels_write_the_same_bytes(level: str) -> None:
    done = run_at(level)
    if "lacks" in done.stderr:
        pytest.skip(f"this processor does not have {level}")
    assert done.returncode == 0, done.stderr
    chosen, *results = done.stdout.split()
    assert chosen == level
    assert results == run_at("scalar").stdout.split()[1:]
    assert results[1] == "True"


def test_unknown_level_is_refused() -> None:
    done = run_at("sse2")
    assert done.returncode != 0
    assert "RuntimeLibraryError" in done.stderr
    assert "FMTC_CPU_LEVEL" in done.stderr
