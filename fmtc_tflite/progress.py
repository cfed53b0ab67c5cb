"""Progress bars, which a run with no terminal, or with no stderr at all, goes without."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(items: Iterable[Any] | None, label: str, **options: Any) -> tqdm:
    """The items, with a bar on stderr while they are gone through, if that is a terminal.

    Args:
      items: what to go through; None for a bar that `update` moves.
      label: what stands before the bar.
      options: of tqdm; by default, the bar goes away in the end.
    """
    return tqdm(items, desc=label, disable=not _on_terminal(), **{"leave": False, **options})


def _on_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # it was closed
        return False
