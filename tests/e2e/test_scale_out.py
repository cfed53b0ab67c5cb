"""What docs/scale_out.md tells a user to type on one machine works, and what bad input gets."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("apache_beam")

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scale_out.md"
COMMANDS = re.search(r"^```sh\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the page's commands name: `model.tflite` and `images/`."""
    folder = tmp_path_factory.mktemp("scale_out")
    demo = importlib.resources.files("fmtc_tflite") / "demo"
    (folder / "model.tflite").write_bytes((demo / "demo_int8.tflite").read_bytes())
    (folder / "images").mkdir()
    for i, pixels in enumerate(np.load(str(demo / "demo_samples.npz"))["x"][:24]):
        Image.fromarray(pixels.squeeze()).save(folder / "images" / f"{i}.png")
    return folder


def test_the_commands_for_one_machine(folder: Path) -> None:
    assert COMMANDS is not None
    commands = COMMANDS[1].splitlines()
    assert [command.split()[0] for command in commands] == ["fmtc-convert", "fmtc-eval"]
    for command in commands:
        result = run(command, folder)
        assert result.returncode == 0, result.stdout + result.stderr
    assert (folder / "calibration.npz").stat().st_size > 0
    assert json.loads((folder / "result.json").read_text())["timing"]["num_workers"] is None
    converted = (folder / "model_fmtc.tflite").read_bytes()
    again = run(f"{commands[0].partition(' --calibration_store')[0]} --overwrite", folder)
    assert again.returncode == 0, again.stderr
    assert (folder / "model_fmtc.tflite").read_bytes() == converted, "without Beam or store: the same"


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("--beam='--runner=FlinkRunner' --calibration_store s.npz", "needs --temp_location as well"),
        ("--beam='--runer=FlinkRunner' --calibration_store s.npz", "Beam knows no option --runer"),
        ('--beam="it\'s" --calibration_store s.npz', "give Beam's options as one quoted text"),
        ("--beam=''", "needs --calibration_data and --calibration_store"),
    ],
)
def test_flags_that_will_not_do(folder: Path, flags: str, text: str) -> None:
    result = run(f"fmtc-convert model.tflite --calibration_data images/ --output x.tflite {flags}", folder)
    assert result.returncode == 2, result.stderr
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert text in error
    assert not {"x.tflite", "s.npz"} & {path.name for path in folder.iterdir()}
