"""What is internal to ai-edge-litert may move: tools say so in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# Runs a tool after something was done to ai_edge_litert, as another version of it would.
_TOOL = "{change}\nimport sys\nfrom fmtc_tflite.cli import entry\nsys.argv = ['fmtc-{name}', '--help']\nentry.{entry}()"
_ABSENT = "import sys\nsys.modules['ai_edge_litert'] = None"
_MOVED = "import sys\nsys.modules['ai_edge_litert.schema_py_generated'] = None"
_CHANGED = "from ai_edge_litert import schema_py_generated as s\ndel s.TensorT, s.Padding"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_ABSENT, "ai-edge-litert is not installed; "),
        (_MOVED, "ai_edge_litert.schema_py_generated, which is internal to it and has moved"),
        (
            _CHANGED,
            "is internal to ai-edge-litert and has changed: it has no Padding",
        ),
    ],
    ids=["absent", "moved", "changed"],
)
@pytest.mark.parametrize(("name", "entry"), [("convert", "convert"), ("eval", "evaluate"), ("profile", "profile")])
def test_a_schema_that_moved_is_told(change: str, message: str, name: str, entry: str) -> None:
    program = _TOOL.format(change=change, name=name, entry=entry)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (5, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert "tested versions are" in line


def test_all_classes_are_asked_for(repository: Path) -> None:
    """What the package uses of the schema is what it asks for."""
    files = (repository / "fmtc_tflite").rglob("*.py")
    used = {name for path in files for name in re.findall(r"\bschema\.([A-Z]\w+)", path.read_text())}
    used = used - {"Conv2DOptionsT"} | {"ExternalBufferT"}  # one of a comment; one whose objects are all of a model
    text = (repository / "fmtc_tflite/graph/schema.py").read_text()
    assert set(re.findall(r'"([A-Z]\w+)"', text.partition("_NEEDED")[2])) == used


def test_the_bound_is_that_of_the_tested_versions(repository: Path) -> None:
    bound = re.search(r'"(ai-edge-litert[^"]*)"', (repository / "pyproject.toml").read_text())
    assert bound is not None
    assert f"pip install '{bound[1]}'" in (repository / "fmtc_tflite/graph/schema.py").read_text()
