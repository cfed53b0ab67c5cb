"""ENCODE and DECODE."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.coding.reference import decode_segment, encode_segment, predict_group, unpredict_group
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.errors import BitstreamError, ModelFormatError
from fmtc_tflite.regions.coders import DECODE, ENCODE, Segments
from fmtc_tflite.regions.reference.kernels import Kernel

if TYPE_CHECKING:
    from fmtc_tflite.regions.program import Program, ProgramOp
    from fmtc_tflite.regions.reference.machine import StepRows

_PARAMETERS = struct.Struct("<II8s")
_LENGTH = struct.Struct("<I")


def _side_information(program: Program, op: ProgramOp) -> SideInformation:
    offset, size, zeros = _PARAMETERS.unpack(op.parameters)
    assert not any(zeros), "reserved bytes are not 0"
    assert offset % 16 == 0, "side information is not at a multiple of 16"
    try:
        info = SideInformation.from_bytes(program.content[offset : offset + size])
    except BitstreamError as error:
        raise ModelFormatError(f"region program: {error}") from error
    plain = info.version == 1 and not info.is_lossy and not info.checksum and not info.centres.any()
    assert plain, "side information is not of version 1, or not that of a lossless map around 0 without a checksum"
    return info


class Encode(Kernel):
    """Rows to segments, each behind its length; what lies behind a segment is 0 here."""

    def read_parameters(self, parameters: bytes) -> None:
        self.info = _side_information(self.program, self.op)
        map_ = self.inputs[0]
        assert self.info.channels == map_.channels, "side information of other channels than the map's"
        self.segments = Segments(map_.height, self.output.height, map_.width * map_.channels)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        first, last = self.segments.rows(step)
        return max(first - 1, 0), last

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        above, last = self.rows_needed(0, step)
        first, _ = self.segments.rows(step)
        columns = np.arange(self.inputs[0].width)
        values = np.stack([rows.read(0, row, columns) for row in range(above, last + 1)])
        residuals = predict_group(self.info.predictor, (values ^ 0x80).view(np.int8))[first - above :]
        stored = encode_segment(self.info, residuals)
        slot = np.zeros((1, self.output.channels), np.uint8)
        content = _LENGTH.pack(len(stored)) + stored
        slot[0, : len(content)] = np.frombuffer(content, np.uint8)
        return slot


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
        self.segments = Segments(map_.height, self.inputs[0].height, map_.width * map_.channels)
        self._residuals = np.zeros((0, map_.width, map_.channels), np.uint8)
        self._values: np.ndarray = self._residuals

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        segment = self.segments.segment_of(step)
        return segment, segment

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        segment = self.segments.segment_of(step)
        first, last = self.segments.rows(segment)
        if step == first:
            slot = rows.read(0, segment, np.arange(1))[0].tobytes()
            self._residuals = np.concatenate([self._residuals[:first], self._segment(slot, last + 1 - first)])
            indices = unpredict_group(self.info.predictor, self._residuals)
            self._values = indices.view(np.uint8) ^ np.uint8(0x80)
        return self._values[step, rows.columns]

    def _segment(self, slot: bytes, rows: int) -> np.ndarray:
        (length,) = _LENGTH.unpack_from(slot)
        stored = slot[_LENGTH.size : _LENGTH.size + length]
        try:
            return decode_segment(self.info, stored, (rows, self.output.width))
        except BitstreamError as error:
            raise ModelFormatError(f"region program: a segment is damaged: {error}") from error


KERNELS: dict[int, type[Kernel]] = {ENCODE: Encode, DECODE: Decode}
