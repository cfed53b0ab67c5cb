"""Command-line tools survive what runs in them: work is done in a child process, and its parent tells how it ended.

TensorFlow Lite runtimes are native code that trusts models: a damaged one can make them write to address 0 or call
abort(). Only a process of its own contains that. The parent does nothing but wait and pass signals on, so that exit
codes, Ctrl-C and `kill` are those of a single process. The child notes which model it runs where both can read it.

Needs the standard library, and how texts are shown, only.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

from fmtc_tflite.text import printable

CRASHES = frozenset((signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGBUS, signal.SIGILL))
HOW_TO_GO_ON = "the model is damaged, or hits a fault of this runtime: export it again, or try another runtime version"

_EXIT_INTERNAL, _EXIT_BAD_INPUT, _EXIT_INTERRUPTED = 1, 2, 130
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_PATIENCE_SECONDS = 1.0  # between two Ctrl-C that are meant as two
_PR_SET_PDEATHSIG = 1


class _Note:
    """A line of text that parent and child share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8192)

    def write(self, text: str) -> None:
        content = text.encode("utf-8", "surrogateescape")[: len(self._memory) - 1]
        self._memory[: len(content) + 1] = content + b"\0"

    def read(self) -> str:
        return self._memory[:].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


_note: _Note | None = None
_models: list[str] = []
_doing: list[str] = []  # what runtimes are at, in all threads
_waiting: list[int] = []  # signals that came before anyone could handle them

Handler = Callable[[int, FrameType | None], object]


def note_model(path: str) -> None:
    """Has a later crash name this model."""
    if path not in _models:
        _models.append(path)


def noted_models() -> str:
    """The models that this process works on, as messages name them."""
    return " or ".join(_models) or "a model"


@contextmanager
def foreign_code(runtime: str, doing: str) -> Iterator[None]:
    """Wraps what a runtime does: a crash in it, or after it (memory that it damaged), is then put down to the model.

    Args:
      runtime: its name.
      doing: what it does with the model: "opening", "preparing" or "running".
    """
    if _note is None:
        yield
        return
    models = noted_models()
    crash = f"{models}: the runtime {runtime} crashed when {doing} it"
    _doing.append(crash)
    _note.write(crash)
    try:
        yield
    finally:
        _doing.remove(crash)
        after = f"{models}: the process crashed after the runtime {runtime} was {doing} it"
        _note.write(next(iter(_doing[-1:]), after))


def supervised(work: Callable[[], int]) -> int:
    """Runs `work` in a child process, which gets no signals until it calls `open_to_signals`.

    It returns twice: in the child what `work` returned, in the parent the exit code that the child had, or that a crash
    deserves after one line on stderr. The caller ends the process with it either way.
    """
    global _note
    note = _Note()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    parent = os.getpid()
    # Blocking them would not do: another thread would take them, and Python's handlers run in this one.
    for number in _PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda signum, _: _waiting.append(signum))
    with warnings.catch_warnings():
        # numpy's threads may exist by now; they are idle, and its BLAS library has handlers for forks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        die_with(parent)
        if not os.environ.get("PYTHONFAULTHANDLER"):
            faulthandler.disable()  # absl enables it: its stack of our Python code tells nothing of a runtime's crash
        _note = note
        return work()
    return _Parent(child).exit_code(note)


def open_to_signals(handlers: Mapping[signal.Signals, Handler]) -> None:
    """To be called by the work, where it handles what signals raise: those that came until now arrive now.

    Args:
      handlers: SIGINT and others; what has none ends the process, and what was ignored stays so.
    """
    for number in _PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handlers.get(number, signal.SIG_DFL))
    while _waiting:
        os.kill(os.getpid(), _waiting.pop(0))


def die_with(parent: int) -> None:
    """Has the kernel kill this process when its parent is gone, however that ended."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(_EXIT_INTERNAL)


class _Parent:
    """Waits for the child, and passes on the signals that it gets meanwhile."""

    def __init__(self, child: int) -> None:
        self._child = child
        self._interrupted_at: float | None = None

    def exit_code(self, note: _Note) -> int:
        """The exit code to end with; see `supervised`."""
        status = self._wait()
        if os.WIFEXITED(status):
            return os.WEXITSTATUS(status)
        number = os.WTERMSIG(status)
        if number in CRASHES and (what := note.read()):
            _complain(f"{what} ({_name(number)}); {HOW_TO_GO_ON}")
            return _EXIT_BAD_INPUT
        if number == signal.SIGKILL and self._interrupted_at is not None:
            _complain("interrupted")
            return _EXIT_INTERRUPTED
        if number in _PASSED_ON:  # whoever ended it sees what they would see of a single process
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        cause = ", usually for want of memory" if number == signal.SIGKILL else "; please report it with the command"
        _complain(f"the process was ended by {_name(number)}{cause}")
        return _EXIT_INTERNAL

    def _wait(self) -> int:
        # Signals may be delivered to any thread, so that waiting must not rely on being interrupted by them.
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._pass_on)
        while _waiting:
            self._pass_on(_waiting.pop(0), None)
        while True:
            found, status = os.waitpid(self._child, os.WNOHANG)
            if found:
                return status
            select.select([reader], [], [])
            os.read(reader, 4096)

    def _pass_on(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT:
            now = time.monotonic()
            if self._interrupted_at is not None and now - self._interrupted_at > _PATIENCE_SECONDS:
                signum = signal.SIGKILL  # the child hangs in native code, where Python sees no signals
            self._interrupted_at = self._interrupted_at or now
        with suppress(ProcessLookupError):
            os.kill(self._child, signum)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _complain(message: str) -> None:
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)
