"""Models of the package's own ops, well-formed and not, and side information for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from fmtc_tflite.coding.geometry import geometry
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.coding.token_classes import TokenClass
from model_builder import ModelBuilder


def make_side_information(components: int, channels: int | None = None, **fields: Any) -> SideInformation:
    """One class of 16 even tokens, and all predictors in turn; lossless unless the fields say otherwise."""
    even = TokenClass(offset=0, constant=0, log2_widths=(4,) * 16, counts=(4,) * 16)
    predictors = np.arange(components, dtype=np.uint8) % 5
    return SideInformation(channels or components, np.zeros(components, np.uint8), predictors, (even,), **fields)


def natural_map(shape: tuple[int, ...], dtype: str = "int8", seed: int = 0) -> np.ndarray:
    """A feature map that is smooth in y and x, with a clipped floor."""
    walk = np.random.default_rng(seed).integers(-3, 4, shape).cumsum(1).cumsum(2)
    q = np.clip(walk, -60, 127).astype(np.int8)
    return q if dtype == "int8" else q.view(np.uint8) ^ 0x80


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
            self.side_information = make_side_information(channels).to_bytes()
        if self.item_capacity is None:
            self.item_capacity = geometry(height, width, self.components or channels).item_capacity_bytes

    def to_bytes(self) -> bytes:
        builder = ModelBuilder()
        graph = builder.graph()
        coded_shape = (self.shape[0], self.item_capacity)
        if "encode" in self.ops:
            x = graph.input("input", (*self.shape[:3], self.components or self.shape[3]), self.dtype.upper())
        else:
            x = graph.input("coded", coded_shape, "UINT8")
        side_shape = (len(self.side_information),)
        if self.constant_side_information:
            side = graph.tensor("side", side_shape, "UINT8", data=self.side_information)
        else:
            side = graph.input("side", side_shape, "UINT8")
        if self.surrounded:
            x = graph.add(x, x, name="before")
        if "encode" in self.ops:
            coded = graph.tensor("coded", coded_shape, "UINT8")
            graph.op("FMTC_ENCODE", [x, side], [coded], custom_options=self.op_options())
            x = coded
        if "decode" in self.ops:
            decoded = graph.tensor("decoded", self.shape, (self.output_type or self.dtype).upper())
            graph.op("FMTC_DECODE", [x, side], [decoded], custom_options=self.op_options())
            x = decoded
        if self.surrounded:
            x = graph.add(x, x, name="behind")
        graph.output(x)
        return builder.build()

    def op_options(self) -> bytes:
        if self.raw_options is not None:
            return self.raw_options
        _, height, width, channels = self.shape
        options = {
            "format_version": 1,
            "height": height,
            "width": width,
            "channels": channels,
            "type": self.dtype,
            "tensor": self.tensor_name,
        } | self.options
        return bytes(flexbuffers.Dumps({key: value for key, value in options.items() if value is not None}))
