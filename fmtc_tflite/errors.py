"""Exceptions of the package. Each message says where, what was found, what was expected and what to do next."""

from __future__ import annotations


class FmtcError(Exception):
    """Base of all errors that this package raises on purpose."""


class UsageError(FmtcError):
    """Flags or arguments that contradict each other or lie outside their range."""


class ModelFormatError(FmtcError):
    """The file is not a readable TFLite model (wrong identifier, truncated, inconsistent)."""


class UnsupportedModelError(FmtcError):
    """A readable model that cannot be converted (float, int16, already converted, ...)."""


class NothingToDoError(FmtcError):
    """No feature map can be coded, or the objective or constraint cannot be met."""


class LimitError(FmtcError):
    """A figure is beyond a limit of --fail_if."""


class RecipeError(FmtcError):
    """A recipe file that does not fit the model or its schema."""


class CalibrationError(FmtcError):
    """Calibration data of the wrong shape, type or count, or unreadable."""


class CodingError(FmtcError):
    """Tables or transforms that cannot be built, or an encoder that failed."""


class BitstreamError(CodingError):
    """A coded tensor or side information that is truncated, corrupt or of an unsupported version."""


class RuntimeLibraryError(FmtcError):
    """The native library or a TFLite runtime is missing or incompatible."""


class VerificationError(FmtcError):
    """The converted model does not do what it should."""


class OutputExistsError(FmtcError):
    """The output exists and --overwrite was not given."""


def reason(error: BaseException) -> str:
    """What an exception says went wrong, for a message that names the file itself."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
