"""CRC-32C (Castagnoli), as FORMAT.md and REGION.md use it. RFC 3720 appendix B.4 has test vectors."""

from __future__ import annotations

import numpy as np

_POLYNOMIAL = 0x82F63B78  # 0x1EDC6F41 reflected
_LANES = 1024  # pieces of long data that go through the table side by side
_LEAST_LONG_BYTES = 64 * _LANES


def _make_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _make_table()
_TABLE_ARRAY = np.array(_TABLE, np.uint32)


def crc32c(*parts: bytes) -> int:
    """The CRC-32C of the concatenated parts."""
    value = 0xFFFFFFFF
    for part in parts:
        value = _extend_long(value, part) if len(part) >= _LEAST_LONG_BYTES else _extend(value, part)
    return value ^ 0xFFFFFFFF


def _extend(value: int, data: bytes) -> int:
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value


def _extend_long(value: int, data: bytes) -> int:
    """Each lane from 0, then put together: the register is linear in what stood in it and in the bytes."""
    length = len(data) // _LANES
    columns = np.frombuffer(data, np.uint8, length * _LANES).reshape(_LANES, length).T
    lanes, basis = np.zeros(_LANES, np.uint32), np.uint32(1) << np.arange(32, dtype=np.uint32)
    for column in columns:
        lanes = lanes >> np.uint32(8) ^ _TABLE_ARRAY[(lanes ^ column) & np.uint32(0xFF)]
        basis = basis >> np.uint32(8) ^ _TABLE_ARRAY[basis & np.uint32(0xFF)]
    after = basis.tolist()  # of each bit of the register: what a lane's worth of zero bytes makes of it
    for lane in lanes.tolist():
        moved = 0
        while value:
            bit = value & -value
            moved ^= after[bit.bit_length() - 1]
            value ^= bit
        value = moved ^ lane
    return _extend(value, data[length * _LANES :])
