"""What all command-line tools share: absl flags in console scripts, and exit codes."""

import sys
import traceback
from collections.abc import Callable, Sequence
from types import ModuleType

from absl import app, flags, logging

from fmtc_tflite.errors import (
    CalibrationError,
    FmtcError,
    ModelFormatError,
    NothingToDoError,
    OutputExistsError,
    RecipeError,
    RuntimeLibraryError,
    UnsupportedModelError,
    UsageError,
    VerificationError,
)
from fmtc_tflite.supervision import supervised

EXIT_OK, EXIT_INTERNAL, EXIT_USAGE, EXIT_NOTHING_TO_DO, EXIT_VERIFICATION, EXIT_LIBRARY, EXIT_INTERRUPTED = (
    0,
    1,
    2,
    3,
    4,
    5,
    130,
)

_EXIT_CODES: tuple[tuple[tuple[type[FmtcError], ...], int], ...] = (
    (
        (UsageError, ModelFormatError, UnsupportedModelError, RecipeError, CalibrationError, OutputExistsError),
        EXIT_USAGE,
    ),
    ((NothingToDoError,), EXIT_NOTHING_TO_DO),
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
      module: the tool's module: its flags are the ones that --help shows, its docstring is the help's first part.
    """
    for flag in flags.FLAGS.get_flags_for_module(module.__name__):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    sys.modules["__main__"].__doc__ = module.__doc__
    app.run(lambda argv: sys.exit(supervised(lambda: _guarded(main, argv[1:]))), flags_parser=_parse_flags)


def _parse_flags(argv: Sequence[str]) -> list[str]:
    try:
        arguments = list(flags.FLAGS(argv))
        logging.set_verbosity(flags.FLAGS.verbosity)  # also for the standard library's loggers
        return arguments
    except flags.Error as e:
        _complain(f"{e}; see --help")
        sys.exit(EXIT_USAGE)
    except SystemExit:  # absl ends --help with 1
        sys.exit(EXIT_OK)


def _guarded(main: Callable[[list[str]], None], arguments: list[str]) -> int:
    try:
        main(arguments)
    except FmtcError as e:
        _complain(str(e))
        return exit_code(e)
    except KeyboardInterrupt as e:
        _complain(str(e) or "interrupted; nothing was written")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has had enough
        return EXIT_OK
    except OSError as e:
        _complain(str(e))
        return EXIT_INTERNAL
    except Exception as e:  # a defect: say so in one line, with the details behind it
        traceback.print_exc()
        _complain(
            f"internal error ({type(e).__name__}: {e}); nothing was written. Please report it with the lines above"
        )
        return EXIT_INTERNAL
    return EXIT_OK


def _complain(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)


def warn(message: str) -> None:
    """One line on stderr."""
    print(f"warning: {message}", file=sys.stderr)
