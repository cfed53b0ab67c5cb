"""What the command lines of all tools have in common, as installed."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PACKAGE = importlib.resources.files("fmtc_tflite")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the demo model and its samples."""
    monkeypatch.chdir(tmp_path)
    for source, name in (("demo_int8.tflite", "m.tflite"), ("demo_samples.npz", "s.npz")):
        Path(name).write_bytes((PACKAGE / "demo" / source).read_bytes())


def run(tool: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fmtc_tflite", tool, *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    return result


def errors(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("error: ")]


def test_conversion_into_a_new_folder_and_back() -> None:
    assert run("convert", "m.tflite", "-o", "new/folder/").stdout.endswith("written         new/folder/m_fmtc.tflite\n")
    assert Path("new/folder/m_fmtc.json").exists()
    run("convert", "--restore", "new/folder/m_fmtc.tflite", "-o", "restored/")
    assert Path("restored/m_fmtc_restored.tflite").exists()


def test_data_and_booleans() -> None:
    result = run("convert", "m.tflite", "--data", "s.npz", "--lossless", "true", "--execution", "ops", "--json", "-")
    report = json.loads(result.stdout)
    assert report["data"] == "calibration"
    assert report["fidelity"]["bit_exact"]


def test_parts_of_the_codec_are_left_out() -> None:
    small_core = ("--disable", "klt,folding,copies,contexts")
    report = json.loads(run("convert", "m.tflite", *small_core, "--json", "-").stdout)
    assert {site["transform"] for site in report["sites"]} == {"lossless"}
    assert "--disable: got trees" in errors(run("convert", "m.tflite", "--overwrite", "--disable", "trees", code=2))[0]


def test_evaluation_on_stdout() -> None:
    result = run("eval", "m.tflite", "--reference", "m.tflite", "--data", "s.npz", "--num_samples", "4", "--json", "-")
    assert json.loads(result.stdout)["comparison"]["bit_exact"]
    assert sorted(map(str, Path().iterdir())) == ["m.tflite", "s.npz"]


def test_data_without_labels() -> None:
    with np.load("s.npz") as arrays:
        np.save("x.npy", arrays["x"][:4])
    text = run("eval", "m.tflite", "--data", "x.npy").stdout
    assert "accuracy        not measured: the data has no labels" in text


def test_limits() -> None:
    limits = ("--fail_if", "planned_bytes<=1e9", "--fail_if", "size_bytes<0")
    result = run("profile", "m.tflite", "-o", "report.html", *limits, code=3)
    (error,) = errors(result)
    assert "arena.planned_bytes is " in error
    assert "which --fail_if 'planned_bytes<=1e9' forbids; written: report.html" in error
    assert "size_bytes" not in error
    run("profile", "m.tflite", "--fail_if", "planned_bytes>1e9")
    assert "expected a figure" in errors(run("convert", "m.tflite", "--fail_if", "planned", code=2))[0]
    assert "no figure of this name" in errors(run("convert", "m.tflite", "--dry_run", "--fail_if", "x>1", code=2))[0]


def test_one_limit_for_all_tools() -> None:
    limit = ("--fail_if", "bits_per_value>0.25")
    code = ("--execution", "ops", "--dry_run")
    assert "totals.bits_per_value is " in errors(run("convert", "m.tflite", *code, *limit, code=3))[0]
    run("convert", "m.tflite", *limit)  # regions store less
    run("convert", "m.tflite", "--execution", "ops", "-o", "coded.tflite")
    samples = ("--data", "s.npz")
    for arguments, figure in (
        (("profile", "coded.tflite"), "schemes.1.bits_per_value is "),
        (("profile", "m.tflite", "--compare", "coded.tflite", *samples), "schemes.5.bits_per_value is "),
        (("eval", "coded.tflite", "--reference", "m.tflite", *samples), "model.coded.bits_per_value.mean is "),
    ):
        assert figure in errors(run(*arguments, *limit, code=3))[0]


def test_report_of_a_conversion() -> None:
    assert json.loads(run("convert", "m.tflite", "--json").stdout)["execution"] == "regions"
    run("convert", "m.tflite", "--overwrite", "--json", "new/report.json")
    assert json.loads(Path("new/report.json").read_text())["execution"] == "regions"
    both = run("convert", "m.tflite", "--overwrite", "--json", "a.json", "--report", "b.json", code=2)
    assert "--report and --json" in errors(both)[0]


def test_profiles_are_compared() -> None:
    run("profile", "m.tflite", "--json", "before.json")
    result = run("profile", "before.json", "--compare", "before.json", "--fail_if", "size_bytes.change>0")
    assert "arena.planned_bytes" in result.stdout
    assert "+0.00 %" in result.stdout
    assert "name another one with --compare" in errors(run("profile", "before.json", code=2))[0]
    Path("no.json").write_text("{}")
    assert "is no profile" in errors(run("profile", "before.json", "--compare", "no.json", code=2))[0]
