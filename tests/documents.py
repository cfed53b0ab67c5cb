"""The code blocks of README.md and docs/, and the folder in which they run.

A ```sh or ```python block is run, unless the comment before it says why not:

    <!-- not run: needs a Flink cluster -->

What a command prints is a ```text block, and the comment names the command; "..." stands for anything:

    <!-- shows: fmtc-convert float.tflite -->

A ```json or ```toml block is a file that a command of the page reads, by the name in the comment:

    <!-- file: recipe.json -->

Without a comment, blocks of these and of other languages are not looked at.
"""

from __future__ import annotations

import importlib.resources
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import model_builder

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"(?:^<!-- (?P<marker>[^\n]*) -->\n)?^```(?P<language>\S*)\n(?P<text>.*?)^```$", re.M | re.S)
_MARKER = re.compile(r"(?P<kind>not run|shows|file): (?P<value>.*\S)")
_DEMO = Path(str(importlib.resources.files("fmtc_tflite") / "demo"))
_IMAGES = 40


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
      page: the file, relative to the repository's root.
      line: of its first line.
      language: behind the fence's backticks.
      kind: not run, shows or file; empty without a comment.
      value: the reason, command or file name in the comment.
    """

    page: str
    line: int
    language: str
    kind: str
    value: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_program(self) -> bool:
        return self.language in ("sh", "python") and self.kind != "not run"

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, continued ones joined."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def blocks() -> list[Block]:
    """All of them, page by page."""
    return [block for page in PAGES for block in _blocks_of(page)]


def _blocks_of(page: Path) -> list[Block]:
    content, found = page.read_text(), []
    for match in _BLOCK.finditer(content):
        marker = _MARKER.fullmatch(match["marker"] or "")
        line = content.count("\n", 0, match.start("text")) + 1
        kind, value = (marker["kind"], marker["value"]) if marker else ("", "")
        name = str(page.relative_to(ROOT))
        found.append(Block(name, line, match["language"], kind, value, match["text"]))
    return found


class Folder:
    """A scratch folder that gets whatever the documents' commands name: models, images, arrays, recipes."""

    def __init__(self, path: Path, converted: Path, page: str) -> None:
        """Args: converted: a losslessly converted demo model; page: whose `file` blocks are at hand."""
        self.path = path
        self._makers: dict[str, Callable[[Path], object]] = {
            "model.tflite": lambda to: shutil.copy(_DEMO / "demo_int8.tflite", to),
            "model_fmtc.tflite": lambda to: shutil.copy(converted, to),
            "float.tflite": lambda to: to.write_bytes(_float_model()),
            "other_range.tflite": lambda to: to.write_bytes(model_builder.chain()),
            "pytorch_int8.tflite": lambda to: shutil.copy(ROOT / "tests/models/pytorch_int8.tflite", to),
            "representative.npy": lambda to: np.save(to, torch_images()),
            "samples.npz": lambda to: shutil.copy(_DEMO / "demo_samples.npz", to),
            "images/": _write_images,
            "labelled_images/": _write_images,
            "tools/": lambda to: to.symlink_to(ROOT / "tools"),
        }
        for block in blocks():
            if block.kind == "file" and block.page == page:
                self._makers[block.value] = lambda to, text=block.text: to.write_text(text)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs one command in a shell, with the installed scripts, after making what it names."""
        self.provide(command)
        path = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
        environment = {**os.environ, "PATH": path}
        return subprocess.run(["sh", "-c", command], cwd=self.path, env=environment, capture_output=True, text=True)

    def provide(self, text: str) -> None:
        """Makes the files and folders that a text names, where they are not there."""
        for name, make in self._makers.items():
            target = self.path / name
            if re.search(rf"(?<![\w./-]){re.escape(name)}", text) and not target.exists():
                make(target)


def torch_images() -> np.ndarray:
    """Digits of the demo as PyTorch's models get them: float32 [N, 3, 32, 32], RGB, normalized."""
    with np.load(_DEMO / "demo_samples.npz") as samples:
        pixels = np.repeat(samples["x"][:_IMAGES], 3, axis=3)
    normalized = (pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    return normalized.astype(np.float32).transpose(0, 3, 1, 2)


def _float_model() -> bytes:
    builder = model_builder.ModelBuilder()
    graph = builder.graph()
    graph.output(graph.conv(graph.input("x", [1, 8, 8, 3], "FLOAT32"), 4))
    return builder.build()


def _write_images(folder: Path) -> None:
    """Digits of the demo, in a subfolder for each class."""
    with np.load(_DEMO / "demo_samples.npz") as samples:
        pixels, labels = samples["x"][:_IMAGES], samples["y"]
    for i, image in enumerate(pixels):
        (folder / str(labels[i])).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(folder / str(labels[i]) / f"{i}.png")
