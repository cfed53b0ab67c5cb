"""Models of single ops, and the runtimes to run them in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder, flexbuffers

from fmtc_tflite.coding.geometry import geometry
from fmtc_tflite.coding.side_info import SideInformation, TokenClass
from fmtc_tflite.runtime.interpreter import available_runtimes

TENSOR_TYPES = {"int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8}


def lossless(channels: int, **fields: Any) -> SideInformation:
    """Side information with one class of 16 even tokens, and all predictors in turn."""
    even = TokenClass(offset=0, constant=0, log2_widths=(4,) * 16, counts=(4,) * 16)
    predictors = np.arange(channels, dtype=np.uint8) % 5
    return SideInformation(channels, np.zeros(channels, np.uint8), predictors, (even,), **fields)


@dataclass
class OpModel:
    """A feature map through FMTC_ENCODE and FMTC_DECODE: input -> coded -> output.

    Attributes:
      shape: of the feature map, NHWC.
      components: channels of what is encoded, where the producer emits components; None for the map's own.
      dtype: 'int8' or 'uint8'.
      side_information: the constant's bytes; None for a lossless one.
      item_capacity: second dimension of the coded tensor; None for the one that always suffices.
      options: replaces or (None) removes entries of the ops' options.
      raw_options: replaces the ops' options altogether.
      ops: which of the two are in the model; with 'decode' alone the coded tensor is the model's input.
      surrounded: put an ADD of the map to itself before and behind, which the default delegates take.
      output_type: type of the decoded tensor; None for dtype.
      constant_side_information: False makes it an input of the model.
      tensor_name: of the map; in the options.
    """

    shape: tuple[int, int, int, int] = (1, 9, 7, 5)
    components: int | None = None
    dtype: str = "int8"
    side_information: bytes | None = None
    item_capacity: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    raw_options: bytes | None = None
    ops: tuple[str, ...] = ("encode", "decode")
    surrounded: bool = False
    output_type: str | None = None
    constant_side_information: bool = True
    tensor_name: str = "block_1/relu"

    def __post_init__(self) -> None:
        _, height, width, channels = self.shape
        if self.side_information is None:
            self.side_information = lossless(channels).to_bytes()
        if self.item_capacity is None:
            self.item_capacity = geometry(height, width, self.components or channels).item_capacity_bytes
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]

    def to_bytes(self) -> bytes:
        map_type = TENSOR_TYPES[self.dtype]
        coded_shape = (self.shape[0], self.item_capacity)
        side = self._tensor("side", (len(self.side_information),), schema.TensorType.UINT8)
        inputs = []
        if self.constant_side_information:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(self.side_information, np.uint8)
            self._graph.tensors[side].buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        else:
            inputs.append(side)
        current = self._tensor(
            "input",
            (*self.shape[:3], self.components or self.shape[3]) if "encode" in self.ops else coded_shape,
            map_type if "encode" in self.ops else schema.TensorType.UINT8,
        )
        inputs.insert(0, current)
        current = self._add("before", current) if self.surrounded else current
        if "encode" in self.ops:
            coded = self._tensor("coded", coded_shape, schema.TensorType.UINT8)
            current = self._custom("FMTC_ENCODE", [current, side], coded)
        if "decode" in self.ops:
            decoded = self._tensor("decoded", self.shape, TENSOR_TYPES[self.output_type or self.dtype])
            current = self._custom("FMTC_DECODE", [current, side], decoded)
        current = self._add("behind", current) if self.surrounded else current
        self._graph.inputs, self._graph.outputs = inputs, [current]
        builder = Builder(1024)
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, name: str, shape: tuple[int, ...], dtype: int) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), dtype, 0
        tensor.quantization = schema.QuantizationParametersT()
        if name not in ("side", "coded"):
            tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [0]
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _op(self, code: int, inputs: list[int], output: int, custom_code: str | None = None) -> schema.OperatorT:
        opcode = schema.OperatorCodeT()
        opcode.builtinCode = opcode.deprecatedBuiltinCode = code
        opcode.customCode, opcode.version = custom_code, 1 if custom_code else 2
        op = schema.OperatorT()
        op.opcodeIndex = len(self._model.operatorCodes)
        op.inputs, op.outputs = inputs, [output]
        self._model.operatorCodes.append(opcode)
        self._graph.operators.append(op)
        return op

    def _add(self, name: str, source: int) -> int:
        output = self._tensor(name, self.shape, TENSOR_TYPES[self.dtype])
        op = self._op(schema.BuiltinOperator.ADD, [source, source], output)
        op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
        return output

    def _custom(self, code: str, inputs: list[int], output: int) -> int:
        op = self._op(schema.BuiltinOperator.CUSTOM, inputs, output, code)
        op.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS
        _, height, width, channels = self.shape
        options = {
            "format_version": 1,
            "height": height,
            "width": width,
            "channels": channels,
            "type": self.dtype,
            "tensor": self.tensor_name,
        } | self.options
        raw = bytes(flexbuffers.Dumps({k: v for k, v in options.items() if v is not None}))
        op.customOptions = np.frombuffer(raw if self.raw_options is None else self.raw_options, np.uint8)
        return output


@pytest.fixture(params=available_runtimes())
def runtime(request: pytest.FixtureRequest) -> str:
    """Each installed runtime in turn."""
    return request.param


@pytest.fixture(scope="session")
def op_model() -> Callable[..., OpModel]:
    """The OpModel class (test folders are no packages, so this is how its tests get at it)."""
    return OpModel


@pytest.fixture(scope="session")
def lossless_side_information() -> Callable[..., SideInformation]:
    return lossless


@pytest.fixture(scope="session")
def natural_map() -> Callable[..., np.ndarray]:
    """Function of shape, dtype and seed: a feature map that is smooth in y and x, with a clipped floor."""

    def make(shape: tuple[int, ...], dtype: str = "int8", seed: int = 0) -> np.ndarray:
        walk = np.random.default_rng(seed).integers(-3, 4, shape).cumsum(1).cumsum(2)
        q = np.clip(walk, -60, 127).astype(np.int8)
        return q if dtype == "int8" else q.view(np.uint8) ^ 0x80

    return make
