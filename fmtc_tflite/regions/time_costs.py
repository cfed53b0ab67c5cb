"""What ops cost in time: inside a region, and as ops of the original under the runtime's default kernels.

The figures are measured, one file for each level of instructions (`regions/cpus/NAME.json`, which
tools/measure_costs.py writes), and read here; nothing is timed in a conversion. A kind's time is a sum of terms, each
something that an op has much or little of, times nanoseconds:

    inside a region, for each row: 1, its values, its multiply-adds, the weights that tiles of columns read
    as an op of the original: 1, its values, its multiply-adds, its weights

so that narrow rows, small K and few output channels cost what they do: in a region values and weights are counted with
the padding that kernels compute as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from fmtc_tflite.errors import UsageError
from fmtc_tflite.graph.model import Op
from fmtc_tflite.regions.kernel_sets import xnnpack_takes
from fmtc_tflite.regions.ops import RegionOp
from fmtc_tflite.types import DEFAULT_CPU

_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")

Terms = tuple[float, ...]


def row_terms(op: RegionOp, columns: int) -> Terms:
    """What a step of an op in a region has of each term; see RegionOp.work."""
    return 1, *op.work(columns)


def original_kind(op: Op) -> str:
    """The name of a graph's op in the table of what the original costs: what kernel runs it matters most."""
    dtypes = {tensor.dtype for tensor in op.outputs if tensor is not None}
    is_uint8 = op.opcode in _WITH_WEIGHTS and np.dtype(np.uint8) in dtypes
    suffixes = {" float32": np.dtype(np.float32) in dtypes, " uint8": is_uint8, " builtin": not xnnpack_takes(op)}
    return op.opcode + "".join(suffix for suffix, is_so in suffixes.items() if is_so)


def original_terms(ops: Sequence[RegionOp]) -> Terms:
    """What a graph's op has of each term, of the ops of a region that stand for it."""
    tensors = [op.inputs[0] if op.accumulates else op.output for op in ops]
    values = sum(tensor.height * tensor.width * tensor.channels for tensor in tensors)
    weights = sum(op.macs if op.accumulates else op.work(1).macs for op in ops)
    return 1, values, sum(op.steps * op.work(op.step_columns).macs for op in ops), weights


def by_source(ops: Iterable[RegionOp]) -> list[list[RegionOp]]:
    """Ops of a region that stand for the same op of the graph, together; those that stand for none are left out."""
    found: dict[Op, list[RegionOp]] = {}
    for op in ops:
        if op.source is not None:
            found.setdefault(op.source, []).append(op)
    return list(found.values())


@dataclass(frozen=True)
class CpuCosts:
    """Nanoseconds of each term.

    Attributes:
      name: of the level of instructions.
      region: by kind, inside a region.
      original: by kind of the graph's op, under the runtime's default kernels.
    """

    name: str
    region: Mapping[str, Terms]
    original: Mapping[str, Terms]

    def row_ns(self, op: RegionOp, columns: int) -> float:
        """A step of an op of a region on so many columns."""
        return _dot(self.region[op.cost_kind], row_terms(op, columns))

    def region_ns(self, op: RegionOp) -> float:
        """An op of a region in whole rows, for one item."""
        return op.steps * self.row_ns(op, op.step_columns)

    def original_ns(self, ops: Sequence[RegionOp]) -> float:
        """The graph's op that ops of a region stand for; where its kind was not measured, what they cost."""
        source = ops[0].source
        costs = None if source is None else self.original.get(original_kind(source))
        return sum(map(self.region_ns, ops)) if costs is None else _dot(costs, original_terms(ops))


def _dot(costs: Terms, terms: Terms) -> float:
    return sum(cost * term for cost, term in zip(costs, terms, strict=True))


def known_cpus() -> list[str]:
    """Names of the levels that have a table."""
    return sorted(file.name[:-5] for file in _folder().iterdir() if file.name.endswith(".json"))


@cache
def load_cpu(name: str = DEFAULT_CPU) -> CpuCosts:
    """The table of a level.

    Raises:
      UsageError: there is none.
    """
    if name not in known_cpus():
        raise UsageError(f"--cpu {name}: there is no measured table of it; expected one of {', '.join(known_cpus())}")
    document = json.loads((_folder() / f"{name}.json").read_text())
    region, original = ({kind: tuple(row) for kind, row in document[part].items()} for part in ("region", "original"))
    return CpuCosts(name, region, original)


def _folder() -> Any:
    return resources.files("fmtc_tflite.regions") / "cpus"
