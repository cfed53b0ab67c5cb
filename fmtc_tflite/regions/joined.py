"""Ops that regions take together or not at all: what lies between them is nobody else's, and in no region's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.regions.channels_first import find_channels_first
from fmtc_tflite.regions.dilations import find_dilations
from fmtc_tflite.regions.ops import OpBuilder, RegionOp, RegionTensor


class Joined(Protocol):
    """Such ops.

    Attributes:
      ops: in execution order, each the only reader of what the one before it makes.
      what: they are together.
      keeps_batch: none of them changes the batch.
    """

    @property
    def ops(self) -> tuple[Op, ...]: ...

    @property
    def what(self) -> str: ...

    @property
    def keeps_batch(self) -> bool: ...

    def built(self, build: OpBuilder, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
        """The ops of a region that they are.

        Raises:
          OpRefusedError: a region does not compute them.
        """


def find_joined(subgraph: Subgraph) -> dict[Op, Joined]:
    """Each of such ops, with the others."""
    found: dict[Op, Joined] = {}
    found |= find_dilations(subgraph)
    found |= find_channels_first(subgraph)
    return found


def joining(joined: Mapping[Op, Joined], build: OpBuilder) -> OpBuilder:
    """A builder to which the last of such ops is what they are together, and the others are nothing."""

    def build_joined(op: Op, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
        ops = joined.get(op)
        if ops is None:
            return build(op, tensor_of)
        return ops.built(build, tensor_of) if op is ops.ops[-1] else ()

    return build_joined
