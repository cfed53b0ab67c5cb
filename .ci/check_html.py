"""Loads a report of fmtc-profile in headless Chromium and holds it against its JSON: check_html.py PAGE.html JSON

On a phone's width and on a desktop's, light and dark, and printed: nothing is on the console, the page itself does not
scroll sideways, and what is wider than its box says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

# Sorts the last two tables by a column of numbers: by clicks, first descending, then ascending.
_COLUMNS = ("raw bytes", "arena live")
_CLICKS = """<script>
for (const [i, table] of document.querySelectorAll("table.sortable").entries()) {
  const head = [...table.tHead.rows[0].cells].find((cell) => COLUMNS.includes(cell.textContent));
  for (let n = 0; n <= i; n++) head.click();
}
</script>""".replace("COLUMNS", json.dumps(_COLUMNS))
_LAYOUT = """<script>
addEventListener("load", () => {
  const boxes = [...document.querySelectorAll(".scroll, .tall")];
  const wide = boxes.filter((box) => box.scrollWidth > box.clientWidth + 4);
  const silent = wide.filter((box) => getComputedStyle(box.querySelector(".cue")).display === "none");
  const found = document.createElement("i");
  found.id = "layout";
  found.dataset.sideways = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  found.dataset.wide = wide.length;
  found.dataset.silent = silent.length;
  document.body.append(found);
});
</script>"""


class _Dom(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: dict[str, float] = {}
        self.columns: list[list[float]] = []
        self.layout: dict[str, int] = {}
        self._cell, self._wanted = 0, -1
        self._in_sortable = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "data-key" in found:
            self.figures[found["data-key"]] = float(found["data-value"])
        if found.get("id") == "layout":
            self.layout = {name: int(found[f"data-{name}"]) for name in ("sideways", "wide", "silent")}
        if tag == "table":
            self._in_sortable = found.get("class") == "sortable"
            if self._in_sortable:
                self.columns.append([])
        if tag == "tr":
            self._cell = 0
        if tag in ("th", "td"):
            if tag == "td" and self._in_sortable and self._cell == self._wanted:
                self.columns[-1].append(float(found["data-value"]))
            self._cell += 1

    def handle_data(self, data: str) -> None:
        if data in _COLUMNS:
            self._wanted = self._cell - 1


def run(page: Path, *flags: str) -> str:
    """What Chromium prints of a page after its scripts ran; it must say nothing on the console."""
    with tempfile.TemporaryDirectory() as user:
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={user}"]
        command += ["--enable-logging=stderr", "--virtual-time-budget=5000", *flags, page.resolve().as_uri()]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    assert console == [], console
    return result.stdout


def with_script(page: Path, name: str, script: str) -> Path:
    changed = page.with_suffix(f".{name}.html")
    changed.write_text(page.read_text().replace("</body>", script + "</body>"))
    return changed


def check_layout(page: Path) -> None:
    """At two widths, light and dark, and printed."""
    checked = with_script(page, "layout", _LAYOUT)
    for width in (390, 1280):
        for flags in ((), ("--force-dark-mode",)):
            layout = _Dom(run(checked, f"--window-size={width},900", *flags, "--dump-dom")).layout
            assert layout["sideways"] <= 0, (width, layout)
            assert layout["silent"] == 0, (width, layout)
            assert layout["wide"] > 0 or width > 390, (width, layout)
    printed = page.with_suffix(".pdf")
    run(page, f"--print-to-pdf={printed.resolve()}", "--no-pdf-header-footer")
    assert printed.read_bytes().startswith(b"%PDF")


def value_at(document: Any, key: str) -> float:
    for part in key.split("."):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return -1.0 if document is None else float(document)


def main() -> None:
    page, profile = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    dom = _Dom(run(page, "--dump-dom"))
    wrong = {key: shown for key, shown in dom.figures.items() if shown != value_at(profile, key)}
    assert wrong == {}, wrong
    assert len(dom.figures) > 100, "the page shows hardly any figures"
    maps, ops = _Dom(run(with_script(page, "clicked", _CLICKS), "--dump-dom")).columns
    assert maps
    assert maps == sorted(maps, reverse=True), maps
    assert ops
    assert ops == sorted(ops), ops
    check_layout(page)
    print(f"{page}: {len(dom.figures)} figures equal the JSON, tables sort, nothing on the console, nothing is cut off")


if __name__ == "__main__":
    main()
