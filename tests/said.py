"""What tools say on stderr on their own account."""

from __future__ import annotations

import re

_OF_OTHERS = re.compile(r"INFO: |stage \d+ of \d+: ")


def said(stderr: str) -> list[str]:
    """The lines but for those of runtimes, and those that say how far a run is."""
    return [line for line in stderr.splitlines() if not _OF_OTHERS.match(line)]
