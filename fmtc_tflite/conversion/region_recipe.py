"""Recipes for regions: a JSON file that says what is stored between stages, and which ops stay outside.

    {"cut": ["add_1/add$"], "outside": ["^logits", "op:17"]}

An entry is a selector of ops (fmtc_tflite.graph.selection), such as a regular expression searched in the names of what
they write; all that it selects is meant. The report of a conversion holds the recipe of its plan, and may be given in a
recipe's place.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmtc_tflite.conversion.region_plans import PlannedRegion
from fmtc_tflite.errors import RecipeError, UsageError, reason
from fmtc_tflite.files import read_small
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.selection import Place, Selector, merged_name_warnings, parse_selector, places
from fmtc_tflite.regions.candidates import is_reshape
from fmtc_tflite.text import near_names

_KEYS = ("cut", "outside")
_FORM = '{"cut": [...], "outside": [...]}'


@dataclass(frozen=True)
class RegionChoices:
    """What a recipe asks for in one graph.

    Attributes:
      cuts: tensors that regions store whole.
      outside: ops that no region has.
      warnings: lines that a user should see.
    """

    cuts: frozenset[Tensor] = frozenset()
    outside: frozenset[Op] = frozenset()
    warnings: tuple[str, ...] = ()


def read_region_recipe(path: Path | None, subgraph: Subgraph) -> RegionChoices:
    """Reads a recipe for a graph; None asks for nothing.

    Raises:
      RecipeError: unreadable, not JSON, not of the form above, a recipe of the codec, or an entry that names nothing.
    """
    if path is None:
        return RegionChoices()
    where = f"recipe {path}"
    known = places(subgraph)
    chosen: dict[str, list[Op]] = {key: [] for key in _KEYS}
    warnings = []
    for key, entries in _entries(path, where).items():
        for entry in entries:
            selector = _selector(entry, known, f"{where}, {key}")
            chosen[key] += [op for op, place in known.items() if selector.matches(place)]
            warnings += merged_name_warnings("recipe:", selector, known.values())
    writers = {tensor: op for op in subgraph.ops for tensor in op.outputs if tensor is not None}
    cuts = (tensor for op in chosen["cut"] for tensor in _written(op, writers))
    return RegionChoices(frozenset(cuts), frozenset(chosen["outside"]), tuple(warnings))


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
            raise RecipeError(f"{where}: {key} is {entries!r:.80}, expected a list of selectors, such as 'op:17'")
    return found


def _selector(entry: str, known: Mapping[Op, Place], where: str) -> Selector:
    try:
        selector = parse_selector(entry)
    except UsageError as e:
        raise RecipeError(f"{where}: {e}") from e
    if not any(map(selector.matches, known.values())):
        names = (tensor.name for place in known.values() for tensor in place.tensors)
        hint = f"; the ops are op:0 to op:{len(known) - 1}" if selector.pattern is None else near_names(entry, names)
        raise RecipeError(f"{where}: {entry!r} selects no op{hint}")
    return selector


def _written(op: Op, writers: Mapping[Tensor, Op]) -> list[Tensor]:
    """What an op writes; of RESHAPEs, the tensor that they give another shape."""
    while is_reshape(op) and (source := op.inputs[0]) is not None and source in writers:
        op = writers[source]
    return [tensor for tensor in op.outputs if tensor is not None]


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
    counts = Counter(tensor.name for op in subgraph.ops for tensor in op.outputs if tensor is not None)

    def entry(op: Op) -> str:
        name = next((tensor.name for tensor in op.outputs if tensor is not None), "")
        return f"^{re.escape(name)}$" if name and counts[name] == 1 else f"op:{numbers[op]}"

    return {
        "cut": [entry(op) for op in subgraph.ops if not cuts.isdisjoint(op.outputs)],
        "outside": [entry(op) for op in subgraph.ops if op in left_out],
    }
