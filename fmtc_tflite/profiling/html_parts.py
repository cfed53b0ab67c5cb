"""Parts of the HTML report that several of its sections have."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

SCROLL = '<div class="scroll" tabindex="0">'  # what may be wider than the page begins with it, and ends with </div>


def name_cell(name: str) -> str:
    """A tensor's name."""
    # The end of a name tells most; bidi isolation keeps its punctuation in place in a cell that cuts at the left.
    return f'<td class="text name" title="{escape(name)}"><bdi>{escape(name)}</bdi></td>'


def shape_cell(shape: Sequence[int]) -> str:
    """A tensor's shape, sorted by its number of values."""
    values = 1
    for size in shape:
        values *= size
    return f'<td data-value="{values}">{"×".join(map(str, shape))}</td>'


def table_section(title: str, text: str, head: Sequence[str], rows: Sequence[str]) -> str:
    """A table that a click on a head sorts, with its title."""
    texts = ("op", "writes", "feature map", "transform", "level", "is a")
    heads = "".join(f"<th{' class=text' if name in texts else ''}>{escape(name)}</th>" for name in head)
    return (
        f'<section class="long"><h2>{title}</h2><p class="soft small">{escape(text)}</p><div class="tall" tabindex="0">'
        f'<table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></section>'
    )
