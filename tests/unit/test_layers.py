"""Who may import whom: each part of the package imports only what lies below it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = "fmtc_tflite"
SCHEMA = "ai_edge_litert.schema_py_generated"
INTERPRETERS = {"ai_edge_litert.interpreter", "tensorflow", "tflite_runtime"}

# Part of the package -> (parts, and packages beside the standard library, that it may import). Every part may import
# itself, `types`, `errors` and `text`; the package itself is "".
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "types": (set(), {"numpy"}),
    "errors": (set(), set()),
    "files": (set(), set()),
    "text": (set(), set()),
    "progress": (set(), {"tqdm"}),
    "rendering": (set(), set()),
    "blas": (set(), {"numpy", "threadpoolctl"}),
    "coding": (set(), {"numpy"}),
    "graph": (set(), {"numpy", "flatbuffers", SCHEMA}),
    "supervision": (set(), set()),
    "runtime": ({"supervision"}, {"numpy"} | INTERPRETERS),
    "sharding": ({"blas", "files", "supervision"}, {"numpy"}),
    "memory": ({"coding", "files", "graph"}, {"numpy", "tomli"}),
    "regions": ({"coding", "graph", "memory"}, {"numpy"}),
    "data": ({"graph"}, {"numpy", "PIL"}),
    "inference": ({"graph", "runtime"}, {"numpy"}),
    "fidelity": ({"graph", "inference", "progress", "regions"}, {"numpy"}),
    "calibration": (
        {"coding", "data", "fidelity", "files", "graph", "inference", "progress", "runtime", "sharding"},
        {"numpy"},
    ),
    "evaluation": ({"data", "fidelity", "graph", "inference", "progress", "runtime", "sharding"}, {"numpy"}),
    "profiling": (
        {
            *("calibration", "coding", "data", "fidelity", "files", "graph", "inference", "memory", "progress"),
            *("regions", "rendering", "runtime"),
        },
        {"numpy"},
    ),
    "conversion": (
        {
            *("blas", "calibration", "coding", "data", "fidelity", "files", "graph", "inference", "memory", "progress"),
            *("regions", "rendering", "runtime"),
        },
        {"numpy"},
    ),
    "comparison": (
        {"conversion", "data", "evaluation", "graph", "inference", "progress", "rendering", "sharding"},
        {"numpy"},
    ),
    "beam": (
        {"", "blas", "calibration", "data", "evaluation", "files", "graph", "progress", "runtime", "sharding"},
        {"numpy", "apache_beam"},
    ),
    "keras": (
        {"conversion", "data", "files", "graph", "inference"},
        {"numpy", "tensorflow", "tf_keras", "tensorflow_model_optimization"},
    ),
    "api": (
        {
            "blas",
            "comparison",
            "conversion",
            "evaluation",
            "files",
            "graph",
            "profiling",
            "regions",
            "rendering",
            "runtime",
            "supervision",
        },
        set(),
    ),
    "demonstration": ({"api", "conversion", "data", "evaluation", "graph", "runtime"}, set()),
    "": ({"api", "profiling", "runtime"}, set()),
    "cli": (
        {
            *(
                "",
                "api",
                "comparison",
                "conversion",
                "demonstration",
                "evaluation",
                "files",
                "memory",
                "profiling",
                "progress",
                "regions",
            ),
            "supervision",
        },
        {"absl"},
    ),
    "__main__": ({"", "cli"}, set()),
}


def modules(repository: Path) -> dict[str, Path]:
    """Every module of the package by its name below the package ('' is the package itself)."""
    folder = repository / PACKAGE
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imported_names(path: Path) -> set[str]:
    """Full names that a file imports at any depth; `from a import b` counts as a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_within(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(allowed + ".")


def violations(module: str, names: set[str]) -> list[str]:
    room = module.partition(".")[0]
    parts, packages = LAYERS[room]
    found = []
    for name in sorted(names):
        top, _, below = name.partition(".")
        if top == PACKAGE:
            target = below.partition(".")[0]
            if (target if target in LAYERS else "") not in parts | {room, "types", "errors", "text"}:
                found.append(f"{module or PACKAGE} imports {name}")
        elif top not in sys.stdlib_module_names and not any(is_within(name, allowed) for allowed in packages):
            found.append(f"{module or PACKAGE} imports {name}")
    return found


def test_no_room_is_above_itself() -> None:
    below: set[str] = {""}  # what it loads when it is first used is no import of its own
    while missing := LAYERS.keys() - below:
        free = {room for room in missing if LAYERS[room][0] <= below}
        assert free, f"these import one another: {sorted(missing)}"
        below |= free


def test_every_part_has_its_place(repository: Path) -> None:
    assert {module.partition(".")[0] for module in modules(repository)} <= set(LAYERS)


def test_layers(repository: Path) -> None:
    found = [line for module, path in modules(repository).items() for line in violations(module, imported_names(path))]
    assert found == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("coding.transform", "fmtc_tflite.graph.sites"),
        ("coding.transform", "tqdm.tqdm"),
        ("graph.edits.restore", "ai_edge_litert.interpreter.Interpreter"),
        ("graph.edits.restore", "fmtc_tflite.runtime.library"),
        ("fidelity.metrics", "fmtc_tflite.runtime.interpreter"),
        ("calibration.stages", "fmtc_tflite.evaluation.evaluation"),
        ("evaluation.evaluation", "fmtc_tflite.calibration.kept_statistics"),
        ("conversion.paper_preset", "fmtc_tflite.profiling.baselines"),
        ("runtime.interpreter", SCHEMA),
        ("runtime.interpreter", "PIL.Image"),
        ("api", "fmtc_tflite.cli.convert"),
        ("api", "tensorflow"),
    ],
)
def test_a_violation_is_found(module: str, name: str) -> None:
    assert violations(module, {name})
