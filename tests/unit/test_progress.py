"""How far a run is: on a terminal one bar, elsewhere a line for each stage, for programs nothing."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from fmtc_tflite import progress as module
from fmtc_tflite.progress import progress, stage, stages


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run() -> None:
    with stages(("reading", 1), ("search", 4), ("verification", 1)):
        stage("reading")
        assert list(progress(range(3), "other")) == [0, 1, 2]
        for _ in range(6):  # more passes than were expected
            stage("search")
            list(progress(iter("ab"), "trial", 2))
        stage("verification")
        with stages(("inner", 1), ("other", 1)):  # which is part of this run
            stage("inner")
            list(progress("ab", "inner"))
        stage("reading")  # it is past
        with progress(None, "by hand", total=4, initial=2) as done:
            done.update(2)


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_announces", False)
    module.announce_stages()


@pytest.mark.usefixtures("announced")
def test_without_a_terminal_each_stage_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    run()
    lines = ["stage 1 of 3: reading", "stage 2 of 3: search", "stage 3 of 3: verification"]
    assert capsys.readouterr() == ("", "".join(f"{line}\n" for line in lines))


@pytest.mark.usefixtures("announced")
def test_one_stage_says_nothing_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with stages(("all of it", 1)):
        stage("all of it")
        list(progress(range(3), "pass"))
    list(progress(range(3), "alone"))
    assert capsys.readouterr() == ("", "")


def test_programs_that_use_the_package_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "closed"])
def test_a_stderr_that_is_none_or_closed(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None) -> None:
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    run()


def test_on_a_terminal_one_bar_only_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
    run()
    drawn = terminal.getvalue().split("\r")
    shares = [int(found[1]) for line in drawn if (found := re.search(r"(\d+) %", line))]
    assert shares == sorted(shares)
    text = terminal.getvalue()
    for name in ("1 of 3: reading", "2 of 3: search", "3 of 3: verification"):
        assert name in text
    assert "left" in text
    assert "inner" not in text
    assert "\n" not in text  # one line, which is gone in the end
    assert drawn[-2].strip() == ""


@pytest.mark.parametrize("columns", [0, 40, 120])
def test_terminals_of_any_width(columns: int) -> None:
    """One without a window says that it has no columns."""
    terminal, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    program = "from fmtc_tflite.progress import progress\nlist(progress(range(3), 'pass'))"
    subprocess.run([sys.executable, "-c", program], stderr=other, check=True)
    os.close(other)
    shown = os.read(terminal, 100_000).decode().split("\r")
    os.close(terminal)
    assert any(line.startswith("pass:") for line in shown)
    assert max(map(len, shown)) <= (columns or 80)
