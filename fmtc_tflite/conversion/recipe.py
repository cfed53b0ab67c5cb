"""Recipes: a JSON file that says what to do with which feature map.

    {"sites": [{"tensor": "block_1.*", "transform": "lossless"},
               {"tensor": "conv_7$", "transform": "step", "step": 4.5},
               {"tensor": "expand", "transform": "klt", "components": 16, "step": 2},
               {"tensor": ".*", "transform": "skip"}]}

`tensor` is a regular expression searched in the tensor's name; the first entry that matches decides. `step` is in units
of the tensor's own quantization (1 to 255): a number or, for the transform `step`, a list with one for each channel.
Without it, `step` takes one per channel from the search that meets --max_kl or --max_bits_per_value. Feature maps that
no entry matches are treated as without a recipe.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fmtc_tflite.errors import RecipeError, reason
from fmtc_tflite.files import read_small
from fmtc_tflite.types import Treatment

_KEYS = {"tensor", "transform", "step", "components"}
_TRANSFORMS = ("lossless", "step", "klt", "skip")


class Recipe:
    """Ordered rules; see the module's text."""

    def __init__(self, rules: list[tuple[re.Pattern[str], Treatment]]) -> None:
        self._rules = rules
        self._used: set[int] = set()

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

    def treatment(self, tensor_name: str) -> Treatment | None:
        """What the first matching entry says; None if no entry matches."""
        for i, (pattern, treatment) in enumerate(self._rules):
            if pattern.search(tensor_name):
                self._used.add(i)
                return treatment
        return None

    def unused(self) -> list[str]:
        """Patterns that decided nothing: usually a misspelt name."""
        return [pattern.pattern for i, (pattern, _) in enumerate(self._rules) if i not in self._used]


def _rule(entry: Any, where: str) -> tuple[re.Pattern[str], Treatment]:
    if not isinstance(entry, dict) or not {"tensor", "transform"} <= set(entry) or not set(entry) <= _KEYS:
        raise RecipeError(
            f"{where}: got {entry!r}, expected the keys tensor and transform, and perhaps step, components"
        )
    try:
        pattern = re.compile(entry["tensor"])
    except (re.error, TypeError) as e:
        raise RecipeError(f"{where}: tensor {entry['tensor']!r} is not a regular expression: {e}") from e
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
    return pattern, Treatment(transform, tuple(steps) if isinstance(step, list) else step, components)


def _is_step(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and 1 <= x <= 255
