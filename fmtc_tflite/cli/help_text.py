"""What --help prints: how a tool is used, then its flags in groups, those that are used most first."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence

from absl import flags

# Titles with the flags' names.
FlagGroups = Sequence[tuple[str, Sequence[str]]]

_NARROWEST, _WIDEST = 60, 110  # columns
_INDENT = " " * 6
_FOOTER = "-h and --help print this, --version the version, --helpfull the flags of the libraries in use as well."


def format_help(usage: str, groups: FlagGroups) -> str:
    """The help of a tool.

    Args:
      usage: what comes first; printed as it is.
      groups: the flags to show.
    """
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    parts = [usage.strip()]
    for title, names in groups:
        parts.append("\n".join([f"{title}:", *(_entry(flags.FLAGS[name], width) for name in names)]))
    return "\n\n".join([*parts, _FOOTER])


def _entry(flag: flags.Flag, width: int) -> str:
    text = re.sub(r"^<[^>]*>: ", "", flag.help or "")  # absl puts the values of an enum before its help
    text = re.sub(r";\s+repeat this option to specify a list of values$", "", text)  # added for lists
    if flag.default not in (None, "", False, []) and "default" not in text:
        text += f" (default: {flag.default_as_str.strip(chr(39))})"
    return f"  {_form(flag)}\n{textwrap.fill(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT)}"


def _form(flag: flags.Flag) -> str:
    short = f"-{flag.short_name}, " if flag.short_name else ""
    if flag.boolean:
        return f"{short}--[no]{flag.name}"
    values = getattr(flag, "enum_values", None) or getattr(flag.parser, "enum_values", None)
    value = "|".join(values) if values else {"int": "N", "float": "X"}.get(flag.flag_type(), "TEXT")
    return f"{short}--{flag.name} {value}"
