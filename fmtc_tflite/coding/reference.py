"""Readable encoder and decoder of FORMAT.md in numpy: slow, and the yardstick for the C++ core.

Nothing here is used for converting or running models; tests compare the two implementations byte by byte.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np

from fmtc_tflite.coding.crc32c import crc32c
from fmtc_tflite.coding.geometry import HEADER_BYTES, SEGMENT_HEADER_BYTES, Geometry
from fmtc_tflite.coding.quantizer import quantize
from fmtc_tflite.coding.side_info import FORMAT_VERSION, SideInformation
from fmtc_tflite.coding.tables import decode_table, encode_steps
from fmtc_tflite.errors import BitstreamError, CodingError

LANES = 64


# --- Section 4: analysis and synthesis -------------------------------------------------------------------------------


def analyse(info: SideInformation, q: np.ndarray, level: int) -> np.ndarray:
    """Signed values [..., channels] to indices, int8 [..., r]."""
    if info.analysis is not None:
        shift = info.analysis.shift + level
        total = q.astype(np.int64) @ info.analysis.matrix.T.astype(np.int64) + info.analysis.bias + (1 << shift - 1)
        return np.clip(total >> shift, -128, 127).astype(np.int8)
    return quantize(q.astype(np.int64) - info.centres, info.steps << level).astype(np.int8)


def synthesise(info: SideInformation, k: np.ndarray, level: int) -> np.ndarray:
    """Indices int8 [..., r] to decoded signed values, int8 [..., C]."""
    index = k.astype(np.int64)
    if info.analysis is None:
        step = info.steps << level
        lowest, highest = quantize(-128 - info.centres, step), quantize(127 - info.centres, step)
        index = np.minimum(lowest + (index - lowest) % 256, highest)
    if info.synthesis is None:
        value = info.centres + np.sign(index) * ((np.abs(index) * (info.steps << level) + 8) // 16)
    else:
        matrix, shift = info.synthesis.matrix.T.astype(np.int64), info.synthesis.shift
        value = ((index << level) @ matrix + info.synthesis.bias + (1 << shift - 1)) >> shift
    return np.clip(value, info.lo, info.hi).astype(np.int8)


# --- Section 5: prediction -------------------------------------------------------------------------------------------


def _predict_row(predictor: np.ndarray, left: np.ndarray, up: np.ndarray | None, up_left: np.ndarray) -> np.ndarray:
    """Prediction [r] at one pixel from its neighbours [r]; `up` is None in the first row of a group."""
    if up is None:
        return np.where(predictor == 0, 0, left)
    gradient = np.clip(left + up - up_left, np.minimum(left, up), np.maximum(left, up))
    return np.choose(predictor, [np.zeros_like(left), left, up, (left + up) >> 1, gradient])


def _neighbours(k: np.ndarray, y: int, x: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    up = k[y - 1, x] if y else None
    if x:
        return k[y, x - 1], up, k[y - 1, x - 1] if y else k[y, x - 1]
    left = up if up is not None else np.zeros(k.shape[2], np.int64)
    return left, up, left


def predict_group(predictor: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Indices int8 [rows, W, r] of a group to residuals, uint8 of the same shape."""
    wide = k.astype(np.int64)
    residual = np.empty_like(wide)
    for y in range(k.shape[0]):
        for x in range(k.shape[1]):
            residual[y, x] = wide[y, x] - _predict_row(predictor, *_neighbours(wide, y, x))
    return (residual % 256).astype(np.uint8)


def unpredict_group(predictor: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Inverse of predict_group."""
    rows, width, r = residual.shape
    k = np.zeros((rows, width, r), np.int64)
    for y in range(rows):
        for x in range(width):
            value = residual[y, x] + _predict_row(predictor, *_neighbours(k, y, x))
            k[y, x] = (value + 128) % 256 - 128
    return k.astype(np.int8)


# --- Section 7: segments ---------------------------------------------------------------------------------------------


def _runs(info: SideInformation, residual: np.ndarray) -> list[np.ndarray]:
    """Residuals uint8 [rows, W, r] in segment order, one array per class."""
    planar = residual.reshape(-1, info.components).T
    return [planar[info.component_class == j].ravel() for j in range(len(info.classes))]


def _steps(length: int) -> list[slice]:
    """The steps of a run: the partial one first."""
    first = length % LANES or LANES
    bounds = [0, *range(first, length + 1, LANES)]
    return [slice(a, b) for a, b in pairwise(bounds)]


class _Bits:
    """A little-endian bit string of growing length, least significant bit first."""

    def __init__(self) -> None:
        self.fields: list[tuple[int, int]] = []

    def add(self, value: int, width: int) -> None:
        self.fields.append((value, width))

    def to_int(self) -> tuple[int, int]:
        """All fields as one integer, and their length in bits."""
        digits = "".join(f"{value:0{width}b}" for value, width in reversed(self.fields) if width)
        return int(digits or "0", 2), len(digits)


def encode_segment(info: SideInformation, residual: np.ndarray) -> bytes:
    """Residuals uint8 [rows, W, r] of one segment to its stored bytes."""
    runs = _runs(info, residual)
    constant = sum(1 << j for j, run in enumerate(runs) if (run == info.classes[j].constant).all())
    coded = [j for j in range(len(runs)) if not constant >> j & 1]
    if not coded:
        return bytes([constant]) if residual.size > 1 else residual.tobytes()
    raw_bits = _Bits()
    steps: list[tuple[int, np.ndarray]] = []
    for j in coded:
        cls = info.classes[j]
        tokens = cls.token_of_value[runs[j]]
        for token, value in zip(tokens.tolist(), runs[j].tolist(), strict=True):
            raw_bits.add((value - int(cls.first_values[token])) % 256, cls.log2_widths[token])
        steps += [(j, tokens[s]) for s in _steps(len(tokens))]
    states, token_bits = _encode_tokens(info, steps)
    total, length = token_bits.to_int()
    start = -length % 8
    token_stream = (total << start).to_bytes((length + start) // 8, "little")
    raw_total, raw_length = raw_bits.to_int()
    packed_states = sum(int(s) << 6 * lane for lane, s in enumerate(states)).to_bytes(48, "little")
    stored = struct.pack("<BI", constant, start | len(token_stream) << 3) + packed_states
    stored += token_stream + raw_total.to_bytes(-(-raw_length // 8), "little")
    return stored if len(stored) < residual.size else np.concatenate(runs).tobytes()


def _encode_tokens(info: SideInformation, steps: list[tuple[int, np.ndarray]]) -> tuple[np.ndarray, _Bits]:
    """tANS over all steps, backwards; returns the decoder's first states and its token bits."""
    tables = {j: encode_steps(info.classes[j].counts) for j, _ in steps}
    states = np.zeros(LANES, np.uint8)
    backwards: list[tuple[int, int]] = []
    for n, (j, tokens) in enumerate(reversed(steps)):
        bits, following, first = tables[j]
        if n == 0 and len(tokens) == LANES:
            states = first[tokens]
            continue
        for lane in reversed(range(len(tokens))):
            state, token = int(states[lane]), int(tokens[lane])
            width = int(bits[token, state])
            backwards.append(((LANES + state) & (1 << width) - 1, width))
            states[lane] = following[token, state]
    out = _Bits()
    out.fields = backwards[::-1]
    return states, out


class _BitReader:
    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.end, self.position = data, 8 * len(data), position

    def take(self, width: int) -> int:
        first = self.position // 8
        window = int.from_bytes(self.data[first : first + 2], "little")
        value = window >> self.position % 8 & (1 << width) - 1
        self.position += width
        if self.position > self.end:
            raise BitstreamError("segment ends inside a stream")
        return value


def decode_segment(info: SideInformation, stored: bytes, shape: tuple[int, int]) -> np.ndarray:
    """Stored bytes of a segment of `shape` (rows, W) to residuals, uint8 [rows, W, r]."""
    pixels = shape[0] * shape[1]
    sizes = [pixels * int((info.component_class == j).sum()) for j in range(len(info.classes))]
    if len(stored) == sum(sizes):
        runs = np.split(np.frombuffer(stored, np.uint8), np.cumsum(sizes)[:-1])
    else:
        runs = _decode_coded(info, stored, sizes)
    planar = np.empty((info.components, pixels), np.uint8)
    for j, run in enumerate(runs):
        planar[info.component_class == j] = run.reshape(-1, pixels)
    return planar.T.reshape(*shape, info.components)


def _decode_coded(info: SideInformation, stored: bytes, sizes: list[int]) -> list[np.ndarray]:
    constant = stored[0] if stored else 255
    if constant >> len(sizes) or not 0 < len(stored) < sum(sizes):
        raise BitstreamError("segment has an impossible length or class mask")
    runs = [np.full(n, c.constant, np.uint8) for n, c in zip(sizes, info.classes, strict=True)]
    coded = [j for j in range(len(sizes)) if not constant >> j & 1]
    if not coded:
        if len(stored) != 1:
            raise BitstreamError("segment of constant classes has more than one byte")
        return runs
    if len(stored) < SEGMENT_HEADER_BYTES:
        raise BitstreamError("segment ends inside its header")
    start_and_length = struct.unpack_from("<I", stored, 1)[0]
    raw_start = SEGMENT_HEADER_BYTES + (start_and_length >> 3)
    if raw_start > len(stored):
        raise BitstreamError("segment ends inside its token stream")
    packed = int.from_bytes(stored[5:SEGMENT_HEADER_BYTES], "little")
    states = [packed >> 6 * lane & 63 for lane in range(LANES)]
    token_bits = _BitReader(stored[SEGMENT_HEADER_BYTES:raw_start], start_and_length & 7)
    raw_bits = _BitReader(stored[raw_start:], 0)
    for j in coded:
        cls, table = info.classes[j], decode_table(info.classes[j].counts)
        for step in _steps(sizes[j]):
            last = j == coded[-1] and step.stop == sizes[j] and step.stop - step.start == LANES
            for lane in range(step.stop - step.start):
                state = states[lane]
                token = int(table.token[state])
                if not last:
                    states[lane] = int(table.base[state]) + token_bits.take(int(table.bits[state]))
                extra = raw_bits.take(cls.log2_widths[token])
                runs[j][step.start + lane] = (int(cls.first_values[token]) + extra) % 256
    if token_bits.position != token_bits.end or -(-raw_bits.position // 8) * 8 != raw_bits.end:
        raise BitstreamError("segment has bytes that no value used")
    return runs


# --- Section 8: the coded tensor -------------------------------------------------------------------------------------


def _signed(x: np.ndarray) -> np.ndarray:
    return (x ^ 0x80).view(np.int8) if x.dtype == np.uint8 else x


def encode(info: SideInformation, x: np.ndarray, capacity_bytes: int | None = None) -> bytes:
    """Feature map int8 or uint8 [N, H, W, channels] to its coded bytes.

    Raises:
      CodingError: the shape does not fit, or without levels the capacity is too small.
    """
    if x.ndim != 4 or x.shape[3] != info.input_channels or x.dtype not in (np.int8, np.uint8):
        raise CodingError(f"got {x.dtype} {x.shape}, expected int8 or uint8 [N, H, W, {info.input_channels}]")
    if x.size == 0:
        return b""
    g = info.geometry(x.shape[1], x.shape[2])
    always_enough = x.shape[0] * g.item_capacity_bytes
    capacity_bytes = always_enough if capacity_bytes is None else capacity_bytes
    if info.constant_level == 0 and capacity_bytes < always_enough:
        raise CodingError(f"capacity is {capacity_bytes} bytes, expected at least {always_enough} without levels")
    for level in range(info.constant_level or 1):
        coded = _encode_level(info, _signed(x), level, g)
        if len(coded) <= capacity_bytes:
            return coded
    return _wrap(info, info.constant_level, b"")


def _encode_level(info: SideInformation, q: np.ndarray, level: int, g: Geometry) -> bytes:
    segments: list[bytes] = []
    for item in q:
        k = analyse(info, item, level)
        groups = np.split(k, np.cumsum(g.group_rows)[:-1])
        residual = np.concatenate([predict_group(info.predictor, group) for group in groups])
        segments += [encode_segment(info, s) for s in np.split(residual, np.cumsum(g.segment_rows)[:-1])]
    table = struct.pack(f"<{len(segments)}I", *map(len, segments))
    return _wrap(info, level, table + b"".join(segments))


def _wrap(info: SideInformation, level: int, body: bytes) -> bytes:
    head = struct.pack("<4sBBBBI", b"FMTC", info.version, info.checksum, level, 0, HEADER_BYTES + len(body))
    return head + struct.pack("<I", crc32c(head, body) if info.checksum else 0) + body


def decode(info: SideInformation, coded: bytes, shape: tuple[int, int, int], dtype: type) -> np.ndarray:
    """Coded bytes to the feature map `dtype` [N, H, W, C] with `shape` = (N, H, W).

    Raises:
      BitstreamError: the bytes are not a coded tensor of this shape.
    """
    n, height, width = shape
    if n == 0:
        return np.empty((0, height, width, info.channels), dtype)
    g = info.geometry(height, width)
    level, body = _unwrap(info, coded)
    if info.constant_level and level == info.constant_level:
        if body:
            raise BitstreamError("constant level with segments")
        k = np.zeros((n, height, width, info.components), np.int8)
    else:
        k = np.stack([_decode_item(info, g, width, s) for s in _split_segments(body, n, len(g.segment_rows))])
    q = synthesise(info, k, level)
    return q.view(np.uint8) ^ 0x80 if dtype == np.uint8 else q


def _unwrap(info: SideInformation, coded: bytes) -> tuple[int, bytes]:
    if len(coded) < HEADER_BYTES:
        raise BitstreamError(f"coded tensor has {len(coded)} bytes, expected at least {HEADER_BYTES}")
    magic, version, flags, level, zero, payload, crc = struct.unpack_from("<4sBBBBII", coded)
    if version > FORMAT_VERSION:
        raise BitstreamError(f"coded tensor has format {version}, this version reads 1..{FORMAT_VERSION}")
    if magic != b"FMTC" or version != info.version or flags != info.checksum or level > info.constant_level or zero:
        raise BitstreamError("coded tensor has a damaged header")
    if not HEADER_BYTES <= payload <= len(coded):
        raise BitstreamError(f"coded tensor names {payload} bytes and has {len(coded)}")
    body = coded[HEADER_BYTES:payload]
    if crc != (crc32c(coded[:12], body) if info.checksum else 0):
        raise BitstreamError("coded tensor does not match its checksum")
    return level, body


def _split_segments(body: bytes, items: int, per_item: int) -> list[list[bytes]]:
    count = items * per_item
    if len(body) < 4 * count:
        raise BitstreamError("coded tensor ends inside its segment table")
    ends = np.cumsum([4 * count, *struct.unpack_from(f"<{count}I", body)])
    if ends[-1] != len(body):
        raise BitstreamError("segment lengths do not add up")
    segments = [body[a:b] for a, b in pairwise(ends)]
    return [segments[i : i + per_item] for i in range(0, count, per_item)]


def _decode_item(info: SideInformation, g: Geometry, width: int, segments: list[bytes]) -> np.ndarray:
    residual = np.concatenate(
        [decode_segment(info, s, (rows, width)) for s, rows in zip(segments, g.segment_rows, strict=True)]
    )
    groups = np.split(residual, np.cumsum(g.group_rows)[:-1])
    return np.concatenate([unpredict_group(info.predictor, group) for group in groups])
