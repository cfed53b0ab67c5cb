"""Who may import whom: each part of the package imports only what lies below it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = "fmtc_tflite"
SCHEMA = "ai_edge_litert.schema_py_generated"
INTERPRETERS = {"ai_edge_litert.interpreter", "tensorflow", "tflite_runtime"}

_RUNS_MODELS = ({"calibration", "coding", "evaluation", "graph", "progress", "runtime"}, {"numpy"})
# Part of the package -> (parts, and packages beside the standard library, that it may import). The longest name
# that matches a module holds. Every part may import itself, `types`, `errors` and `text`; the package itself is
# "".
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "types": (set(), {"numpy"}),
    "errors": (set(), set()),
    "files": (set(), set()),
    "text": (set(), set()),
    "progress": (set(), {"tqdm"}),
    "coding": (set(), {"numpy"}),
    "graph": (set(), {"numpy", "flatbuffers", SCHEMA}),
    "runtime": (set(), {"numpy"} | INTERPRETERS),
    "profiling": ({"coding", "evaluation", "graph"}, {"numpy"}),
    "profiling.live": ({"graph", "runtime"}, {"numpy"}),
    "profiling.measurement": _RUNS_MODELS,
    "profiling.memory_system": (set(), {"tomli"}),
    "profiling.paper_baseline": _RUNS_MODELS,
    "profiling.session": ({"calibration", "evaluation"}, set()),
    "evaluation": ({"graph"}, {"numpy", "PIL"}),
    "evaluation.partial": ({"files"}, {"numpy"}),
    "evaluation.runner": _RUNS_MODELS,
    "evaluation.session": _RUNS_MODELS,
    "calibration": ({"coding", "evaluation", "graph"}, {"numpy", "PIL"}),
    "calibration.adjoints": _RUNS_MODELS,
    "calibration.passes": _RUNS_MODELS,
    "calibration.projection": _RUNS_MODELS,
    "calibration.runner": _RUNS_MODELS,
    "calibration.sensitivity": _RUNS_MODELS,
    "calibration.store": ({"evaluation", "files", "graph", "runtime"}, {"numpy"}),
    "verify": _RUNS_MODELS,
    "beam": ({"", "calibration", "evaluation", "graph", "runtime"}, {"numpy", "apache_beam"}),
    "keras": (
        {"calibration", "conversion", "evaluation", "files", "graph"},
        {"numpy", "tensorflow", "tf_keras", "tensorflow_model_optimization"},
    ),
    "conversion": (
        {"calibration", "coding", "evaluation", "graph", "profiling", "progress", "runtime", "verify"},
        {"numpy"},
    ),
    "comparison": (
        {"calibration", "conversion", "evaluation", "graph", "profiling", "progress"},
        {"numpy"},
    ),
    "api": (
        {"calibration", "comparison", "conversion", "evaluation", "files", "graph", "profiling", "runtime", "verify"},
        {"numpy"},
    ),
    "": ({"api", "profiling", "runtime"}, set()),
    "cli": ({"", "api", "comparison", "conversion", "evaluation", "files", "profiling"}, {"absl"}),
}


def modules(repository: Path) -> dict[str, Path]:
    """Every module of the package by its name below the package ('' is the package itself)."""
    folder = repository / PACKAGE
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def layer_of(module: str) -> str:
    matching = [name for name in LAYERS if name and (module == name or module.startswith(name + "."))]
    return max(matching, key=len, default="")


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
    layer = layer_of(module)
    parts, packages = LAYERS[layer]
    own = {layer, layer.partition(".")[0], "types", "errors", "text"}
    found = []
    for name in sorted(names):
        top = name.partition(".")[0]
        if top == PACKAGE:
            below = name.partition(".")[2]
            target = layer_of(below)
            if target.partition(".")[0] not in parts | own:
                found.append(f"{module or PACKAGE} imports {name}")
        elif top not in sys.stdlib_module_names and not any(is_within(name, allowed) for allowed in packages):
            found.append(f"{module or PACKAGE} imports {name}")
    return found


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
        ("graph.rewrite", "ai_edge_litert.interpreter.Interpreter"),
        ("graph.rewrite", "fmtc_tflite.runtime.library"),
        ("calibration.statistics", "fmtc_tflite.runtime.interpreter"),
        ("runtime.interpreter", SCHEMA),
        ("runtime.interpreter", "PIL.Image"),
        ("api", "fmtc_tflite.cli.convert"),
        ("api", "tensorflow"),
    ],
)
def test_a_violation_is_found(module: str, name: str) -> None:
    assert violations(module, {name})
