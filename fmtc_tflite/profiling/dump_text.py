"""What became of single tensors, as text."""

from __future__ import annotations

from typing import Any

from fmtc_tflite.rendering import shorten


def format_dumps(dumps: list[dict[str, Any]]) -> list[str]:
    """A line or two for each tensor: equal in both models, or where they differ first."""
    return [line for dump in dumps for line in ["", *_format(dump)]]


def _format(dump: dict[str, Any]) -> list[str]:
    head = f"tensor          {shorten(dump['tensor'], 90)}, {dump['type']} {'x'.join(map(str, dump['shape']))}"
    if dump["computed_values"] is None:
        return [head]
    left = dump["values"] - dump["computed_values"]
    unread = f"; {left:,} others, which nobody reads, are not computed" if left else ""
    compared = f"{dump['computed_values']:,} values"
    if not dump["different_values"]:
        return [head, f"                equal in both models, {compared}{unread}"]
    first = dump["first_difference"]
    pair = f"{first['original']} in the original, {first['converted']} in the converted model"
    return [
        head,
        f"                differs in {dump['different_values']:,} of {compared}{unread}",
        f"                first at {first['index']}: {pair}",
    ]
