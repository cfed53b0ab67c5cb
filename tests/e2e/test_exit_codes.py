"""Every tool, whatever is wrong: the exit code, one line that says what it is, and nothing written."""

from __future__ import annotations

import importlib.resources
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from said import said

BIN = Path(sys.executable).parent
DEMO = Path(str(importlib.resources.files("fmtc_tflite") / "demo"))
SAMPLES = str(DEMO / "demo_samples.npz")

# The commands, in which the test fills in the model, the data and the output.
TOOLS = {
    "convert": "fmtc-convert {model} --calibration_data {data} --output {output}",
    "restore": "fmtc-convert --restore {model} --output {output}",
    "profile": "fmtc-profile {model} --data {data} --json {output}",
    "eval": "fmtc-eval --model_file {model} --data {data} --json {output}",
    "eval_reference": "fmtc-eval --model_file m.tflite --reference_model_file {model} --data {data} --json {output}",
    "bench_latency": "tools/bench_latency.py {model} --calibration_data {data} --turns 1 --json {output}",
    "bench_memory": "tools/bench_memory.py {model} --turns 1 --json {output}",
    "bench_regions": "tools/bench_regions.py {model} --seconds 0.1 --json {output}",
    "region_arena": "tools/region_arena.py {model}",
    "dump_maps": "tools/dump_maps.py {model} --calibration_data {data} --output {output}",
}
GOOD = {"model": "m.tflite", "data": SAMPLES, "output": "new"}
FAULTS = {
    "model is missing": {"model": "absent.tflite"},
    "model is a folder": {"model": "folder"},
    "model is a loop of links": {"model": "loop"},
    "model is something else": {"model": "text"},
    "model is empty": {"model": "empty"},
    "data are missing": {"data": "absent.npz"},
    "data are a loop of links": {"data": "loop"},
    "data are damaged": {"data": "text.npz"},
    "output's folder is a file": {"output": "text/new"},
    "output exists": {"output": "text"},
    "output is a folder": {"output": "folder"},
    "output is a link to nothing": {"output": "nowhere"},
    "output is a loop of links": {"output": "loop"},
    "output has too long a name": {"output": "x" * 300},
}
CASES = [
    (tool, fault)
    for tool, command in TOOLS.items()
    for fault, changes in FAULTS.items()
    if all("{" + name + "}" in command for name in changes) and (tool, fault) != ("convert", "output is a folder")
]
HELPFUL = [
    "fmtc-convert",
    "fmtc-profile",
    "fmtc-eval",
    *(f"tools/{name}.py" for name in ("bench_latency", "bench_memory", "bench_regions", "draw_before_after")),
    *(f"tools/{name}.py" for name in ("count_spills", "dump_maps", "region_arena")),
    *(f"tools/{name}.py" for name in ("eval_accuracy", "make_golden_vectors", "rate_accuracy")),
]


@pytest.fixture(autouse=True)
def _files(_outside_the_repository: None) -> None:
    shutil.copy(DEMO / "demo_int8.tflite", "m.tflite")
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    Path("nowhere").symlink_to("absent")
    for name in ("text", "text.npz"):
        Path(name).write_text("neither a model nor data\n" * 10)
    Path("empty").touch()


def run(command: str, repository: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the shell; tools come from the source tree or are installed."""
    if command.startswith("tools/"):
        command = f"{shlex.quote(sys.executable)} {shlex.quote(str(repository))}/{command}"
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=300)


def assert_fails(result: subprocess.CompletedProcess[str], code: int) -> None:
    assert result.returncode == code, result.stderr
    assert len(said(result.stderr)) == 1, result.stderr
    assert said(result.stderr)[0].startswith("error: ")


def everything() -> dict[str, tuple[int, bytes]]:
    """What is in the working directory, links not followed."""
    return {
        str(path): (os.lstat(path).st_mode, path.read_bytes() if path.is_file() else b"")
        for path in (Path(folder, name) for folder, *names in os.walk(".") for each in names for name in each)
    }


@pytest.mark.parametrize(("tool", "fault"), CASES)
def test_bad_input(repository: Path, tool: str, fault: str) -> None:
    before = everything()
    command = TOOLS[tool].format(**{name: shlex.quote(text) for name, text in {**GOOD, **FAULTS[fault]}.items()})
    assert_fails(run(command, repository), 2)
    assert everything() == before


@pytest.mark.parametrize("tool", HELPFUL)
def test_usage(repository: Path, tool: str) -> None:
    result = run(f"{tool} --help", repository)
    assert (result.returncode, said(result.stderr)) == (0, [])
    assert "\n-h and --help print this, " in result.stdout
    assert run(f"{tool} -h", repository).stdout == result.stdout
    assert_fails(run(f"{tool} --no_such_flag", repository), 2)
    assert_fails(run(f"{tool} one two three", repository), 2)
    if Path("/dev/full").exists():
        assert_fails(run(f"{tool} --help >/dev/full", repository), 1)


@pytest.mark.parametrize("tool", ["convert", "bench_latency"])
def test_a_library_that_is_missing(repository: Path, tool: str) -> None:
    before = everything()
    assert_fails(run(TOOLS[tool].format(**GOOD), repository, FMTC_LIBRARY="absent.so"), 5)
    assert everything() == before


@pytest.mark.parametrize("flags", ["--exclude .", "--max_bits_per_value 0.001"])
def test_nothing_to_do(repository: Path, flags: str) -> None:
    before = everything()
    assert_fails(run(f"{TOOLS['convert'].format(**GOOD)} {flags}", repository), 3)
    assert everything() == before


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may read everything, and there is no setpriv"
)
@pytest.mark.parametrize("tool", TOOLS)
def test_permissions(repository: Path, tool: str) -> None:
    """Without the right to override permissions that root has."""
    for name in ("secret.tflite", "secret.npz"):
        shutil.copy("m.tflite" if name.endswith("e") else SAMPLES, name)
        Path(name).chmod(0)
    Path("closed").mkdir(mode=0o500)
    files = sorted(os.listdir())
    bound = "setpriv --bounding-set=-dac_override,-dac_read_search " if os.geteuid() == 0 else ""
    if bound and run(f"{bound} cat secret.npz", repository).returncode == 0:
        pytest.skip("root keeps its rights here")
    for change in ({"model": "secret.tflite"}, {"data": "secret.npz"}, {"output": "closed/new"}):
        if "{" + next(iter(change)) + "}" in TOOLS[tool]:
            python, _, rest = TOOLS[tool].format(**{**GOOD, **change}).partition(" ")
            place = f"{shlex.quote(sys.executable)} {repository}/{python}" if python.startswith("tools/") else python
            assert_fails(run(f"{bound}{place} {rest}", repository), 2)
    assert sorted(os.listdir()) == files
