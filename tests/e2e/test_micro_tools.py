"""Tools for microcontrollers: tables of arenas, and libraries in source."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from known_networks import mobilenet_v1, mobilenet_v2

FROM_ELSEWHERE = "tensorflow/"


def run(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, repository / "tools" / arguments[0], *arguments[1:]]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("layout", ["esp_idf", "arduino"])
def test_a_library_has_all_that_it_includes(repository: Path, tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "fmtc_micro"
    done = run(repository, "micro_library.py", folder, f"--layout={layout}")
    assert done.returncode == 0, done.stderr
    sources = folder / "src"
    included = {name for path in sources.rglob("*.*") for name in re.findall(r'# *include "(.*)"', path.read_text())}
    assert {
        name for name in included if not name.startswith(FROM_ELSEWHERE) and not (sources / name).is_file()
    } == set()
    assert (sources / "micro" / "tflm_ops.h").is_file()
    if layout == "esp_idf":
        listed = set(re.findall(r"^ *src/(\S+)$", (folder / "CMakeLists.txt").read_text(), re.MULTILINE))
        assert listed == {path.relative_to(sources).as_posix() for path in sources.rglob("*.cc")}
    else:
        assert "name=fmtc_micro\n" in (folder / "library.properties").read_text()
    assert run(repository, "micro_library.py", folder).returncode == 2


def test_the_table_has_head_and_tail_of_each_budget(repository: Path, tmp_path: Path) -> None:
    model = tmp_path / "small.tflite"
    model.write_bytes(mobilenet_v1(0.25, 32, 1, 2, "INT8"))
    done = run(repository, "micro_arena.py", model, "--max_extra_macs=0,0.05")
    assert done.returncode == 0, done.stderr
    row = done.stdout.splitlines()[-1]
    cells = [int(text.replace(",", "")) for text in re.findall(r"= ([\d,]+);", row)]
    assert len(cells) == 2
    assert cells[1] <= cells[0]
    assert run(repository, "micro_arena.py", model, "--max_extra_macs=much").returncode == 2


def test_networks_have_the_published_widths() -> None:
    assert len(mobilenet_v2(0.35, 32)) > 1_500_000  # 1.7 million weights, 1.3 of them of 1280 channels
