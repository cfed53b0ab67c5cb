"""Two profiles as JSON, figure by figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import coded_models
import model_builder
from fmtc_tflite.errors import UsageError
from fmtc_tflite.profiling.changes import format_changes, profile_changes
from fmtc_tflite.profiling.options import ProfileOptions
from fmtc_tflite.profiling.session import run_profile


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return run_profile([("m.tflite", model_builder.chain())], ProfileOptions())


def write(folder: Path, name: str, document: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def test_nothing_changed(document: dict[str, Any], tmp_path: Path) -> None:
    before, after = write(tmp_path, "a.json", document), write(tmp_path, "b.json", document)
    found = profile_changes(before, after)
    assert found["before"] == str(before)
    assert {figure["change"] for figure in found["figures"].values()} <= {0, None}
    size = found["figures"]["size_bytes"]
    assert size == {"before": size["before"], "after": size["before"], "change": 0}


def test_a_conversion(document: dict[str, Any], tmp_path: Path) -> None:
    content = model_builder.chain()
    coded = run_profile([("c.tflite", coded_models.converted(content).to_bytes())], ProfileOptions())
    found = profile_changes(write(tmp_path, "a.json", document), write(tmp_path, "b.json", coded))
    figures = found["figures"]
    after = coded["models"][0]["totals"]["as_executed"]["feature_map_read_bytes"]
    before = document["models"][0]["totals"]["as_executed"]["feature_map_read_bytes"]
    moved = figures["as_executed.feature_map_read_bytes"]
    assert moved == {"before": before, "after": after, "change": after / before - 1}
    assert figures["bits_per_value.fmtc"]["before"] is None
    lines = {line.split()[0]: line for line in format_changes(found).splitlines() if line}
    assert lines["as_executed.feature_map_read_bytes"].endswith(f"{100 * (after / before - 1):+.2f} %")
    assert " - " in lines["bits_per_value.fmtc"]


@pytest.mark.parametrize("content", ["", "{", "[]", "1", "{}", '{"profile_version": 1}', '{"profile_version": 9}'])
def test_what_is_no_profile(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UsageError, match=r"a\.json.*(expected|version)"):
        profile_changes(tmp_path / "a.json", tmp_path / "a.json")
    with pytest.raises(UsageError, match="No such file"):
        profile_changes(tmp_path / "none.json", tmp_path / "a.json")


def test_memory_systems_must_agree(document: dict[str, Any], tmp_path: Path) -> None:
    other = {**document, "memory_system": {**document["memory_system"], "name": "another"}}
    with pytest.raises(UsageError, match="for another: their energies do not compare"):
        profile_changes(write(tmp_path, "a.json", document), write(tmp_path, "b.json", other))
