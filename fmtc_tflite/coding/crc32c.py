"""CRC-32C (Castagnoli), as FORMAT.md uses it. RFC 3720 appendix B.4 has test vectors."""

_POLYNOMIAL = 0x82F63B78  # 0x1EDC6F41 reflected


def _make_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _make_table()


def crc32c(*parts: bytes) -> int:
    """The CRC-32C of the concatenated parts."""
    value = 0xFFFFFFFF
    for part in parts:
        for byte in part:
            value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
