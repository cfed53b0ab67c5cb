"""Recipes for regions: a JSON file that says what is stored between stages, and which ops stay outside.

    {"cut": ["add_1/add$"], "outside": ["^logits", "op:17"]}

An entry is a regular expression, searched in the names of the tensors that ops write (as those of --include and
--exclude are), or `op:NUMBER`: the op at this place in the file, from 0. Every tensor and op that an entry names is
meant. The report of a conversion holds the recipe of its plan, and may be given in a recipe's place.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmtc_tflite.conversion.region_plans import PlannedRegion
from fmtc_tflite.errors import RecipeError, reason
from fmtc_tflite.files import read_small
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.regions.candidates import is_reshape
from fmtc_tflite.text import near_names

_KEYS = ("cut", "outside")
_FORM = '{"cut": [...], "outside": [...]}'
_NUMBERED = re.compile(r"op:(\d+)")


@dataclass(frozen=True)
class RegionChoices:
    """What a recipe asks for in one graph.

    Attributes:
      cuts: tensors that regions store whole.
      outside: ops that no region has.
    """

    cuts: frozenset[Tensor] = frozenset()
    outside: frozenset[Op] = frozenset()


def read_region_recipe(path: Path | None, subgraph: Subgraph) -> RegionChoices:
    """Reads a recipe for a graph; None asks for nothing.

    Raises:
      RecipeError: unreadable, not JSON, not of the form above, a recipe of the codec, or an entry that names nothing.
    """
    if path is None:
        return RegionChoices()
    where = f"recipe {path}"
    entries = _entries(path, where)
    cut = [op for entry in entries["cut"] for op in _named_ops(entry, subgraph, f"{where}, cut")]
    outside = [op for entry in entries["outside"] for op in _named_ops(entry, subgraph, f"{where}, outside")]
    writers = {tensor: op for op in subgraph.ops for tensor in op.outputs if tensor is not None}
    return RegionChoices(frozenset(_before_reshapes(op, writers) for op in cut), frozenset(outside))


def _entries(path: Path, where: str) -> dict[str, list[str]]:
    try:
        document: Any = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError) as e:
        raise RecipeError(f"{where}: {reason(e)}") from e
    if isinstance(document, dict) and document.get("execution") == "regions":
        document = document.get("recipe")
    if isinstance(document, dict) and "sites" in document:
        raise RecipeError(f"{where}: 'sites' are for --execution ops; for regions it is {_FORM}")
    if not isinstance(document, dict) or not set(document) <= set(_KEYS):
        raise RecipeError(f"{where}: expected {_FORM} and nothing else")
    found = {key: document.get(key, []) for key in _KEYS}
    for key, entries in found.items():
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            raise RecipeError(f"{where}: {key} is {entries!r:.80}, expected a list of tensors' names or op:NUMBER")
    return found


def _named_ops(entry: str, subgraph: Subgraph, where: str) -> list[Op]:
    """The ops that an entry means, by what they write."""
    numbered = _NUMBERED.fullmatch(entry)
    if numbered is not None:
        number, count = int(numbered[1]), len(subgraph.ops)
        if number >= count:
            raise RecipeError(f"{where}: {entry!r}, but the model's ops are op:0 to op:{count - 1}")
        return [subgraph.ops[number]]
    try:
        pattern = re.compile(entry)
    except re.error as e:
        raise RecipeError(f"{where}: {entry!r} is not a regular expression: {e}") from e
    found = [op for op in subgraph.ops if any(pattern.search(name) for name in _names(op))]
    if not found:
        known = [name for op in subgraph.ops for name in _names(op)]
        raise RecipeError(f"{where}: {entry!r} names no tensor that an op writes{near_names(entry, known)}")
    return found


def _names(op: Op) -> list[str]:
    return [tensor.name for tensor in op.outputs if tensor is not None]


def _before_reshapes(op: Op, writers: dict[Tensor, Op]) -> Tensor:
    """What an op writes; of RESHAPEs, the tensor that they give another shape."""
    tensor = op.outputs[0]
    while is_reshape(op) and (source := op.inputs[0]) in writers and source is not None:
        tensor, op = source, writers[source]
    if tensor is None:
        raise RecipeError(f"recipe: a {op.opcode} is named that writes nothing")
    return tensor


def recipe_of(subgraph: Subgraph, regions: Sequence[PlannedRegion], left_out: Collection[Op]) -> dict[str, list[str]]:
    """The recipe that gives this plan again.

    Args:
      subgraph: the original one.
      regions: planned.
      left_out: the ops outside of them.
    """
    made = {tensor for region in regions for tensor in region.group.outputs}
    between = {tensor for region in regions for tensor in region.group.inputs if tensor in made}
    cuts = between | {cut.source for region in regions for cut in region.plan.cuts}
    numbers = {op: number for number, op in enumerate(subgraph.ops)}
    counts = Counter(name for op in subgraph.ops for name in _names(op))

    def entry(op: Op) -> str:
        name = next(iter(_names(op)), "")
        return f"^{re.escape(name)}$" if name and counts[name] == 1 else f"op:{numbers[op]}"

    return {
        "cut": [entry(op) for op in subgraph.ops if not cuts.isdisjoint(op.outputs)],
        "outside": [entry(op) for op in subgraph.ops if op in left_out],
    }
