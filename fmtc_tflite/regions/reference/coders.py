"""ENCODE and DECODE."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.coding.reference import (
    analyse,
    decode_segment,
    encode_segment,
    predict_group,
    synthesise,
    tables_of_group,
    unpredict_group,
)
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.errors import BitstreamError, ModelFormatError
from fmtc_tflite.regions.coders import DECODE, ENCODE, Segments
from fmtc_tflite.regions.reference.kernels import Kernel

if TYPE_CHECKING:
    from fmtc_tflite.regions.program import Program, ProgramOp
    from fmtc_tflite.regions.reference.machine import StepRows

_PARAMETERS = struct.Struct("<III4s")
_LENGTH = struct.Struct("<I")


def _side_information(program: Program, op: ProgramOp) -> SideInformation:
    offset, size, _, zeros = _PARAMETERS.unpack(op.parameters)
    assert not any(zeros), "reserved bytes are not 0"
    assert offset % 16 == 0, "side information is not at a multiple of 16"
    try:
        info = SideInformation.from_bytes(program.content[offset : offset + size])
    except BitstreamError as error:
        raise ModelFormatError(f"region program: {error}") from error
    plain = info.analysis is None and not info.has_synthesis and not info.segment_rows
    assert plain, "side information has matrices, or a number of rows"
    assert not info.constant_level, "side information has levels"
    assert not info.checksum, "side information asks for a checksum"
    return info


def _segments(program: Program, op: ProgramOp, info: SideInformation) -> Segments:
    """Of an op that encodes, with its side information."""
    map_, coded = program.tensors[op.inputs[0]], program.tensors[op.output]
    *_, offset, _ = _PARAMETERS.unpack(op.parameters)
    assert offset or coded.width == 1, "several columns of segments, and no groups of columns"
    ends = np.frombuffer(program.content, "<u2", coded.width, offset).tolist() if offset else [map_.width]
    problem = f"groups of columns end at {ends} of {map_.width}"
    assert all(first < end for first, end in pairwise((0, *ends))), problem
    assert ends[-1] == map_.width, problem
    return Segments(map_.height, map_.channels, coded.height, tuple(ends), info.contexts is not None)


class Encode(Kernel):
    """Rows to segments, each behind its length; what lies behind a segment is 0 here."""

    def read_parameters(self, parameters: bytes) -> None:
        self.info = _side_information(self.program, self.op)
        assert self.info.channels == self.inputs[0].channels, "side information of other channels than the map's"
        self.segments = _segments(self.program, self.op, self.info)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        first, last = self.segments.rows(step)
        return max(first - self.segments.rows_before, 0), last

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        slots = np.zeros((len(rows.columns), self.output.channels), np.uint8)
        for slot, group in zip(slots, rows.columns.tolist(), strict=True):
            content = self._segment(step, group, rows)
            slot[: len(content)] = np.frombuffer(content, np.uint8)
        return slots

    def _segment(self, step: int, group: int, rows: StepRows) -> bytes:
        above, last = self.rows_needed(0, step)
        first, _ = self.segments.rows(step)
        columns = np.arange(*self.segments.columns(group))
        values = np.stack([rows.read(0, row, columns) for row in range(above, last + 1)])
        indices = analyse(self.info, (values ^ 0x80).view(np.int8), 0)
        residuals = predict_group(self.info.predictor, indices)  # not those of the first row, if there are some before
        tables = None if self.info.contexts is None else tables_of_group(self.info, residuals)[first - above :]
        stored = encode_segment(self.info, residuals[first - above :], tables)
        return _LENGTH.pack(len(stored)) + stored


class Decode(Kernel):
    """Segments to rows. The rows decoded so far are kept here, and not in the op's own memory."""

    def read_parameters(self, parameters: bytes) -> None:
        assert not parameters, "parameters of a kind without any"
        index = self.op.inputs[0]
        writer = next(op for op in self.program.ops if op.output == index)
        assert writer.kind == ENCODE, "it reads what no ENCODE has written"
        source, map_ = self.program.tensors[writer.inputs[0]], self.output
        same = (source.height, source.width, source.channels) == (map_.height, map_.width, map_.channels)
        assert same, "it makes another map than the one that was encoded"
        self.info = _side_information(self.program, writer)
        self.segments = _segments(self.program, writer, self.info)
        groups = range(len(self.segments.ends))
        widths = [end - first for first, end in map(self.segments.columns, groups)]
        self._residuals = [np.zeros((0, width, map_.channels), np.uint8) for width in widths]
        self._values = np.zeros((0, map_.width, map_.channels), np.uint8)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        share = self.segments.share_of(step)
        return share, share

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        share = self.segments.share_of(step)
        first, last = self.segments.rows(share)
        if step == first:
            parts = []
            for group, before in enumerate(self._residuals):
                slot = rows.read(0, share, np.array([group]))[0].tobytes()
                above = before[first - 1] if first else None
                new = self._segment(slot, (last + 1 - first, before.shape[1]), above)
                residuals = np.concatenate([before[:first], new])
                self._residuals[group] = residuals
                parts.append(unpredict_group(self.info.predictor, residuals))
            decoded = synthesise(self.info, np.concatenate(parts, axis=1), 0)
            self._values = decoded.view(np.uint8) ^ np.uint8(0x80)
        return self._values[step, rows.columns]

    def _segment(self, slot: bytes, shape: tuple[int, int], above: np.ndarray | None) -> np.ndarray:
        (length,) = _LENGTH.unpack_from(slot)
        stored = slot[_LENGTH.size : _LENGTH.size + length]
        try:
            return decode_segment(self.info, stored, shape, above)
        except BitstreamError as error:
            raise ModelFormatError(f"region program: a segment is damaged: {error}") from error


KERNELS: dict[int, type[Kernel]] = {ENCODE: Encode, DECODE: Decode}
