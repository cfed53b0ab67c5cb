"""Work in a child process that may crash, hang or be ended: what whoever started it sees."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys, time
from fmtc_tflite import supervision

def interrupt(number, frame):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt

def work():
    supervision.open_to_signals({{signal.SIGINT: interrupt}})
{work}
    return 0

sys.exit(supervision.supervised(work))
"""
HANGS = "print('ready', flush=True)\ntime.sleep(60)"
# Native code, in which Python sees no signals: the child ignores what it gets.
HANGS_DEAF = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + HANGS


def start(work: str) -> subprocess.Popen[str]:
    indented = "\n".join(f"    {line}" for line in work.splitlines())
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(work=indented)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(work: str) -> tuple[int, str, str]:
    process = start(work)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


@pytest.mark.parametrize("code", [0, 1, 2, 130, 255])
def test_exit_codes_and_output_are_the_childs(code: int) -> None:
    assert run(f"print('result')\nreturn {code}") == (code, "result\n", "")


def crash(name: str) -> str:
    return f"os.kill(os.getpid(), signal.{name})"


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL"])
def test_a_crash_in_a_runtime_is_bad_input(name: str) -> None:
    work = f"""
supervision.note_model('a.tflite')
with supervision.foreign_code('some_runtime', 'running'):
    {crash(name)}"""
    code, out, err = run(work)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: a.tflite: the runtime some_runtime crashed when running it ({name}); ")
    assert err.count("\n") == 1


def test_a_crash_after_a_runtime_has_damaged_memory_is_bad_input_too() -> None:
    code, _, err = run(f"with supervision.foreign_code('some_runtime', 'opening'):\n    pass\n{crash('SIGABRT')}")
    assert code == 2
    assert err.startswith("error: a model: the process crashed after the runtime some_runtime was opening it (SIGABRT)")


def test_a_crash_of_our_own_is_an_internal_error() -> None:
    code, _, err = run(crash("SIGSEGV"))
    assert code == 1
    assert err == "error: the process was ended by SIGSEGV; please report it with the command\n"


def test_want_of_memory() -> None:
    code, _, err = run(crash("SIGKILL"))
    assert code == 1
    assert err == "error: the process was ended by SIGKILL, usually for want of memory\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_the_parent_ends_both(number: signal.Signals) -> None:
    process = start(HANGS)
    wait_until_ready(process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)  # ends when the child, too, has closed the pipes
    assert (process.returncode, err) == (-number, "")


def test_an_interrupt_reaches_the_child() -> None:
    work = f"try:\n    {'; '.join(HANGS.splitlines())}\nexcept KeyboardInterrupt:\n    return 130"
    process = start(work)
    wait_until_ready(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_second_interrupt_ends_what_hangs() -> None:
    process = start(HANGS_DEAF)
    wait_until_ready(process)
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "error: interrupted\n")


def test_a_killed_parent_leaves_no_child_behind() -> None:
    process = start("print('ready', os.getpid(), flush=True)\ntime.sleep(60)")
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(child)


def is_alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
