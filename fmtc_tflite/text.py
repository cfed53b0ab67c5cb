"""Text of files and of the system, made fit to be shown: names in a model are whatever its author put there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

_SURROGATE_BYTE = re.compile("[\udc80-\udcff]")  # a byte that was no UTF-8, see PEP 383


_GIT_LFS = b"version https://git-lfs"
GIT_LFS_POINTER = "it is a Git LFS pointer, which stands for the file; run `git lfs pull`"


def is_git_lfs_pointer(start: bytes) -> bool:
    """Whether a file that begins so is what Git has in the place of a large file."""
    return start.startswith(_GIT_LFS)


def counted(number: int, noun: str) -> str:
    """A number of things: 1 region, 2 regions."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    r"""The text on one line, with what a terminal would act on as escapes (\n, \x1b, \u202e).

    These are control and format characters (line ends, escape sequences, changes of direction), lone surrogates and
    what has no shape; a byte that was no UTF-8 is shown as such (\xff).
    """
    if text.isprintable():
        return text
    text = _SURROGATE_BYTE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines, which stay."""
    return "\n".join(map(printable, text.split("\n")))


def printable_document(value: Any) -> Any:
    """JSON data with every text in it, keys too, as `printable` has it: for whatever shows it to people."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable_document(key): printable_document(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable_document(item) for item in value]
    return value


def near_names(name: str, known: Iterable[str]) -> str:
    """What a message about an unknown name ends with: the known ones that look most like it."""
    names = list(dict.fromkeys(known))
    near = get_close_matches(name, names, n=3, cutoff=0.0)
    inside = [other for other in names if name and name in other][:3]
    found = ", ".join(map(repr, inside or near))
    return f"; the nearest are {found}" if found else ""
