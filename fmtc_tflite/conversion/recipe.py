"""Recipes: a JSON file that says what to do with which feature map.

    {"sites": [{"tensor": "block_1.*", "transform": "lossless"},
               {"tensor": "conv_7$", "transform": "step", "step": 4.5},
               {"tensor": "expand", "transform": "klt", "components": 16, "step": 2},
               {"tensor": ".*", "transform": "skip"}]}

`tensor` is a selector (fmtc_tflite.graph.selection), such as a regular expression searched in the tensor's name; the
first entry that matches decides. `step` is in units
of the tensor's own quantization (1 to 255): a number or, for the transform `step`, a list with one for each channel.
Without it, `step` takes one per channel from the search that meets --max_kl or --max_bits_per_value. Feature maps that
no entry matches are treated as without a recipe.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fmtc_tflite.errors import RecipeError, UsageError, reason
from fmtc_tflite.files import read_small
from fmtc_tflite.graph.selection import Place, Selector, merged_name_warnings, parse_selector
from fmtc_tflite.types import Treatment

_KEYS = {"tensor", "transform", "step", "components"}
_TRANSFORMS = ("lossless", "step", "klt", "skip")


class Recipe:
    """Ordered rules; see the module's text."""

    def __init__(self, rules: list[tuple[Selector, Treatment]]) -> None:
        self._rules = rules
        self._decided: dict[Selector, list[Place]] = {selector: [] for selector, _ in rules}

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Reads a recipe file.

        Raises:
          RecipeError: unreadable, not JSON, or not of the form above.
        """
        try:
            document = json.loads(read_small(path))
        except (OSError, ValueError, RecursionError) as e:
            raise RecipeError(f"recipe {path}: {reason(e)}") from e
        if isinstance(document, dict) and {"cut", "outside"} & set(document):
            raise RecipeError(
                f"recipe {path}: 'cut' and 'outside' are for --execution regions; to code feature maps it is "
                '{"sites": [...]}'
            )
        if not isinstance(document, dict) or set(document) != {"sites"} or not isinstance(document["sites"], list):
            raise RecipeError(f'recipe {path}: expected {{"sites": [...]}} and nothing else')
        return cls([_rule(entry, f"recipe {path}, sites[{i}]") for i, entry in enumerate(document["sites"])])

    def treatment(self, place: Place) -> Treatment | None:
        """What the first matching entry says; None if no entry matches."""
        for selector, treatment in self._rules:
            if selector.matches(place):
                self._decided[selector].append(place)
                return treatment
        return None

    def check_used(self, places: Sequence[Place], path: Path) -> None:
        """Raises RecipeError if an entry has decided nothing of these places: it is misspelt, or comes too late."""
        unused = [selector for selector, decided in self._decided.items() if not decided]
        late = [selector.text for selector in unused if any(map(selector.matches, places))]
        if late:
            raise RecipeError(
                f"recipe {path}: {', '.join(late)} decides nothing, as earlier entries match the same feature maps; "
                "put it before them"
            )
        if unused:
            names = ", ".join(selector.text for selector in unused)
            raise RecipeError(f"recipe {path}: no feature map matches {names}; --dry_run lists them")

    def warnings(self) -> list[str]:
        """What a user should know about what the selectors have matched."""
        return [
            warning
            for selector, places in self._decided.items()
            for warning in merged_name_warnings("recipe:", selector, places)
        ]


def _rule(entry: Any, where: str) -> tuple[Selector, Treatment]:
    if not isinstance(entry, dict) or not {"tensor", "transform"} <= set(entry) or not set(entry) <= _KEYS:
        raise RecipeError(
            f"{where}: got {entry!r}, expected the keys tensor and transform, and perhaps step, components"
        )
    if not isinstance(entry["tensor"], str):
        raise RecipeError(f"{where}: tensor {entry['tensor']!r}, expected a text")
    try:
        selector = parse_selector(entry["tensor"])
    except UsageError as e:
        raise RecipeError(f"{where}: tensor {e}") from e
    transform, step, components = entry["transform"], entry.get("step"), entry.get("components")
    if transform not in _TRANSFORMS:
        raise RecipeError(f"{where}: transform {transform!r}, expected one of {', '.join(_TRANSFORMS)}")
    steps: list[Any] = step if isinstance(step, list) and transform == "step" else [step]
    if step is not None and (transform not in ("step", "klt") or not steps or not all(map(_is_step, steps))):
        raise RecipeError(
            f"{where}: step {step!r}, expected a number from 1 to 255, with transform step or klt only, or a list of "
            "them, one for each channel, with transform step"
        )
    if transform == "klt" and step is None:
        raise RecipeError(f"{where}: transform klt needs a step, for instance 2")
    if components is not None and (transform != "klt" or type(components) is not int or components < 1):
        raise RecipeError(f"{where}: components {components!r}, expected a positive integer, with transform klt only")
    return selector, Treatment(transform, tuple(steps) if isinstance(step, list) else step, components)


def _is_step(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and 1 <= x <= 255
