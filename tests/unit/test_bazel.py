"""The Bazel files fit releases that have modules and no built-in Python or C++ rules (8 and 9)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

# What a BUILD file may call without loading it, in every release.
_BUILT_IN = {
    "alias",
    "config_setting",
    "exports_files",
    "filegroup",
    "genrule",
    "glob",
    "len",
    "load",
    "package",
    "select",
}
_BUILD_FILES = ("BUILD", "custom_ops/BUILD")


def _calls(path: Path) -> list[ast.Call]:
    """Calls in a Starlark file, which these are valid Python of as well."""
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def _named(calls: list[ast.Call], name: str) -> list[ast.Call]:
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == name]


def _strings(node: ast.AST) -> set[str]:
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def _modules(repository: Path) -> set[str]:
    dependencies = _named(_calls(repository / "MODULE.bazel"), "bazel_dep")
    keywords = [{k.arg: ast.literal_eval(k.value) for k in call.keywords} for call in dependencies]
    assert all(set(found) == {"name", "version"} for found in keywords)
    return {found["name"] for found in keywords}


@pytest.mark.parametrize("file", _BUILD_FILES)
def test_rules_are_loaded(repository: Path, file: str) -> None:
    calls = _calls(repository / file)
    loaded = {ast.literal_eval(argument) for call in _named(calls, "load") for argument in call.args[1:]}
    called = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    assert called - _BUILT_IN == loaded, "of neither the built-in names nor those that are loaded"


def test_every_repository_is_a_module_that_is_named(repository: Path) -> None:
    used = set()
    for file in _BUILD_FILES:
        labels = _strings(ast.parse((repository / file).read_text()))
        used |= {found[1] for label in labels if (found := re.match(r"@+(\w+)//", label))}
    assert used == _modules(repository)


def test_labels_of_the_root_lead_to_targets(repository: Path) -> None:
    keywords = [keyword for call in _calls(repository / "custom_ops/BUILD") for keyword in call.keywords]
    targets = {name for keyword in keywords if keyword.arg == "name" for name in _strings(keyword.value)}
    root = _strings(ast.parse((repository / "BUILD").read_text()))
    labels = {label for label in root if label.startswith("//custom_ops:")}
    assert labels
    assert {label.partition(":")[2] for label in labels} <= targets
