"""Makes tests/golden/vectors.bin: coded feature maps that every encoder and decoder must reproduce to the byte.

The numpy reference codes them; the file is committed, so that a change of emitted bytes cannot pass unnoticed. Layout,
little-endian: magic `FMGV`, u32 count, then for each case: u32 length and name (ASCII); i32 batch, height, width; u32 1
for uint8, 0 for int8; and four blobs, each a u32 length and bytes: side information, map, coded tensor, decoded map.
The encoder's capacity is the length of the coded tensor where the name ends in `_tight`, else what always suffices.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags

from fmtc_tflite.cli import common
from fmtc_tflite.coding import reference
from fmtc_tflite.coding.convolution import SCALE_TYPES, Convolution
from fmtc_tflite.coding.rounding import Requantization, Rule
from fmtc_tflite.coding.side_info import CODED_STEPS, AffineTransform, CompactMatrix, SideInformation
from fmtc_tflite.coding.token_classes import NUM_CONTEXTS, Contexts, TokenClass
from fmtc_tflite.errors import UsageError, VerificationError
from fmtc_tflite.files import write_all
from fmtc_tflite.graph.operators.multipliers import quantize_multipliers

_OUTPUT = flags.DEFINE_string("output", "tests/golden/vectors.bin", "File to write.", short_name="o")
_CHECK = flags.DEFINE_bool("check", False, "Write nothing; fail if the file is not what would be written.")

# Two peaks of different width, a one-sided one, and a flat one.
_CLASSES = (
    TokenClass(252, 0, (0,) * 8 + (3, 4, 5, 6, 6, 5, 4, 4), (4, 5, 7, 9, 10, 9, 6, 4, 3, 1, 1, 1, 1, 1, 1, 1)),
    TokenClass(254, 3, (0, 0, 0, 0, 0, 0, 1, 3, 4, 5, 6, 7), (7, 9, 14, 9, 7, 6, 4, 3, 2, 1, 1, 1)),
    TokenClass(0, 0, (0, 0, 1, 2, 3, 4, 5, 6, 7), (20, 12, 10, 8, 6, 4, 2, 1, 1)),
    TokenClass(128, 7, (4,) * 16, (4,) * 16),
)


def _contexts(components: int, num_classes: int, num_tables: int) -> Contexts:
    tables = (np.arange(num_classes)[:, None] + np.arange(NUM_CONTEXTS) // 3) % num_tables
    return Contexts(np.arange(components) % 2 == 1, tables.astype(np.uint8))


def _side_information(channels: int, num_classes: int, **fields: object) -> SideInformation:
    components = int(fields.pop("components", channels))  # type: ignore[call-overload]
    contexts = fields.get("contexts")
    index = np.arange(components)
    return SideInformation(
        channels=channels,
        component_class=(index % num_classes).astype(np.uint8),
        predictor=((index * 3 + 1) % 5).astype(np.uint8),
        classes=_CLASSES[: num_classes if contexts is None else int(contexts.tables.max()) + 1],
        **fields,  # type: ignore[arg-type]
    )


def _map(shape: tuple[int, int, int, int], spread: int, seed: int) -> np.ndarray:
    """A smooth field plus noise, int8, from integer arithmetic only."""
    rng = np.random.Generator(np.random.PCG64(seed))
    y, x, c = (np.arange(n) for n in shape[1:])
    smooth = (y[:, None, None] * 3 + x[None, :, None] * 2 + c[None, None, :] * 11) % 61 - 30
    return np.clip(smooth + rng.integers(-spread, spread + 1, shape), -128, 127).astype(np.int8)


def _matrices(channels: int, components: int) -> tuple[AffineTransform, AffineTransform]:
    i, j = np.arange(channels)[:, None], np.arange(components)[None, :]
    pattern = ((i * 5 + j * 7) % 13 - 6).astype(np.int16) * 20
    analysis = AffineTransform(pattern.T, np.arange(components, dtype=np.int32) * 100 - 50, 9)
    synthesis = AffineTransform(pattern, np.arange(channels, dtype=np.int32) * 64, 8)
    return analysis, synthesis


def _matrix_in_bytes(channels: int, steps: np.ndarray) -> tuple[AffineTransform, CompactMatrix]:
    i, j = np.arange(channels)[:, None], np.arange(len(steps))[None, :]
    weights = ((i * 37 + j * 61) % 255 - 127).astype(np.int8)
    compact = CompactMatrix(weights, (np.arange(channels) * 5000 + 1000).astype(np.uint16), 20)
    bias = np.arange(channels, dtype=np.int32) * 500 - 3000
    return AffineTransform(compact.expand(steps).astype(np.int16), bias, 12), compact


def _convolution(rule: Rule, steps: np.ndarray) -> tuple[str, SideInformation, np.ndarray, int | None]:
    """From 5 components to 19 channels, whose sums reach over all decoded values and round in every way."""
    i, j = np.arange(19)[:, None], np.arange(5)[None, :]
    weights = ((i * 37 + j * 61) % 255 - 127).astype(np.int8)
    factors = (0.003 + np.arange(19) * 0.0005).astype(np.float32)
    scales, shifts = quantize_multipliers(factors)
    if rule.in_floats:
        scales = factors.astype(SCALE_TYPES[rule])
    how = Requantization(rule, scales, None if rule.in_floats else shifts.astype(np.int8), 120, 9, 250)
    synthesis = Convolution(weights, 3, (np.arange(19) * 900 - 9000).astype(np.int32), how)
    info = _side_information(19, 4, components=5, step=steps, centre=-7, lo=-90, hi=101, convolution=synthesis)
    x = _map((1, 16, 16, 5), 70, 20 + rule)
    return f"convolution_{rule.name.lower()}", info, x.view(np.uint8) if rule is Rule.HALF_UP else x, None


def cases() -> Iterator[tuple[str, SideInformation, np.ndarray, int | None]]:
    """Name, side information, map, and capacity (None = what always suffices)."""
    step = {"centre": -20, "step": 40, "lo": -100, "hi": 90}
    steps = {"centre": np.arange(-16, 17, dtype=np.int8) * 7, "step": CODED_STEPS[np.arange(33) * 3].astype(np.uint16)}
    analysis, synthesis = _matrices(12, 5)
    yield "one_value", _side_information(1, 1), _map((1, 1, 1, 1), 0, 1), None
    yield "lossless_odd", _side_information(3, 3), _map((1, 17, 13, 3), 2, 2), None
    yield "lossless_batch_uint8", _side_information(5, 4), _map((3, 9, 7, 5), 1, 3).view(np.uint8), None
    yield "lossless_segments", _side_information(16, 4), _map((1, 48, 40, 16), 1, 4), None
    yield "lossless_groups", _side_information(64, 2), np.zeros((1, 40, 64, 64), np.int8), None
    yield "incompressible", _side_information(8, 1), _map((1, 11, 16, 8), 127, 5), None
    yield "no_checksum", _side_information(4, 2, checksum=False), _map((1, 20, 20, 4), 2, 6), None
    yield "step", _side_information(8, 4, **step), _map((1, 24, 24, 8), 9, 7), None
    yield "step_per_channel", _side_information(33, 4, **steps), _map((2, 8, 9, 33), 9, 8), None
    yield (
        "klt",
        _side_information(12, 4, components=5, analysis=analysis, synthesis=synthesis),
        _map((1, 16, 16, 12), 4, 9),
        None,
    )
    yield "folded", _side_information(12, 4, components=5, synthesis=synthesis), _map((1, 16, 16, 5), 4, 10), None
    own_steps = CODED_STEPS[[0, 3, 17, 20, 33]].astype(np.uint16)
    in_bytes, compact = _matrix_in_bytes(12, own_steps)
    yield (
        "folded_bytes",
        _side_information(12, 4, components=5, step=own_steps, centre=-7, synthesis=in_bytes, compact=compact),
        _map((1, 16, 16, 5), 4, 12),
        None,
    )
    for rule in SCALE_TYPES:
        yield _convolution(rule, own_steps)
    one_row = _side_information(8, 3, **step, segment_rows=1)
    yield "rows_1", one_row, _map((2, 5, 40, 8), 9, 13), None
    yield "rows_7", _side_information(4, 4, segment_rows=7), _map((1, 24, 40, 4), 1, 14), None
    yield "rows_all", _side_information(16, 4, segment_rows=48), _map((1, 48, 20, 16), 1, 15).view(np.uint8), None
    contexts = _contexts(8, 3, 4)
    yield "contexts", _side_information(8, 3, contexts=contexts), _map((1, 40, 40, 8), 2, 16), None
    yield (
        "contexts_rows_3",
        _side_information(8, 3, **step, contexts=contexts, segment_rows=3),
        _map((2, 16, 24, 8), 9, 17).view(np.uint8),
        None,
    )
    yield "contexts_raw", _side_information(8, 3, contexts=contexts), _map((1, 9, 16, 8), 127, 18), None
    levels = _side_information(8, 4, **step, constant_level=4)
    for level, capacity in enumerate((3264, 2900, 2600, 2412, 16)):
        yield f"level_{level}_tight", levels, _map((1, 24, 24, 8), 6, 11), capacity


def _blob(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _case(name: str, info: SideInformation, x: np.ndarray, capacity: int | None) -> bytes:
    coded = reference.encode(info, x, capacity)
    decoded = reference.decode(info, coded, x.shape[:3], x.dtype)
    head = _blob(name.encode()) + struct.pack("<3iI", *x.shape[:3], x.dtype == np.uint8)
    return head + b"".join(map(_blob, (info.to_bytes(), x.tobytes(), coded, decoded.tobytes())))


def main(arguments: list[str]) -> None:
    """Runs the tool; it takes no positional arguments."""
    if arguments:
        raise UsageError(f"unexpected arguments: {' '.join(arguments)}; see --help")
    made = [_case(*case) for case in cases()]
    content = b"FMGV" + struct.pack("<I", len(made)) + b"".join(made)
    path = Path(_OUTPUT.value)
    if not _CHECK.value:
        write_all([(path, content)], overwrite=True)
    elif path.read_bytes() != content:
        raise VerificationError(
            f"{path} is not what this program makes: emitted bytes changed; raise the format version"
        )


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
