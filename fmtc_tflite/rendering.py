"""What reports of several kinds share: names that are too long for a line, rates, and pictures."""

from __future__ import annotations

import importlib
import importlib.util
import io
import itertools
import warnings
from collections.abc import Sequence
from typing import Any

from fmtc_tflite.errors import UsageError


def shorten(text: str, width: int) -> str:
    """The text, its end where it is longer than `width` characters."""
    return text if len(text) <= width else "..." + text[-(width - 3) :]


def distinct_names(names: Sequence[str], width: int) -> list[str]:
    """Names of tensors in at most `width` characters each, by what tells them apart.

    Leading scopes that all have are left out, as is what converters merged into a name behind a semicolon; what is
    still too long loses its middle.
    """
    scopes = zip(*(name.split("/")[:-1] for name in names), strict=False) if len(names) > 1 else ()
    common = list(itertools.takewhile(lambda level: len(set(level)) == 1, scopes))
    found = []
    for name in names:
        own, merged, _ = "/".join(name.split("/")[len(common) :]).partition(";")
        text = own + ";..." * bool(merged)
        if len(text) > width:
            front = (width - 3) * 2 // 3
            text = f"{text[:front]}...{text[front + 3 - width :]}"
        found.append(text)
    return found


def check_available() -> None:
    """Raises UsageError if matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("drawing pictures needs matplotlib, which is not installed; run `pip install matplotlib`")


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure, inches wide and high."""
    return importlib.import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def png_bytes(figure: Any) -> bytes:
    """A matplotlib figure as a PNG file."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name may have characters that the font lacks
        figure.savefig(content, format="png", dpi=150, metadata={"Software": None})
    return content.getvalue()


def rate_form(rate: float) -> str:
    """How a number of inferences a second is written: four digits at least, never with an exponent below a million."""
    return ",.0f" if 1000 <= rate < 1e6 else ",.4g"
