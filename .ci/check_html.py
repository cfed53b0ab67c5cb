"""Loads a report of fmtc-profile in headless Chromium and holds it against its JSON: check_html.py PAGE.html JSON"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

# Sorts both tables by their fourth column: by clicks, first descending, then ascending.
_CLICKS = """<script>
for (const [i, table] of document.querySelectorAll("table.sortable").entries()) {
  const head = table.tHead.rows[0].cells[3];
  for (let n = 0; n <= i; n++) head.click();
}
</script>"""


class _Dom(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: dict[str, float] = {}
        self.columns: list[list[float]] = []
        self._cell = 0
        self._in_sortable = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "data-key" in found:
            self.figures[found["data-key"]] = float(found["data-value"])
        if tag == "table":
            self._in_sortable = found.get("class") == "sortable"
            if self._in_sortable:
                self.columns.append([])
        if tag == "tr":
            self._cell = 0
        if tag == "td":
            if self._in_sortable and self._cell == 3:
                self.columns[-1].append(float(found["data-value"]))
            self._cell += 1


def load(page: Path) -> tuple[_Dom, list[str]]:
    """The page after its scripts ran, and what it said on the console."""
    with tempfile.TemporaryDirectory() as user:
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={user}"]
        command += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", page.resolve().as_uri()]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return _Dom(result.stdout), [line for line in result.stderr.splitlines() if "CONSOLE" in line]


def value_at(document: Any, key: str) -> float:
    for part in key.split("."):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return -1.0 if document is None else float(document)


def main() -> None:
    page, profile = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    dom, console = load(page)
    assert console == [], console
    wrong = {key: shown for key, shown in dom.figures.items() if shown != value_at(profile, key)}
    assert wrong == {}, wrong
    assert len(dom.figures) > 100, "the page shows hardly any figures"

    clicked = page.with_suffix(".clicked.html")
    clicked.write_text(page.read_text().replace("</body>", _CLICKS + "</body>"))
    dom, console = load(clicked)
    assert console == [], console
    maps, ops = dom.columns
    assert maps == sorted(maps, reverse=True), maps
    assert ops == sorted(ops), ops
    print(f"{page}: {len(dom.figures)} figures equal the JSON, tables sort, nothing on the console")


if __name__ == "__main__":
    main()
