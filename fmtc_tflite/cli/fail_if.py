"""Limits on figures for automatic checks: --fail_if 'bits_per_value>2.5' ends a tool with exit code 3."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from absl import flags

from fmtc_tflite import files
from fmtc_tflite.errors import LimitError, UsageError

flags.disclaim_key_flags()  # it belongs to the tool that calls define()

_OPERATORS = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(r"\s*([\w.\-]+)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*")
_MOST_SHOWN = 8
_MEAN = ".mean"  # the figure of a statistic that its name alone means
_REFERENCE, _MODEL = "reference_model.", "model."
# Figures of one name for several models or schemes: those of the original or the baselines come first in these lists.
_LISTS = re.compile(r"\b(models|schemes)\.\d+\.")


@dataclass(frozen=True)
class Condition:
    """What a figure must not be.

    Attributes:
      text: as it was given.
      name: of the figure: its path in the JSON document, with dots, or the last parts of it.
      symbol: one of < > <= >= == !=.
      limit: what the figure is compared with.
    """

    text: str
    name: str
    symbol: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Reads NAME>NUMBER and the like; true and false are 1 and 0.

        Raises:
          UsageError: it has another form.
        """
        found = _FORM.fullmatch(text)
        try:
            if found is not None:
                limit = float({"true": "1", "false": "0"}.get(found[3].lower(), found[3]))
                return cls(text, found[1], found[2], limit)
        except ValueError:
            pass
        raise UsageError(f"--fail_if '{text}': expected a figure of the JSON and a limit, such as 'bits_per_value>2.5'")

    def figure(self, document: dict[str, Any]) -> tuple[str, float]:
        """The figure's path and value; a statistic's name is its mean's.

        Of several with this name, it is the one that lies least deep, and of several models' that of the model judged:
        the converted one, not its reference.

        Raises:
          UsageError: there is none, or there are several still.
        """
        named = ((path.removesuffix(_MEAN), path, value) for path, value in _figures(document))
        names = {name: (path, value) for name, path, value in named if self._is_meant(name) or self._is_meant(path)}
        least = min((name.count(".") for name in names), default=0)
        found = _judged([name for name in names if name.count(".") == least])
        if len(found) == 1:
            return names[found[0]]
        if found:
            some = ", ".join(found[:_MOST_SHOWN])
            raise UsageError(f"--fail_if '{self.text}': {len(found)} figures have this name, such as {some}; name one")
        known = sorted({path.rsplit(".", 1)[-1] for path, _ in _figures(document) if path.count(".") <= 1})
        raise UsageError(
            f"--fail_if '{self.text}': the JSON has no figure of this name; expected one such as {', '.join(known)}"
        )

    def _is_meant(self, path: str) -> bool:
        return path == self.name or path.endswith(f".{self.name}")


def define() -> None:
    """Defines --fail_if."""
    flags.DEFINE_multi_string(
        "fail_if",
        [],
        "Ends with exit code 3, after everything is written, if a figure of the JSON is so: 'bits_per_value>2.5'. Its "
        "name may be the whole path in the JSON ('fidelity.mean>0.02'); may be repeated.",
    )


def parse() -> list[Condition]:
    """The conditions that are given; to be called before work begins, too.

    Raises:
      UsageError: one has another form.
    """
    return [Condition.parse(text) for text in flags.FLAGS.fail_if]


def check(document: dict[str, Any]) -> None:
    """Compares a tool's figures with the limits.

    Raises:
      LimitError: a figure is what it must not be.
      UsageError: there is no figure of a name.
    """
    document = json.loads(json.dumps(document, default=float))
    failed = []
    for condition in parse():
        path, value = condition.figure(document)
        if _OPERATORS[condition.symbol](value, condition.limit):
            failed.append(f"{path} is {value:g}, which --fail_if '{condition.text}' forbids")
    if failed:
        raise LimitError(f"{'; '.join(failed)}; {files.account()}")


def _judged(paths: list[str]) -> list[str]:
    """Without the figures of models and schemes that others of these paths are compared with."""
    last = {_LISTS.sub(r"\1.", path): path for path in paths}
    return [path for path in last.values() if (own := path.replace(_REFERENCE, _MODEL)) == path or own not in paths]


def _figures(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """All numbers of a document with their paths; items of lists are numbered from 0."""
    if isinstance(value, (int, float)):
        yield path, float(value)
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _figures(inner, f"{path}.{key}" if path else str(key))
