"""What the tools that print models' arenas as Markdown have in common: a row for each model, a column for each budget
of multiply-adds computed twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from absl import flags

from fmtc_tflite.cli import common
from fmtc_tflite.errors import UsageError
from fmtc_tflite.progress import progress

FLAGS = flags.FLAGS
flags.disclaim_key_flags()  # the tool that calls define_shares() has the flag


def define_shares(default: list[str]) -> None:
    """Defines the flag with the budgets."""
    flags.DEFINE_list("max_extra_macs", default, "Shares of the multiply-adds.")


def _shares() -> list[float]:
    try:
        return [float(share) for share in FLAGS.max_extra_macs]
    except ValueError as error:
        raise UsageError(f"--max_extra_macs {','.join(FLAGS.max_extra_macs)}: expected numbers") from error


def show(models: Sequence[str], original: str, row: Callable[[str, list[float]], str]) -> None:
    """Prints the table.

    Args:
      models: paths, the positional arguments.
      original: heading of the column of what a model needs as it is.
      row: a model's line, of its path and the shares.
    """
    shares = _shares()
    if not models or not shares:
        raise UsageError("expected MODEL.tflite... and at least one share; see --help")
    common.show(f"| model | {original} | {' | '.join(f'{100 * share:g} %' for share in shares)} |")
    common.show("|---" * (2 + len(shares)) + "|")
    for path in progress(models, "models"):
        common.show(row(path, shares))
