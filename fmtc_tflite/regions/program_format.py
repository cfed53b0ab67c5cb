"""Numbers of a region program's container (custom_ops/REGION.md, section 3)."""

from __future__ import annotations

import struct

from fmtc_tflite.errors import ModelFormatError

MAGIC = b"FMRG"
VERSION = 1
SCRATCH, INPUT, OUTPUT = 0, 1, 2  # places
ELEMENT_BYTES = {1: 4, 2: 4, 3: 1, 4: 8, 9: 1}  # by TFLite's number of the type
PROGRAM_ALIGNMENT, WEIGHT_ALIGNMENT, SCRATCH_ALIGNMENT, ROW_ALIGNMENT = 16, 64, 64, 16

HEADER = struct.Struct("<4sHBBII6HI5I12s")
TENSOR = struct.Struct("<BBHIIIIIIIHHBBBBII")
OP = struct.Struct("<BBHHHIIIIII")
PASS = struct.Struct("<HHIII")
CRC_OFFSET = 12
MAX_COUNT = 65535  # of tensors, ops and passes
MAX_BYTES = 2**31 - 1


def require(condition: bool, problem: str) -> None:
    """Raises ModelFormatError about a program unless the condition holds."""
    if not condition:
        raise ModelFormatError(f"region program: {problem}")
