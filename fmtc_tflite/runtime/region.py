"""A region's program, run by the native library alone: results, and what is inside. Needs numpy only."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fmtc_tflite.errors import ModelFormatError, RuntimeLibraryError, UsageError
from fmtc_tflite.runtime.library import load_library
from fmtc_tflite.runtime.native_handle import NativeHandle

_ALIGNMENT = 64
_CPU_LEVEL_STATUS = 11
# Of custom_ops/REGION.md section 3; the native library has checked them.
_COUNTS = struct.Struct("<5H")  # at 16: tensors, ops, passes, inputs, outputs
_TENSOR = struct.Struct("<BBHIII32x")
_INPUT, _OUTPUT = 1, 2
_DTYPES = {1: np.float32, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}

Array = npt.NDArray[Any]


class _Trace(ctypes.Structure):
    """fmtc_region_trace of c_api/fmtc_c_api.h."""

    _fields_ = (
        ("tensors", ctypes.POINTER(ctypes.c_void_p)),
        ("nanoseconds", ctypes.c_void_p),
        ("bytes_written", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class RegionTensorShape:
    """A tensor of a program: one batch item, height x width x channels."""

    place: int  # 0 scratch memory, 1 input, 2 output
    number: int  # which input or output
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class RegionTrace:
    """What one run tells about the inside of a region.

    Attributes:
      outputs: as `RegionProgram.run` returns them.
      tensors: for each tensor of the program, [height, width, channels] of its own dtype: the last batch item's; inputs
        as they were given.
      nanoseconds: in each op's steps, uint64 [ops].
      bytes_written: of the values that each op's steps wrote, uint64 [ops].
    """

    outputs: list[Array]
    tensors: list[Array]
    nanoseconds: npt.NDArray[np.uint64]
    bytes_written: npt.NDArray[np.uint64]


class RegionProgram(NativeHandle):
    """A checked program. Use it from one thread at a time.

    Args:
      program: bytes as custom_ops/REGION.md section 3 defines them.

    Raises:
      ModelFormatError: the program is damaged, of a newer version or not valid.
      RuntimeLibraryError: the native library is missing or does not fit, or the environment variable FMTC_CPU_LEVEL
        asks for instructions that this processor lacks.
    """

    def __init__(self, program: bytes) -> None:
        self._library = load_library()
        super().__init__("region", self._library.fmtc_region_destroy)
        self._program = _aligned_copy(program)
        handle = ctypes.c_void_p()
        self._check(
            self._library.fmtc_region_create(self._program.ctypes.data, self._program.nbytes, ctypes.byref(handle))
        )
        self._own(handle)
        tensors, self._num_ops, _, inputs, outputs = _COUNTS.unpack_from(program, 16)
        self.tensors = tuple(_tensors(program, tensors))
        self.inputs = self._placed(_INPUT, inputs)
        self.outputs = self._placed(_OUTPUT, outputs)
        self.scratch_bytes: int = self._library.fmtc_region_scratch_bytes(handle)
        self._scratch = _aligned(self.scratch_bytes)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs the region.

        Args:
          inputs: one array for each input of the region, [N, ...] of its dtype, with as many values an item as it has.

        Returns:
          One array for each output, [N, height, width, channels].

        Raises:
          UsageError: wrong number, dtype or size of inputs.
        """
        return self._run(self._checked_inputs(inputs), None)

    def trace(self, inputs: Sequence[Array]) -> RegionTrace:
        """As `run`, telling the inner tensors, times and bytes."""
        checked = self._checked_inputs(inputs)
        inner = [np.zeros(tensor.shape, tensor.dtype) for tensor in self.tensors]
        nanoseconds = np.zeros(self._num_ops, np.uint64)
        bytes_written = np.zeros(self._num_ops, np.uint64)
        pointers = (ctypes.c_void_p * len(inner))(*(array.ctypes.data for array in inner))
        outputs = self._run(checked, _Trace(pointers, nanoseconds.ctypes.data, bytes_written.ctypes.data))
        for tensor, array in zip(self.tensors, inner, strict=True):
            if tensor.place == _INPUT and len(checked[tensor.number]):
                array[...] = checked[tensor.number][-1].reshape(tensor.shape)
        return RegionTrace(outputs, inner, nanoseconds, bytes_written)

    def _run(self, inputs: list[Array], trace: _Trace | None) -> list[Array]:
        batch = len(inputs[0])
        outputs = [np.empty((batch, *tensor.shape), tensor.dtype) for tensor in self.outputs]
        self._check(
            self._library.fmtc_region_run(
                self._handle,
                _pointers(inputs),
                _pointers(outputs),
                batch,
                self._scratch.ctypes.data,
                self._scratch.nbytes,
                None if trace is None else ctypes.byref(trace),
            )
        )
        return outputs

    def _checked_inputs(self, inputs: Sequence[Array]) -> list[Array]:
        if len(inputs) != len(self.inputs):
            raise UsageError(f"region: got {len(inputs)} inputs, expected {len(self.inputs)}")
        batch = len(inputs[0]) if inputs[0].ndim else 0
        for number, (array, tensor) in enumerate(zip(inputs, self.inputs, strict=True)):
            size = batch * int(np.prod(tensor.shape, dtype=np.int64))
            if array.dtype != tensor.dtype or array.size != size or array.shape[:1] != (batch,):
                raise UsageError(
                    f"region: got {array.dtype} {list(array.shape)} as input {number}, expected {tensor.dtype} "
                    f"{[batch, *tensor.shape]}"
                )
        return [np.ascontiguousarray(array) for array in inputs]

    def _placed(self, place: int, count: int) -> tuple[RegionTensorShape, ...]:
        by_number = {tensor.number: tensor for tensor in self.tensors if tensor.place == place}
        return tuple(by_number[number] for number in range(count))

    def _check(self, status: int) -> None:
        if status == 0:
            return
        message = f"region: {self._library.fmtc_status_message(status).decode()}"
        if status == _CPU_LEVEL_STATUS:
            raise RuntimeLibraryError(message)
        raise ModelFormatError(message)


def _tensors(program: bytes, count: int) -> list[RegionTensorShape]:
    (offset,) = struct.unpack_from("<I", program, 32)
    found = []
    for index in range(count):
        place, type_, number, *shape = _TENSOR.unpack_from(program, offset + index * _TENSOR.size)
        found.append(RegionTensorShape(place, number, (shape[0], shape[1], shape[2]), np.dtype(_DTYPES[type_])))
    return found


def _pointers(arrays: Sequence[Array]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def _aligned(size: int) -> npt.NDArray[np.uint8]:
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size]


def _aligned_copy(data: bytes) -> npt.NDArray[np.uint8]:
    copy = _aligned(len(data))
    copy[:] = np.frombuffer(data, np.uint8)
    return copy
