"""Side information of one feature map: FORMAT.md section 2."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fmtc_tflite.coding import convolution as convolutions
from fmtc_tflite.coding.convolution import Convolution
from fmtc_tflite.coding.crc32c import crc32c
from fmtc_tflite.coding.geometry import Geometry, geometry
from fmtc_tflite.coding.rounding import Requantization, Rule
from fmtc_tflite.coding.token_classes import MAP_BYTES, MAX_CLASSES, Contexts, TokenClass
from fmtc_tflite.errors import BitstreamError, CodingError

FORMAT_VERSION = 2  # the newest one
MAX_SEGMENT_ROWS = 65535
PREDICTORS = ("none", "left", "up", "average", "gradient")
STEP_ONE = 16  # steps are in 1/16 units
MAX_STEP = 4080
# What a step per component can be: one byte each, four bits of mantissa and three of exponent.
CODED_STEPS = np.array([(16 + code % 16) << code // 16 for code in range(128)])
MAX_LEVELS = 5

_HEADER = struct.Struct("<4sBBBBIIIIbbbBHBB")
_EXTENSION = struct.Struct("<HBB12s")  # of version 2
_CLASS_MASK = 7
_ONE_SIDED = 8  # in the code of a component
_HAS_ANALYSIS, _HAS_SYNTHESIS, _HAS_CENTRES, _HAS_STEPS, _HAS_CHECKSUM, _IS_COMPACT = (1 << i for i in range(6))
_MAX_EXPANSION_SHIFT = 40


@dataclass(frozen=True)
class AffineTransform:
    """y = (matrix @ x + bias + half) >> shift, in integers (FORMAT.md section 4.2).

    Attributes:
      matrix: int16 [rows, columns].
      bias: int32 [rows].
      shift: 1..30.
    """

    matrix: np.ndarray
    bias: np.ndarray
    shift: int

    def check(self, largest_input: int, level: int, where: str) -> None:
        """Raises CodingError unless a 32-bit accumulator holds every sum for |x| <= largest_input."""
        sums = np.abs(self.matrix.astype(np.int64)).sum(1) * largest_input + np.abs(self.bias.astype(np.int64))
        if not 1 <= self.shift <= 30 - level:
            raise CodingError(f"{where} shift is {self.shift}, expected 1..{30 - level}")
        if (sums + (1 << self.shift + level) >= 1 << 31).any():
            raise CodingError(f"{where} matrix can overflow a 32-bit accumulator; use a smaller shift")


@dataclass(frozen=True)
class CompactMatrix:
    """A synthesis matrix in bytes: 8-bit weights, a multiplier for each row (FORMAT.md section 2).

    Attributes:
      weights: int8 [C, r].
      multipliers: uint16 [C].
      shift: 1..40.
    """

    weights: np.ndarray
    multipliers: np.ndarray
    shift: int

    def expand(self, steps: np.ndarray) -> np.ndarray:
        """The matrix, int64 [C, r], for steps in 1/16 units, [r]."""
        scaled = self.weights.astype(np.int64) * self.multipliers.astype(np.int64)[:, None] * steps
        return (scaled + (1 << (self.shift - 1))) >> self.shift


@dataclass(frozen=True)
class SideInformation:
    """Everything that both ends need to know about one feature map, except its shape.

    Attributes:
      channels: channels of the (decoded) feature map, C.
      component_class: uint8 [r], the class of each coded component.
      predictor: uint8 [r], index into PREDICTORS.
      classes: 1..8 token classes, each with at least one component; with contexts the tables that their map names.
      centre: int8 scalar or int8 [r]; must be 0 with an analysis matrix.
      step: in 1/16 units, scalar or uint16 [r] of CODED_STEPS; must be 16 with an analysis matrix.
      lo, hi: range of decoded values in the int8 domain.
      analysis, synthesis: KLT matrices [r, C] and [C, r]; None for the step quantizer.
      compact: the synthesis matrix in the form in which it is stored; None if it is stored as it is.
      constant_level: L of FORMAT.md section 4.3; 0 = no levels.
      checksum: coded tensors carry a CRC-32C.
      segment_rows: rows in a segment, at most; 0 for as many as version 1 has.
      contexts: how tables follow from contexts; None if each class has its own.
      convolution: the synthesis in the place of a matrix; lo and hi then limit what it reads.
    """

    channels: int
    component_class: np.ndarray
    predictor: np.ndarray
    classes: tuple[TokenClass, ...]
    centre: int | np.ndarray = 0
    step: int | np.ndarray = STEP_ONE
    lo: int = -128
    hi: int = 127
    analysis: AffineTransform | None = None
    synthesis: AffineTransform | None = None
    compact: CompactMatrix | None = None
    constant_level: int = 0
    checksum: bool = True
    segment_rows: int = 0
    contexts: Contexts | None = None
    convolution: Convolution | None = None

    @property
    def version(self) -> int:
        """Of the format: 1 where nothing that version 2 added is used."""
        return 2 if self.convolution is not None else self.stream_version

    @property
    def stream_version(self) -> int:
        """Of coded tensors: what only decoders read does not change them."""
        return 2 if self.segment_rows or self.contexts is not None else 1

    @property
    def has_synthesis(self) -> bool:
        """Whether decoded values are computed from all components of a pixel."""
        return self.synthesis is not None or self.convolution is not None

    def geometry(self, height: int, width: int) -> Geometry:
        """How a batch item of `height` x `width` pixels is cut."""
        return geometry(height, width, self.components, self.segment_rows)

    @property
    def num_classes(self) -> int:
        """Classes of components."""
        return len(self.classes if self.contexts is None else self.contexts.tables)

    @property
    def components(self) -> int:
        """Coded components r."""
        return len(self.component_class)

    @property
    def centres(self) -> np.ndarray:
        """int64 [r]."""
        return np.broadcast_to(np.asarray(self.centre, np.int64), (self.components,))

    @property
    def steps(self) -> np.ndarray:
        """int64 [r], in 1/16 units."""
        return np.broadcast_to(np.asarray(self.step, np.int64), (self.components,))

    @property
    def is_lossy(self) -> bool:
        """Whether decoded values may differ from what was encoded, at level 0 already."""
        return self.analysis is not None or bool((self.steps > STEP_ONE).any())

    @property
    def input_channels(self) -> int:
        """Channels of the tensor that is encoded: C, or r where the producer emits components."""
        return self.channels if self.analysis is not None or not self.has_synthesis else self.components

    @property
    def weight_bytes(self) -> int:
        """Of a folded map: 8-bit weights and 32-bit biases of the convolution whose place the synthesis takes."""
        return self.channels * (self.components + 4)

    def __post_init__(self) -> None:
        used = np.unique(self.component_class)
        if len(used) != self.num_classes or not 1 <= self.num_classes <= MAX_CLASSES or used[-1] >= self.num_classes:
            raise CodingError(f"classes {used.tolist()} in use, expected each of 0..{self.num_classes - 1}")
        if self.contexts is not None:
            self.contexts.check(self.components, len(self.classes))
        if len(self.predictor) != self.components or max(self.predictor) >= len(PREDICTORS):
            raise CodingError("predictors must be one code 0..4 per component")
        if self.steps.min() < STEP_ONE or self.steps.max() > MAX_STEP:
            raise CodingError(f"steps {self.steps.min()}..{self.steps.max()} lie outside {STEP_ONE}..{MAX_STEP}")
        if np.ndim(self.step) and not np.isin(self.step, CODED_STEPS).all():
            raise CodingError("steps per component must have the form (16 + m) * 2**e in 1/16 units, m < 16, e < 8")
        if self.centres.min() < -128 or self.centres.max() > 127 or not -128 <= self.lo <= self.hi <= 127:
            raise CodingError("centres, lo and hi must be signed bytes with lo <= hi")
        if not 0 <= self.constant_level <= MAX_LEVELS:
            raise CodingError(f"constant level {self.constant_level} lies outside 0..{MAX_LEVELS}")
        if not 0 <= self.segment_rows <= MAX_SEGMENT_ROWS:
            raise CodingError(f"rows per segment {self.segment_rows} lie outside 0..{MAX_SEGMENT_ROWS}")
        self._check_matrices()

    def _check_matrices(self) -> None:
        r, c = self.components, self.channels
        if self.convolution is not None:
            matrices = (self.analysis, self.synthesis, self.compact)
            if r > c or self.convolution.weights.shape != (c, r) or any(each is not None for each in matrices):
                raise CodingError(f"a convolution of {self.convolution.weights.shape}, expected {(c, r)} and no matrix")
            self.convolution.check()
            return
        if self.synthesis is None:
            if self.analysis is not None or r != c:
                raise CodingError(f"{r} components for {c} channels need a synthesis matrix")
            return
        if r > c or self.synthesis.matrix.shape != (c, r):
            raise CodingError(f"synthesis matrix is {self.synthesis.matrix.shape}, expected {(c, r)} with r <= C")
        self.synthesis.check(255 << self.constant_level, 0, "synthesis")
        if self.compact is not None:
            if not 1 <= self.compact.shift <= _MAX_EXPANSION_SHIFT or self.analysis is not None:
                raise CodingError(f"a matrix in bytes needs a shift in 1..{_MAX_EXPANSION_SHIFT}, and no analysis")
            if not np.array_equal(self.compact.expand(self.steps), self.synthesis.matrix):
                raise CodingError("the synthesis matrix is not the expansion of its form in bytes")
        if self.analysis is not None:
            if self.analysis.matrix.shape != (r, c) or np.any(self.centre) or np.any(self.steps != STEP_ONE):
                raise CodingError(f"analysis must be [{r}, {c}] with centre 0 and step {STEP_ONE}")
            self.analysis.check(128, self.constant_level, "analysis")

    def to_bytes(self) -> bytes:
        """The constant tensor that both ops read; its length is a multiple of 16."""
        return self._serialized

    @cached_property
    def _serialized(self) -> bytes:
        per_centre, per_step = np.ndim(self.centre) > 0, np.ndim(self.step) > 0
        num_tables = 0 if self.contexts is None else len(self.classes)
        one_sided = 0 if self.contexts is None else self.contexts.one_sided
        rule = 0 if self.convolution is None else self.convolution.requantization.rule
        body = b"" if self.version == 1 else _EXTENSION.pack(self.segment_rows, num_tables, rule, bytes(12))
        body += (self.component_class | one_sided * _ONE_SIDED | self.predictor << 4).astype(np.uint8).tobytes()
        body += np.asarray(self.centre, np.int8).tobytes() if per_centre else b""
        body += np.searchsorted(CODED_STEPS, self.step).astype(np.uint8).tobytes() if per_step else b""
        body += b"" if self.contexts is None else self.contexts.map_bytes()
        body = _pad16(body + b"".join(c.to_bytes() for c in self.classes))
        for transform in (self.analysis, self.synthesis):
            if transform is not None:
                if transform is self.synthesis and self.compact is not None:
                    body += _pad16(self.compact.weights.astype(np.int8).tobytes())
                    body += _pad16(self.compact.multipliers.astype("<u2").tobytes())
                else:
                    body += _pad16(transform.matrix.astype("<i2").tobytes())
                body += _pad16(transform.bias.astype("<i4").tobytes())
        if self.convolution is not None:
            body += b"".join(map(_pad16, self.convolution.sections()))
        flags = (
            _HAS_ANALYSIS * (self.analysis is not None)
            | _HAS_SYNTHESIS * self.has_synthesis
            | _HAS_CENTRES * per_centre
            | _HAS_STEPS * per_step
            | _HAS_CHECKSUM * self.checksum
            | _IS_COMPACT * (self.compact is not None or self.convolution is not None)
        )
        header = _HEADER.pack(
            b"FMSI",
            self.version,
            flags,
            self.num_classes,
            self.constant_level,
            _HEADER.size + len(body),
            0,
            self.channels,
            self.components,
            self.lo,
            self.hi,
            0 if per_centre else int(self.centre),
            0 if self.analysis is None else self.analysis.shift,
            0 if per_step else int(self.step),
            0 if self.synthesis is None else self.synthesis.shift,
            0 if self.compact is None else self.compact.shift,
        )
        crc = crc32c(header[:12], header[16:], body)
        return header[:12] + struct.pack("<I", crc) + header[16:] + body

    @classmethod
    def from_bytes(cls, data: bytes) -> SideInformation:
        """Parses and checks side information.

        Raises:
          BitstreamError: wrong magic, newer version, damaged or inconsistent.
        """
        if len(data) < _HEADER.size or data[:4] != b"FMSI":
            raise BitstreamError("side information does not start with the magic FMSI; convert the model again")
        version, flags, classes, level, length, crc, channels, r = _HEADER.unpack_from(data)[1:9]
        if not 1 <= version <= FORMAT_VERSION:
            raise BitstreamError(f"side information has format {version}, this version reads 1..{FORMAT_VERSION}")
        if length != len(data) or crc != crc32c(data[:12], data[16:]):
            raise BitstreamError("side information is damaged (length or checksum); convert the model again")
        try:
            return _parse(data, version, flags, classes, level, channels, r)
        except (CodingError, ValueError, IndexError, KeyError, struct.error) as e:
            raise BitstreamError(f"side information is inconsistent: {e}; convert the model again") from e


def _pad16(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


class _Reader:
    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position

    def take(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.data, dtype, count, self.position)
        self.position += values.nbytes
        return values

    def align16(self) -> None:
        self.position += -self.position % 16

    def take_extension(self) -> tuple[int, int, int]:
        """Rows in a segment, the number of context tables, and the requantization rule of a convolution."""
        segment_rows, num_tables, rule, unknown = _EXTENSION.unpack_from(self.data, self.position)
        self.position += _EXTENSION.size
        if any(unknown):
            raise ValueError("a field that this version does not know is in use")
        return int(segment_rows), int(num_tables), int(rule)

    def take_contexts(self, classes: int, one_sided: np.ndarray) -> Contexts:
        return Contexts.from_map(one_sided, self.take("u1", classes * MAP_BYTES))

    def take_convolution(self, rows: int, columns: int, rule: Rule) -> Convolution:
        weights = self.take("i1", rows * columns).reshape(rows, columns)
        self.align16()
        biases = self.take_bias(rows)
        weight_zero, zero, low, high, unknown = convolutions.FIELDS.unpack_from(self.data, self.position)
        self.position += convolutions.FIELDS.size
        if any(unknown):
            raise ValueError("a field of the convolution is in use that this version does not know")
        scales = self.take(convolutions.SCALE_TYPES[rule], rows)
        self.align16()
        shifts = None if rule.in_floats else self.take("i1", rows)
        self.align16()
        return Convolution(weights, weight_zero, biases, Requantization(rule, scales, shifts, zero, low, high))

    def take_class(self) -> TokenClass:
        offset, constant, tokens = self.take("u1", 3).tolist()
        nibbles = self.take("u1", (tokens + 1) // 2)
        widths = np.stack([nibbles & 15, nibbles >> 4], 1).ravel()[:tokens].tolist()
        return TokenClass(offset, constant, tuple(widths), tuple(self.take("u1", tokens).tolist()))

    def take_affine(self, rows: int, columns: int, shift: int) -> AffineTransform:
        matrix = self.take("<i2", rows * columns).reshape(rows, columns)
        self.align16()
        return AffineTransform(matrix, self.take_bias(rows), shift)

    def take_bias(self, rows: int) -> np.ndarray:
        bias = self.take("<i4", rows)
        self.align16()
        return bias

    def take_compact(self, rows: int, columns: int, shift: int) -> CompactMatrix:
        weights = self.take("i1", rows * columns).reshape(rows, columns)
        self.align16()
        multipliers = self.take("<u2", rows)
        self.align16()
        return CompactMatrix(weights, multipliers, shift)


def _parse(data: bytes, version: int, flags: int, classes: int, level: int, channels: int, r: int) -> SideInformation:
    lo, hi, centre, analysis_shift, step, synthesis_shift, expansion_shift = _HEADER.unpack_from(data)[9:]
    reader = _Reader(data, _HEADER.size)
    segment_rows, num_tables, rule = (0, 0, 0) if version == 1 else reader.take_extension()
    info = reader.take("u1", r)
    centres = reader.take("i1", r) if flags & _HAS_CENTRES else centre
    steps = CODED_STEPS[reader.take("u1", r)].astype(np.uint16) if flags & _HAS_STEPS else step
    one_sided = (info & _ONE_SIDED) > 0
    if num_tables == 0 and one_sided.any():
        raise ValueError("a component is one-sided, and there are no contexts")
    contexts = reader.take_contexts(classes, one_sided) if num_tables else None
    token_classes = tuple(reader.take_class() for _ in range(num_tables or classes))
    reader.align16()
    analysis = reader.take_affine(r, channels, analysis_shift) if flags & _HAS_ANALYSIS else None
    synthesis, compact, convolution = None, None, None
    if rule:
        if not flags & _IS_COMPACT or not flags & _HAS_SYNTHESIS or analysis_shift | synthesis_shift | expansion_shift:
            raise ValueError("a convolution whose matrix is not in bytes, or with shifts of another synthesis")
        convolution = reader.take_convolution(channels, r, Rule(rule))
    elif flags & _IS_COMPACT:
        compact = reader.take_compact(channels, r, expansion_shift)
        matrix = compact.expand(np.broadcast_to(np.asarray(steps, np.int64), (r,)))
        if np.abs(matrix).max() > 32768 or matrix.max() == 32768 or not flags & _HAS_SYNTHESIS:
            raise ValueError("the expansion of the synthesis matrix does not fit 16 bits")
        synthesis = AffineTransform(matrix.astype(np.int16), reader.take_bias(channels), synthesis_shift)
    elif flags & _HAS_SYNTHESIS:
        synthesis = reader.take_affine(channels, r, synthesis_shift)
    if reader.position != len(data):
        raise ValueError(f"{len(data) - reader.position} bytes too many")
    return SideInformation(
        channels=channels,
        component_class=info & _CLASS_MASK,
        predictor=info >> 4,
        classes=token_classes,
        centre=centres,
        step=steps,
        lo=lo,
        hi=hi,
        analysis=analysis,
        synthesis=synthesis,
        compact=compact,
        constant_level=level,
        checksum=bool(flags & _HAS_CHECKSUM),
        segment_rows=segment_rows,
        contexts=contexts,
        convolution=convolution,
    )
