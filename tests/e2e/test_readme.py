"""What README.md tells a user to type works, on the demo model, with the installed scripts."""

from __future__ import annotations

import importlib.resources
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = Path(__file__).resolve().parents[2] / "README.md"
# Flags of other programs that the README names.
FOREIGN_FLAGS = {"--external_delegate_path"}


def blocks(language: str) -> list[str]:
    """The README's code blocks in one language."""
    fenced = re.findall(r"^```([\w+]*)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


CONVERSIONS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("fmtc-convert ")]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ["PATH"]}
    return subprocess.run(["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the README's commands name: `model.tflite` and `images/`."""
    demo = importlib.resources.files("fmtc_tflite") / "demo"
    (tmp_path / "model.tflite").write_bytes((demo / "demo_int8.tflite").read_bytes())
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for i in range(64):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8))
        coarse.resize((48, 40), Image.Resampling.BICUBIC).save(images / f"{i}.png")
    return tmp_path


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model converted as in the README's first command."""
    folder = tmp_path_factory.mktemp("converted")
    demo = importlib.resources.files("fmtc_tflite") / "demo" / "demo_int8.tflite"
    (folder / "model.tflite").write_bytes(demo.read_bytes())
    result = run("fmtc-convert model.tflite", folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "model_fmtc.tflite"


@pytest.mark.parametrize("command", [line for line in CONVERSIONS if "--restore" not in line])
def test_conversion(command: str, folder: Path) -> None:
    result = run(command, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (folder / "model_fmtc.tflite").stat().st_size > 0
    assert (folder / "model_fmtc.json").stat().st_size > 0


@pytest.mark.parametrize("command", [line for line in CONVERSIONS if "--restore" in line])
def test_restore(command: str, converted: Path, tmp_path: Path) -> None:
    shutil.copy(converted, tmp_path)
    result = run(command, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(list(tmp_path.glob("*.tflite"))) == 2


EVALUATIONS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("fmtc-eval ")]


@pytest.mark.parametrize("command", EVALUATIONS)
def test_evaluation(command: str, folder: Path, converted: Path) -> None:
    shutil.copy(converted, folder)
    result = run(command, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (folder / "result.json").stat().st_size > 0


PROFILES = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("fmtc-profile ")]


@pytest.mark.parametrize("command", PROFILES)
def test_profile(command: str, converted: Path, tmp_path: Path) -> None:
    for name in ("model.tflite", "model_fmtc.tflite"):
        shutil.copy(converted.parent / name, tmp_path)
    result = run(command, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "report.html").stat().st_size > 0


@pytest.mark.parametrize("at_once", [False, True])
def test_python(at_once: bool, converted: Path, tmp_path: Path) -> None:
    """Each snippet runs; the second one after the first, whose import it uses."""
    shutil.copy(converted, tmp_path)
    first, second = blocks("python")
    program = first + second if at_once else first
    result = subprocess.run(
        [sys.executable, "-c", program + "\ninterpreter.allocate_tensors()\ninterpreter.invoke()\n"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_error_without_the_plugin(converted: Path) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(converted))
    with pytest.raises(RuntimeError, match="unresolved custom op") as error:
        interpreter.allocate_tensors()
    (shown,) = [block for block in blocks("") if block.startswith("RuntimeError")]
    seen = f"RuntimeError: {error.value}\n"
    assert re.sub(r"number \d+", "number", shown) == re.sub(r"number \d+", "number", seen)


def test_recipe(folder: Path) -> None:
    (folder / "recipe.json").write_text(blocks("json")[0])
    result = run("fmtc-convert model.tflite --recipe recipe.json", folder)
    assert "Traceback" not in result.stderr
    assert result.returncode in (0, 2), result.stderr  # 2: names tensors that this model has not


def test_every_flag_exists(folder: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z_]+\b", README.read_text())) - FOREIGN_FLAGS
    comparison = f"{sys.executable} {README.parent / 'tools' / 'rate_accuracy.py'} --help"
    known = run(f"fmtc-convert --help; fmtc-eval --help; fmtc-profile --help; {comparison}", folder).stdout
    missing = {flag for flag in named if not re.search(rf"--(\[no\])?{flag[2:]}\b", known)}
    assert missing - {"--help"} == set()


def test_ci_runs_the_two_first_commands(repository: Path) -> None:
    script = repository / ".ci" / "run"
    if not script.exists():
        pytest.skip("no CI script beside the tests (it is not in the sdist)")
    first_two = [block.strip() for block in blocks("sh")[:2]]
    assert all("pip install" in command for command in first_two)
    assert [command for command in first_two if f'readme_command "{command}"' not in script.read_text()] == []
