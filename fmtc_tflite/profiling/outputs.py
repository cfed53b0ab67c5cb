"""The files that a profile is written to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmtc_tflite.rendering import check_available


@dataclass(frozen=True)
class ProfileOutputs:
    """Where a profile is written to; None = not written.

    Attributes:
      json: the whole profile, as in profile_schema.json.
      csv: a line for each op.
      html: a report that needs nothing but a browser.
      plots: a folder that gets PNG pictures; needs matplotlib (the extra `plots`).
      model_explorer: node data for Model Explorer.
      tensors: a folder that gets the values of ProfileOptions.tensors; None = that of the first of the other files, or
        the current one.
    """

    json: str | Path | None = None
    csv: str | Path | None = None
    html: str | Path | None = None
    plots: str | Path | None = None
    model_explorer: str | Path | None = None
    tensors: str | Path | None = None

    @property
    def tensor_folder(self) -> Path:
        """Where the values of tensors go."""
        files = [Path(path) for path in (self.html, self.json, self.csv, self.model_explorer) if path is not None]
        return Path(self.tensors) if self.tensors is not None else files[0].parent if files else Path()

    @property
    def paths(self) -> list[Path]:
        """Every file that will be written."""
        files = [Path(p) for p in (self.json, self.csv, self.html, self.model_explorer) if p is not None]
        if self.plots is not None:
            from fmtc_tflite.profiling.plots import PICTURES

            files += [Path(self.plots) / name for name in PICTURES]
        return files

    def check(self) -> None:
        """Raises UsageError if pictures are asked for and matplotlib is missing."""
        if self.plots is not None:
            check_available()

    def render(self, document: dict[str, Any]) -> list[tuple[Path, bytes]]:
        """Content of every file."""
        from fmtc_tflite.profiling import plots  # all of them stand on much that naming files does not need
        from fmtc_tflite.profiling.html import profile_html
        from fmtc_tflite.profiling.model_explorer import node_data
        from fmtc_tflite.profiling.text_report import profile_csv

        writers: list[tuple[str | Path | None, Callable[[dict[str, Any]], str]]] = [
            (self.json, lambda d: json.dumps(d, indent=1) + "\n"),
            (self.csv, profile_csv),
            (self.html, profile_html),
            (self.model_explorer, lambda d: json.dumps(node_data(d), indent=1) + "\n"),
        ]
        files = [
            (Path(path), write(document).encode(errors="backslashreplace"))
            for path, write in writers
            if path is not None
        ]
        if self.plots is not None:
            files += [(Path(self.plots) / name, png) for name, png in plots.draw(document).items()]
        return files
