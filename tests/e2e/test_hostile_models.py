"""Files that once brought a tool down: each is refused in one line, by each tool, and nothing is written."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import hostile_models
import model_builder
from robustness import Driver, Job, Outcome

CONVERTING = ("convert", "convert_data", "convert_lossless_data", "convert_regions", "dry_run")
CONVERTED_ONLY = ("restore", "profile_compare")
OTHERS = ("profile", "profile_data", "eval", "delegate")
# Unusual but sound for a tool: names are only shown, shapes of a file that is not run are believed, metadata that no
# tool needs is not read, and what only a runtime refuses is profiled without one.
SOUND = {
    "batch_65536": ("profile",),
    "escape_in_names": (*CONVERTING, *OTHERS),
    "metadata_deep_json": ("restore", "eval"),
    "metadata_of_wrong_types": ("restore", "eval"),
    "runtime_message_not_utf8": ("profile",),
    "runtime_refuses_prepare": ("profile",),
    "runtime_sigsegv": ("profile",),
}
CRASHES = {"runtime_sigabrt": "SIGABRT", "runtime_sigsegv": "SIGSEGV"}


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile")
    pictures = np.random.default_rng(0).integers(0, 256, (48, 16, 16, 3))
    np.savez(path / "samples.npz", x=pictures.astype(np.uint8))
    (path / "original.tflite").write_bytes(model_builder.chain())
    for name, build in hostile_models.MODELS.items():
        (path / f"{name}.tflite").write_bytes(build())
    return path


def run(driver: Driver, folder: Path, tmp_path: Path, name: str, tool: str) -> Outcome:
    original = str(folder / "original.tflite") if tool == "profile_compare" else None
    data = str(folder / "samples.npz")
    return driver.run(Job(tool, str(folder / f"{name}.tflite"), str(tmp_path), original, data))


@pytest.mark.parametrize("tool", [*CONVERTING, *CONVERTED_ONLY, *OTHERS[:-1]])
@pytest.mark.parametrize("name", hostile_models.MODELS)
def test_every_tool_refuses(driver: Driver, folder: Path, tmp_path: Path, name: str, tool: str) -> None:
    outcome = run(driver, folder, tmp_path, name, tool)
    if tool in SOUND.get(name, ()):
        assert outcome.code == 0, outcome.output
    else:
        assert outcome.is_refusal, outcome.output


@pytest.mark.parametrize("name", sorted(hostile_models.MODELS.keys() - CRASHES.keys() - {"batch_65536"}))
def test_a_program_with_the_plugin_lives_on(driver: Driver, folder: Path, tmp_path: Path, name: str) -> None:
    assert run(driver, folder, tmp_path, name, "delegate").is_clean


@pytest.mark.parametrize(("name", "signal"), CRASHES.items())
def test_runtimes_that_crash(folder: Path, tmp_path: Path, name: str, signal: str) -> None:
    """With the command-line tools themselves, in-process and with workers."""
    model = tmp_path / f"{name}.tflite"
    shutil.copy(folder / model.name, model)
    data = ["--data", folder / "samples.npz", "--preprocessing", "raw"]
    commands: list[list[str | Path]] = [
        ["fmtc-convert", model],
        ["fmtc-profile", model, *data],
        ["fmtc-eval", "--model_file", model, *data, "--json", tmp_path / "result.json"],
        ["fmtc-eval", "--model_file", model, *data, "--num_workers", "2"],
    ]
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert result.returncode == 2, (command, result.stderr)
        assert len(errors) == 1
        assert errors[0].startswith(f"error: {model}: ")
        assert signal in errors[0]
        assert "Traceback" not in result.stderr
        assert "Fatal Python error" not in result.stderr
        assert list(tmp_path.iterdir()) == [model]
