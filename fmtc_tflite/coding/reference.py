"""Readable encoder and decoder of FORMAT.md in numpy: slow, and the yardstick for the C++ core.

Nothing here is used for converting or running models; tests compare the two implementations byte by byte.
"""

from __future__ import annotations

import struct
from itertools import islice, pairwise

import numpy as np

from fmtc_tflite.coding.crc32c import crc32c
from fmtc_tflite.coding.geometry import HEADER_BYTES, SEGMENT_HEADER_BYTES, Geometry
from fmtc_tflite.coding.quantizer import quantize
from fmtc_tflite.coding.side_info import FORMAT_VERSION, SideInformation
from fmtc_tflite.coding.tables import decode_table, encode_steps
from fmtc_tflite.coding.token_classes import NUM_CONTEXTS
from fmtc_tflite.errors import BitstreamError, CodingError

LANES = 64
# Contexts 0 to 12 end at these sums of magnitudes, 13 has the rest.
_LAST_SUMS = np.array([0, 1, 2, 4, 7, 11, 15, 23, 35, 51, 79, 127, 191])
_NO_ROW_ABOVE = NUM_CONTEXTS - 1


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
    value = np.clip(value, info.lo, info.hi)
    return (value if info.convolution is None else info.convolution.apply(value)).astype(np.int8)


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


# --- Section 7.1: contexts -------------------------------------------------------------------------------------------


def contexts_of_row(info: SideInformation, above: np.ndarray | None, width: int) -> np.ndarray:
    """Contexts [W, r] of a row, from the residuals uint8 [W, r] of the row above; None in the first row of a group."""
    if above is None:
        return np.full((width, info.components), _NO_ROW_ABOVE)
    assert info.contexts is not None
    signed = above.view(np.int8).astype(np.int64)
    magnitude = np.where(info.contexts.one_sided, above, np.abs(signed))
    left, right = np.vstack([magnitude[:1], magnitude[:-1]]), np.vstack([magnitude[1:], magnitude[-1:]])
    return np.searchsorted(_LAST_SUMS, left + 2 * magnitude + right)


def tables_of_row(info: SideInformation, above: np.ndarray | None, width: int) -> np.ndarray:
    """Tables [W, r] of a row's residuals."""
    assert info.contexts is not None
    return info.contexts.tables[info.component_class, contexts_of_row(info, above, width)]


def tables_of_group(info: SideInformation, residual: np.ndarray) -> np.ndarray:
    """Tables of the residuals of a group, both [rows, W, r]."""
    above = [None, *residual[:-1]]
    return np.stack([tables_of_row(info, row, residual.shape[1]) for row in above])


# --- Section 7: segments ---------------------------------------------------------------------------------------------


def _runs(info: SideInformation, residual: np.ndarray, tables: np.ndarray | None) -> list[np.ndarray]:
    """Residuals uint8 [rows, W, r] in segment order, one array for each table, and with contexts for each row."""
    if tables is None:
        planar = residual.reshape(-1, info.components).T
        return [planar[info.component_class == j].ravel() for j in range(len(info.classes))]
    return [row[own == t] for row, own in zip(residual, tables, strict=True) for t in range(len(info.classes))]


def _steps(length: int) -> list[slice]:
    """The steps of a run: the partial one first."""
    first = length % LANES or LANES
    bounds = [0, *range(first, length + 1, LANES)]
    return [slice(a, b) for a, b in pairwise(bounds)] if length else []


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


def encode_segment(info: SideInformation, residual: np.ndarray, tables: np.ndarray | None = None) -> bytes:
    """Residuals uint8 [rows, W, r] of one segment, and with contexts their tables, to its stored bytes."""
    runs = _runs(info, residual, tables)
    count = len(info.classes)
    constant = sum(
        1 << t for t, c in enumerate(info.classes) if all((run == c.constant).all() for run in runs[t::count])
    )
    coded = [i for i, run in enumerate(runs) if len(run) and not constant >> i % count & 1]
    if not coded:
        return bytes([constant]) if residual.size > 1 else residual.tobytes()
    raw_bits = _Bits()
    steps: list[tuple[int, np.ndarray]] = []
    for i in coded:
        cls = info.classes[i % count]
        tokens = cls.token_of_value[runs[i]]
        for token, value in zip(tokens.tolist(), runs[i].tolist(), strict=True):
            raw_bits.add((value - int(cls.first_values[token])) % 256, cls.log2_widths[token])
        steps += [(i % count, tokens[s]) for s in _steps(len(tokens))]
    states, token_bits = _encode_tokens(info, steps, coded[-1] >= len(runs) - count)
    total, length = token_bits.to_int()
    start = -length % 8
    token_stream = (total << start).to_bytes((length + start) // 8, "little")
    raw_total, raw_length = raw_bits.to_int()
    packed_states = sum(int(s) << 6 * lane for lane, s in enumerate(states)).to_bytes(48, "little")
    stored = struct.pack("<BI", constant, start | len(token_stream) << 3) + packed_states
    stored += token_stream + raw_total.to_bytes(-(-raw_length // 8), "little")
    return stored if len(stored) < residual.size else np.concatenate(runs).tobytes()


def _encode_tokens(
    info: SideInformation, steps: list[tuple[int, np.ndarray]], in_last_row: bool
) -> tuple[np.ndarray, _Bits]:
    """tANS over all steps, backwards; returns the decoder's first states and its token bits.

    Args:
      steps: of the tables and tokens.
      in_last_row: whether the last step is one of the segment's last row, or there are no contexts.
    """
    tables = {j: encode_steps(info.classes[j].counts) for j, _ in steps}
    states = np.zeros(LANES, np.uint8)
    backwards: list[tuple[int, int]] = []
    for n, (j, tokens) in enumerate(reversed(steps)):
        bits, following, first = tables[j]
        if n == 0 and len(tokens) == LANES and in_last_row:
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


class _SegmentReader:
    """What a stored segment of `size` residuals has, run by run."""

    def __init__(self, info: SideInformation, stored: bytes, size: int) -> None:
        self._info, self._raw = info, stored if len(stored) == size else None
        self._constant, self._streams = 0, list[_BitReader]()
        if self._raw is None:
            self._open(stored, size)

    def _open(self, stored: bytes, size: int) -> None:
        every = (1 << len(self._info.classes)) - 1
        if not 0 < len(stored) < size or stored[0] > every:
            raise BitstreamError("segment has an impossible length or class mask")
        self._constant = stored[0]
        if self._constant == every:
            if len(stored) != 1:
                raise BitstreamError("segment of constant classes has more than one byte")
            return
        if len(stored) < SEGMENT_HEADER_BYTES:
            raise BitstreamError("segment ends inside its header")
        start_and_length = struct.unpack_from("<I", stored, 1)[0]
        raw_start = SEGMENT_HEADER_BYTES + (start_and_length >> 3)
        if raw_start > len(stored):
            raise BitstreamError("segment ends inside its token stream")
        packed = int.from_bytes(stored[5:SEGMENT_HEADER_BYTES], "little")
        self._states = [packed >> 6 * lane & 63 for lane in range(LANES)]
        token_bytes = stored[SEGMENT_HEADER_BYTES:raw_start]
        self._streams = [_BitReader(token_bytes, start_and_length & 7), _BitReader(stored[raw_start:], 0)]

    def take(self, lengths: list[int], is_last: bool) -> list[np.ndarray]:
        """Runs of these lengths, one for each table; the segment's last ones or, with contexts, rows before."""
        if self._raw is not None:
            runs = np.split(np.frombuffer(self._raw[: sum(lengths)], np.uint8), np.cumsum(lengths)[:-1])
            self._raw = self._raw[sum(lengths) :]
            return runs
        runs = [np.full(n, c.constant, np.uint8) for n, c in zip(lengths, self._info.classes, strict=True)]
        coded = [t for t, n in enumerate(lengths) if n and not self._constant >> t & 1]
        for t in coded:
            self._decode_run(t, runs[t], is_last and t == coded[-1])
        return runs

    def _decode_run(self, t: int, run: np.ndarray, is_last: bool) -> None:
        cls, table = self._info.classes[t], decode_table(self._info.classes[t].counts)
        token_bits, raw_bits = self._streams
        for step in _steps(len(run)):
            is_free = is_last and step.stop == len(run) and step.stop - step.start == LANES
            for lane in range(step.stop - step.start):
                state = self._states[lane]
                token = int(table.token[state])
                if not is_free:
                    self._states[lane] = int(table.base[state]) + token_bits.take(int(table.bits[state]))
                extra = raw_bits.take(cls.log2_widths[token])
                run[step.start + lane] = (int(cls.first_values[token]) + extra) % 256

    def finish(self) -> None:
        """Raises BitstreamError if something is left."""
        if self._streams:
            token_bits, raw_bits = self._streams
            if token_bits.position != token_bits.end or -(-raw_bits.position // 8) * 8 != raw_bits.end:
                raise BitstreamError("segment has bytes that no value used")


def decode_segment(
    info: SideInformation, stored: bytes, shape: tuple[int, int], above: np.ndarray | None = None
) -> np.ndarray:
    """Stored bytes of a segment to residuals.

    Args:
      info: of the map.
      stored: the segment.
      shape: its rows, and W.
      above: residuals [W, r] of the row above, for contexts; None if the segment begins a group.

    Returns:
      uint8 [rows, W, r].
    """
    rows, width = shape
    reader = _SegmentReader(info, stored, rows * width * info.components)
    residual = np.empty((rows, width, info.components), np.uint8)
    if info.contexts is None:
        planes = [info.component_class == j for j in range(len(info.classes))]
        runs = reader.take([rows * width * int(own.sum()) for own in planes], True)
        for own, run in zip(planes, runs, strict=True):
            residual[..., own] = np.moveaxis(run.reshape(-1, rows, width), 0, 2)
    else:
        for y in range(rows):
            tables = tables_of_row(info, above, width)
            runs = reader.take([int((tables == t).sum()) for t in range(len(info.classes))], y == rows - 1)
            for t, run in enumerate(runs):
                residual[y][tables == t] = run
            above = residual[y]
    reader.finish()
    return residual


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
        residuals = [predict_group(info.predictor, group) for group in groups]
        cuts = np.cumsum(g.segment_rows)[:-1]
        tables: list[np.ndarray | None] = [None] * len(g.segment_rows)
        if info.contexts is not None:
            tables = [*np.split(np.concatenate([tables_of_group(info, group) for group in residuals]), cuts)]
        own = zip(np.split(np.concatenate(residuals), cuts), tables, strict=True)
        segments += [encode_segment(info, residual, its_tables) for residual, its_tables in own]
    table = struct.pack(f"<{len(segments)}I", *map(len, segments))
    return _wrap(info, level, table + b"".join(segments))


def _wrap(info: SideInformation, level: int, body: bytes) -> bytes:
    head = struct.pack("<4sBBBBI", b"FMTC", info.stream_version, info.checksum, level, 0, HEADER_BYTES + len(body))
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
    expected = (b"FMTC", info.stream_version, info.checksum, 0)
    if (magic, version, flags, zero) != expected or level > info.constant_level:
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
    stored = iter(zip(segments, g.segment_rows, strict=True))
    groups = []
    for count in g.group_segments:
        residuals: list[np.ndarray] = []
        for segment, rows in islice(stored, count):
            above = residuals[-1][-1] if residuals else None
            residuals.append(decode_segment(info, segment, (rows, width), above))
        groups.append(unpredict_group(info.predictor, np.concatenate(residuals)))
    return np.concatenate(groups)
