"""The installed tools where outputs are no plain files, streams are closed or full, and names are hostile."""

from __future__ import annotations

import csv
import importlib.resources
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import model_builder
from fmtc_tflite.graph.model_io import load_model
from said import said

BIN = Path(sys.executable).parent
DEMO = (importlib.resources.files("fmtc_tflite") / "demo" / "demo_int8.tflite").read_bytes()
SAMPLES = (importlib.resources.files("fmtc_tflite") / "demo" / "demo_samples.npz").read_bytes()
HOSTILE_NAME = "a\x1b[31m\x1b]0;t\x07\n\u202eb\x9b\r"

needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")


@pytest.fixture(autouse=True)
def _model(_outside_the_repository: None) -> None:
    """A small model as `m.tflite` in the working directory."""
    Path("m.tflite").write_bytes(model_builder.chain())


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the shell; `convert`, `profile` and `eval` are the tools, and outputs are what it prints."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env={**os.environ, "PATH": path, **environment},
        timeout=120,
    )


def convert(arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return shell(f"fmtc-convert --execution ops --include . {arguments}", **environment)


def assert_fails(result: subprocess.CompletedProcess[str], code: int, text: str) -> None:
    assert result.returncode == code, result.stderr
    lines = said(result.stderr)
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert text in lines[0]


def files() -> list[str]:
    return sorted(os.listdir())


# --- outputs that are no plain files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", ["", "--overwrite"])
def test_a_report_to_dev_null_or_stdout(flags: str) -> None:
    Path("null").symlink_to("/dev/null")
    Path("out").symlink_to("/proc/self/fd/1")
    for i, name in enumerate(("/dev/null", "null", "out", "/dev/stdout")):
        result = convert(f"m.tflite --output {i}.tflite --report {name} {flags}")
        assert result.returncode == 0, result.stderr
        if name in ("out", "/dev/stdout"):
            document, _ = json.JSONDecoder().raw_decode(result.stdout)
            assert document["sites"]
    assert os.readlink("null") == "/dev/null"
    assert os.readlink("out") == "/proc/self/fd/1"
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
@pytest.mark.parametrize("flags", ["", "--overwrite"])
def test_a_device_stays_one(flags: str) -> None:
    if shell("mknod n c 1 3").returncode != 0:
        pytest.skip("no devices here")
    assert convert(f"m.tflite --report n {flags}").returncode == 0
    assert Path("n").is_char_device()


def test_a_fifo() -> None:
    os.mkfifo("fifo")
    result = shell("cat fifo > copy & fmtc-profile m.tflite --json fifo; wait")
    assert result.returncode == 0, result.stderr
    assert json.loads(Path("copy").read_text())["models"]
    assert Path("fifo").is_fifo()


def test_process_substitution() -> None:
    result = shell("fmtc-profile m.tflite --csv >(cat > copy; echo > done); until [ -e done ]; do sleep 0.05; done")
    assert result.returncode == 0, result.stderr
    assert Path("copy").read_text().startswith("op_index,")


def test_links() -> None:
    Path("target.json").write_text("old")
    Path("target.json").chmod(0o600)
    Path("link.json").symlink_to("target.json")
    Path("nowhere.json").symlink_to("absent.json")
    Path("loop.json").symlink_to("loop.json")
    before = files()
    assert_fails(convert("m.tflite --report link.json"), 2, "link.json exists; pass --overwrite")
    for name, text in (("nowhere.json", "which does not exist"), ("loop.json", "Too many levels")):
        for flags in ("", "--overwrite"):
            assert_fails(convert(f"m.tflite --report {name} {flags}"), 2, text)
            assert_fails(shell(f"fmtc-profile m.tflite --json {name} {flags}"), 2, text)
    assert files() == before
    assert convert("m.tflite --report link.json --overwrite").returncode == 0
    assert os.readlink("link.json") == "target.json"
    assert json.loads(Path("target.json").read_text())["sites"]
    assert Path("target.json").stat().st_mode & 0o777 == 0o600


def test_inputs_that_loop_or_are_folders() -> None:
    Path("loop.tflite").symlink_to("loop.tflite")
    Path("loop.npz").symlink_to("loop.npz")
    Path("folder.tflite").mkdir()
    for model in ("loop.tflite", "folder.tflite", "x" * 300, "m.tflite/x"):
        assert_fails(shell(f"fmtc-convert {model}"), 2, "cannot read the model")
    for command in ("fmtc-profile", "fmtc-convert --restore", "fmtc-eval --data x --model_file"):
        assert_fails(shell(f"{command} loop.tflite"), 2, "cannot read the model")
    for data in ("loop.npz", "x" * 300, "m.tflite/x"):
        assert_fails(shell(f"fmtc-convert m.tflite --calibration_data {data}"), 2, data)
        assert_fails(shell(f"fmtc-convert m.tflite --recipe {data}"), 2, data)
    assert_fails(shell(f"fmtc-profile m.tflite --memory_system {'x' * 300}.toml"), 2, "File name too long")


def test_long_names() -> None:
    name = "n" * 248 + ".tflite"
    Path(name).write_bytes(model_builder.chain())
    assert_fails(convert(name), 2, "File name too long")
    output = "o" * 248 + ".tflite"
    assert convert(f"{name} --output {output} --report {'o' * 250}.json").returncode == 0
    assert convert(f"m.tflite --output {'p' * 255} --report {'q' * 255}").returncode == 0


def test_outputs_that_are_inputs() -> None:
    Path("s.npz").write_bytes(SAMPLES)
    Path("d.tflite").write_bytes(DEMO)
    for flags in ("--output s.npz", "--report s.npz", "--output d.tflite"):
        result = shell(f"fmtc-convert d.tflite --calibration_data s.npz --overwrite {flags}")
        assert_fails(result, 2, "would replace")
    for flags in ("--json s.npz", "--predictions_csv s.npz", "--json=d.tflite"):
        assert_fails(shell(f"fmtc-eval --model_file d.tflite --data s.npz --overwrite {flags}"), 2, "would replace")
    assert Path("s.npz").read_bytes() == SAMPLES
    assert Path("d.tflite").read_bytes() == DEMO


@pytest.mark.slow
def test_two_runs_at_once() -> None:
    """The second to finish fails and has written nothing, whichever it is."""
    for turn in range(20):
        flags = ["--execution", "ops", "--include", ".", "--output", f"{turn}.tflite"]
        command = [BIN / "fmtc-convert", "m.tflite", *flags]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        outcomes = sorted((run.communicate(), run.returncode) for run in runs)
        outcomes.sort(key=lambda outcome: outcome[1])
        assert [code for _, code in outcomes] == [0, 2]
        assert "pass --overwrite" in outcomes[1][0][1]
        assert len(said(outcomes[1][0][1])) == 1
        load_model(f"{turn}.tflite")
        assert json.loads(Path(f"{turn}.json").read_text())["sites"]
    assert not [name for name in files() if name.startswith(".")]


# --- streams ----------------------------------------------------------------------------------------------------------


@needs_dev_full
@pytest.mark.parametrize("to", [">/dev/full", ">&-"])
def test_results_that_cannot_be_printed(to: str) -> None:
    written = "cannot print the results: {}; written: m_fmtc.tflite, m_fmtc.json"
    why = "No space left on device" if "full" in to else "Bad file descriptor"
    assert_fails(convert(f"m.tflite {to}"), 1, written.format(why))
    assert load_model("m_fmtc.tflite").subgraphs
    assert json.loads(Path("m_fmtc.json").read_text())["sites"]
    assert_fails(convert(f"m.tflite --dry_run {to}"), 1, f"{why}; nothing was written")
    assert_fails(shell(f"fmtc-profile m.tflite --json p.json {to}"), 1, f"{why}; written: p.json")
    for tool in ("fmtc-convert", "fmtc-profile", "fmtc-eval"):
        assert_fails(shell(f"{tool} --help {to}"), 1, f"{why}; nothing was written")
    Path("m_fmtc.tflite").unlink()
    assert_fails(convert(f"m.tflite --overwrite --report /dev/stdout {to}"), 2 if "-" in to else 1, "/dev/stdout")
    assert Path("m_fmtc.tflite").exists() == (to == ">/dev/full")


def test_whoever_reads_may_stop() -> None:
    coded = "fmtc-convert m.tflite --execution ops --include ."
    for command in (coded, "fmtc-profile m.tflite", "fmtc-convert --help"):
        result = shell(f"{command} | true")
        assert (result.returncode, said(result.stderr)) == (0, [])
    assert "m_fmtc.tflite" in files()


@needs_dev_full
def test_a_stderr_that_is_closed_or_full() -> None:
    Path("d.tflite").write_bytes(DEMO)
    Path("s.npz").write_bytes(SAMPLES)
    for i, to in enumerate(("2>&-", "2>/dev/full", "<&- 2>&-", "2>&- | cat")):
        flags = "--execution ops --calibration_data s.npz --lossless --verbosity=1"
        result = shell(f"fmtc-convert d.tflite {flags} --output {i}.tflite {to}")
        assert result.returncode == 0
        assert "bits per value" in result.stdout
        assert load_model(f"{i}.tflite").subgraphs  # what the runtime says on its stderr did not get into it
        assert (
            shell(f"fmtc-eval --model_file d.tflite --data s.npz --num_samples 40 --json e{i}.json {to}").returncode
            == 0
        )
        assert shell(f"fmtc-profile d.tflite --data s.npz --num_samples 3 {to}").returncode == 0
        assert shell(f"fmtc-convert absent {to}").returncode == 2


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_encodings_that_lack_characters(environment: dict[str, str]) -> None:
    Path("ü.tflite").write_bytes(DEMO)
    result = shell("fmtc-convert ü.tflite", **environment)
    assert result.returncode == 0, result.stderr
    assert load_model("ü_fmtc.tflite").subgraphs
    Path(os.fsdecode(b"\xff\n.tflite")).write_bytes(DEMO)
    arguments = "$'\\xff\\n.tflite' --compare ü_fmtc.tflite --html ü.html --csv ü.csv --json ü.json --model_explorer e"
    result = shell(f"fmtc-profile {arguments}", **environment)
    assert result.returncode == 0, result.stderr
    assert "µJ" in Path("ü.html").read_text(encoding="utf-8")
    assert_fails(shell("fmtc-convert ö.tflite", **environment), 2, "cannot read the model")
    assert shell("fmtc-profile --help", **environment).returncode == 0


# --- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["fmtc-convert", "fmtc-eval", "fmtc-profile"])
@pytest.mark.parametrize("module", ["numpy", "absl", "fmtc_tflite.api"])
def test_an_interrupt_while_modules_are_imported(tool: str, module: str) -> None:
    """The signal comes as soon as a module is looked for."""
    Path("sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    result = shell(f"{tool} m.tflite", PYTHONPATH=os.getcwd())
    assert_fails(result, 130, "interrupted; nothing was written")


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (signal.SIGINT, 130, "interrupted; "),
        (signal.SIGTERM, 143, "ended by SIGTERM; "),
        (signal.SIGHUP, 129, "SIGHUP"),
    ],
)
def test_signals_while_it_waits_for_a_reader(number: int, code: int, text: str) -> None:
    """The FIFO has none; what is a file is written before."""
    os.mkfifo("fifo")
    command = [BIN / "fmtc-profile", "m.tflite", "--json", "fifo", "--csv", "p.csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not Path("p.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert text in stderr
    assert stderr.endswith("written: p.csv\n")
    assert stderr.count("\n") == 1
    assert files() == ["fifo", "m.tflite", "p.csv"]


# --- disks and names --------------------------------------------------------------------------------------------------


def test_a_file_that_gets_too_large() -> None:
    Path("d.tflite").write_bytes(DEMO)
    for command in ("fmtc-convert d.tflite --execution ops", "fmtc-profile d.tflite --html p.html --json p.json"):
        assert_fails(shell(f"ulimit -f 8; {command}"), 1, "File too large; nothing was written")
    assert files() == ["d.tflite", "m.tflite"]


def test_hostile_tensor_names() -> None:
    model = load_model(DEMO)
    for tensor in model.subgraphs[0].tensors:
        tensor.name += HOSTILE_NAME
    Path("h.tflite").write_bytes(model.to_bytes())
    Path("s.npz").write_bytes(SAMPLES)
    outputs = "--html p.html --csv p.csv --json p.json --model_explorer p.e"
    results = [
        shell("fmtc-convert h.tflite --calibration_data s.npz --max_kl 1 --verbosity=1"),
        shell(f"fmtc-profile h.tflite --compare h_fmtc.tflite {outputs}"),
        shell("fmtc-profile h_fmtc.tflite --traffic_model as_executed"),
    ]
    shown = [text for result in results for text in (result.stdout, result.stderr)]
    assert [result.returncode for result in results] == [0, 0, 0], shown
    shown += [Path("p.html").read_text(), Path("p.csv").read_text()]
    for text in shown:
        assert all(c.isprintable() or c == "\n" for c in text), text
    assert r"\x1b[31m" in shown[0]
    for name in ("p.html", "p.csv"):
        assert r"\x1b[31m" in Path(name).read_text()
    with open("p.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(load_model("h_fmtc.tflite").subgraphs[0].ops)
    assert HOSTILE_NAME in json.loads(Path("p.json").read_text())["models"][0]["feature_maps"][0]["tensor"]
    assert_fails(shell("fmtc-convert h.tflite --overwrite --include ^nothing"), 3, "")


def test_arguments_are_shown_as_they_can_be() -> None:
    for argument in (HOSTILE_NAME, f"--x{HOSTILE_NAME}", f"--max_kl={HOSTILE_NAME}"):
        result = shell(f"fmtc-convert {shlex.quote(argument)}")
        assert_fails(result, 2, r"\x1b[31m")
        assert all(line.isprintable() for line in result.stderr.splitlines())
