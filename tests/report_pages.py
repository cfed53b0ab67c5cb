"""HTML reports of profiles, held against the JSON that they show."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class _Figures(HTMLParser):
    """Collects data-key and data-value, and checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: dict[str, str] = {}
        self.addresses: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("data-key"):
            self.figures[found["data-key"] or ""] = found["data-value"] or ""
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in ("meta", "link"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def figures_of_page(page: str, document: dict[str, Any]) -> dict[str, str]:
    """The figures that a page shows, by their key: checked to be those of the JSON, on a page that needs no network."""
    parser = _Figures()
    parser.feed(page)
    for key, shown in parser.figures.items():
        value: Any = document
        for part in key.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        assert shown == ("-1" if value is None else repr(value)), key
    assert parser.addresses == ["data:,"]
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    return parser.figures
