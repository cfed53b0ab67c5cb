"""What all command-line tools share: absl flags in console scripts, and exit codes."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from errno import EPIPE
from itertools import pairwise
from logging import LogRecord
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

from absl import app, flags, logging

import fmtc_tflite
from fmtc_tflite import files
from fmtc_tflite.cli import streams
from fmtc_tflite.cli.help_text import FlagGroups, format_help
from fmtc_tflite.errors import (
    CalibrationError,
    FmtcError,
    LimitError,
    ModelFormatError,
    NothingToDoError,
    OutputExistsError,
    RecipeError,
    RuntimeLibraryError,
    UnsupportedModelError,
    UsageError,
    VerificationError,
    reason,
)
from fmtc_tflite.progress import announce_stages
from fmtc_tflite.supervision import open_to_signals, supervised
from fmtc_tflite.text import printable, printable_lines

EXIT_OK, EXIT_INTERNAL, EXIT_USAGE, EXIT_NOTHING_TO_DO, EXIT_VERIFICATION, EXIT_LIBRARY, EXIT_INTERRUPTED = (
    0,
    1,
    2,
    3,
    4,
    5,
    130,
)
_BOOLEAN_VALUES = ("true", "false")
_LONGEST_LINE = 4000  # characters
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNAL_BASE = 128  # an exit code above it is that of a signal, as in shells

_EXIT_CODES: tuple[tuple[tuple[type[FmtcError], ...], int], ...] = (
    (
        (UsageError, ModelFormatError, UnsupportedModelError, RecipeError, CalibrationError, OutputExistsError),
        EXIT_USAGE,
    ),
    ((NothingToDoError, LimitError), EXIT_NOTHING_TO_DO),
    ((VerificationError,), EXIT_VERIFICATION),
    ((RuntimeLibraryError,), EXIT_LIBRARY),
)


def exit_code(error: FmtcError) -> int:
    """The process's exit code for an error."""
    return next((code for kinds, code in _EXIT_CODES if isinstance(error, kinds)), EXIT_INTERNAL)


def run(main: Callable[[list[str]], None], module: ModuleType) -> None:
    """Runs a tool as a console script; does not return.

    Args:
      main: gets the positional arguments, without the program's name.
      module: the tool's module: its docstring is the help's first part, and its flags follow, in the order of its
        FLAG_GROUPS if it has them.
    """
    streams.prepare()
    sys.modules["__main__"].__doc__ = module.__doc__

    def work(arguments: list[str]) -> None:
        announce_stages()
        open_to_signals(dict.fromkeys(_SIGNALS, _interrupt))
        main(arguments)

    app.run(
        lambda argv: _leave(supervised(lambda: _guarded(lambda: work(argv[1:])))),
        flags_parser=lambda argv: _parse_flags(argv, module),
    )


def flag_groups(module: ModuleType) -> FlagGroups:
    """The flags of a tool as its help shows them."""
    own = [flag.name for flag in flags.FLAGS.get_flags_for_module(module.__name__)]
    return getattr(module, "FLAG_GROUPS", None) or [("Flags", own)]


def show(text: str) -> None:
    """Prints results on stdout."""
    print(printable_lines(text))


def json_file() -> str | None:
    """The file of --json; None for none and for stdout."""
    return None if flags.FLAGS.json == "-" else flags.FLAGS.json


def show_document(
    document: dict[str, Any], text: Callable[[dict[str, Any]], str], written: Iterable[str | Path | None]
) -> None:
    """Prints results as text, or with `--json -` as JSON and nothing else, and the names of files that hold them."""
    if flags.FLAGS.json == "-":
        show(json.dumps(document, indent=1))
        return
    show(text(document))
    for path in written:
        if path is not None:
            show(f"written         {path}")


def warn(message: str) -> None:
    """One line on stderr."""
    _line("warning", message)


def _complain(message: str) -> None:
    _line("error", message)


def _line(kind: str, message: str) -> None:
    text = printable(" ".join(message.split()))
    if len(text) > _LONGEST_LINE:  # of a name that is no name
        text = f"{text[: _LONGEST_LINE // 2]} ... {text[-_LONGEST_LINE // 2 :]}"
    print(f"{kind}: {text}", file=sys.stderr)


def _parse_flags(argv: Sequence[str], module: ModuleType) -> list[str]:
    arguments: list[str] = []

    def parse() -> None:
        given = list(argv[: argv.index("--")] if "--" in argv else argv)
        if not {"-h", "-help", "--help"}.isdisjoint(given):
            show(format_help(module.__doc__ or "", flag_groups(module)))
        elif "--version" in given:
            show(f"{Path(argv[0]).stem} {fmtc_tflite.__version__}")
        else:
            with suppress(SystemExit):  # how --helpfull ends
                arguments.extend(flags.FLAGS(with_implied_values(argv)))

    code = _guarded(parse)
    if code != EXIT_OK or not arguments:
        _leave(code)
    logging.set_verbosity(flags.FLAGS.verbosity)  # also for the standard library's loggers
    logging.get_absl_handler().addFilter(_make_printable)
    return arguments


def with_implied_values(argv: Sequence[str]) -> list[str]:
    """The command line as absl takes it: `--lossless true` as `--lossless=true`, and `--json` alone as `--json=-`.

    absl takes a boolean's value after = only. --json is alone at the end and before another flag or a model.
    """
    joined = list(argv[:1])
    for argument, after in pairwise([*argv[1:], "--"]):
        before = joined[-1]
        if argument.lower() in _BOOLEAN_VALUES and before.startswith("-") and _is_boolean(before.lstrip("-")):
            joined[-1] = f"{before}={argument.lower()}"
        elif argument == "--json" and after != "-" and (after.startswith("-") or after.endswith(".tflite")):
            joined.append("--json=-")
        else:
            joined.append(argument)
    return joined


def _is_boolean(name: str) -> bool:
    return name in flags.FLAGS and bool(flags.FLAGS[name].boolean)


def _make_printable(record: LogRecord) -> bool:
    record.msg, record.args = printable_lines(record.getMessage()), None
    return True


class _Terminated(BaseException):
    """Another signal than Ctrl-C's; the argument is its number."""


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Once: Ctrl-C comes from the terminal and again from the parent, and cleaning up is not to be disturbed."""
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt if number == signal.SIGINT else _Terminated(number)


def _guarded(work: Callable[[], object]) -> int:
    """Runs something that prints; returns the exit code, after one line on stderr if it is an error's."""
    try:
        work()
        sys.stdout.flush()
    except flags.Error as e:
        _complain(f"{e}; see --help")
        return EXIT_USAGE
    except FmtcError as e:
        _complain(str(e))
        return exit_code(e)
    except streams.StdoutError as e:
        streams.drop_stdout()
        if e.errno == EPIPE:  # whoever read our output has had enough
            return EXIT_OK
        _complain(f"cannot print the results: {e.strerror}; {files.account()}")
        return EXIT_INTERNAL
    except OSError as e:
        where = "" if e.filename is None else f"{os.fsdecode(e.filename)}: "
        _complain(f"{where}{reason(e)}; {files.account()}")
        return EXIT_INTERNAL
    except MemoryError as e:
        _complain(f"not enough memory ({e or 'nothing more is known'}); {files.account()}")
        return EXIT_INTERNAL
    except KeyboardInterrupt:
        _complain(f"interrupted; {files.account()}")
        return EXIT_INTERRUPTED
    except _Terminated as e:
        _complain(f"ended by {signal.Signals(e.args[0]).name}; {files.account()}")
        return SIGNAL_BASE + int(e.args[0])
    except Exception as e:  # a defect: say so in one line, with the details behind it
        print(printable_lines(traceback.format_exc()), file=sys.stderr)
        _complain(f"internal error ({type(e).__name__}: {e}); {files.account()}. Please report it with the lines above")
        return EXIT_INTERNAL
    return EXIT_OK


def _leave(code: int) -> NoReturn:
    """Ends the process; all is said, and signals have nothing to interrupt any more."""
    for number in _SIGNALS:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    sys.exit(code)
