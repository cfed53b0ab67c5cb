"""Two profiles that were written as JSON, figure by figure: what a release or a new conversion changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fmtc_tflite.errors import UsageError, reason
from fmtc_tflite.files import read_small
from fmtc_tflite.profiling.options import PROFILE_VERSION
from fmtc_tflite.text import printable_document

_ARENA = ("planned_bytes", "planned_with_kernel_scratch_bytes", "persistent_bytes", "live_extent_bytes")
_TRAFFIC = (
    "feature_map_written_bytes",
    "feature_map_read_bytes",
    "weights_read_bytes",
    "side_information_read_bytes",
)
_ENERGY = ("feature_maps_pj", "weights_pj", "total_pj")


def is_profile_name(path: str | Path) -> bool:
    """Whether a file is taken for a profile rather than for a model."""
    return Path(path).suffix == ".json"


def profile_changes(before: Path, after: Path) -> dict[str, Any]:
    """What differs between two profiles. Of one that shows two models, the converted one counts.

    Returns:
      `before` and `after` with the paths, and `figures`: by name `before`, `after` (None where a profile has no such
      figure) and `change`, a share of `before`; None where that is zero or a figure is missing.

    Raises:
      UsageError: a file cannot be read or is no profile, or the two were made for different memory systems.
    """
    (system, first), (other_system, second) = _load(before), _load(after)
    if system != other_system:
        raise UsageError(
            f"{before} is for the memory system {system}, {after} for {other_system}: their energies do not compare; "
            "profile both with one --memory_system"
        )
    figures = {
        name: {
            "before": first.get(name),
            "after": second.get(name),
            "change": _change(first.get(name), second.get(name)),
        }
        for name in [*first, *(name for name in second if name not in first)]
    }
    return {"before": str(before), "after": str(after), "figures": figures}


def format_changes(document: dict[str, Any]) -> str:
    """The changes as a table."""
    document = printable_document(document)
    lines = [f"before          {document['before']}", f"after           {document['after']}", ""]
    lines.append(f"{'figure':60} {'before':>16} {'after':>16} {'change':>10}")
    for name, figure in document["figures"].items():
        change = "" if figure["change"] is None else f"{100 * figure['change']:+.2f} %"
        lines.append(f"{name:60} {_text(figure['before']):>16} {_text(figure['after']):>16} {change:>10}".rstrip())
    return "\n".join(lines)


def _load(path: Path) -> tuple[str, dict[str, float]]:
    """The name of a profile's memory system, and its figures."""
    try:
        document = json.loads(read_small(path))
        version = document["profile_version"]
        if version != PROFILE_VERSION:
            raise UsageError(f"{path} is a profile of version {version}, expected {PROFILE_VERSION}")
        return document["memory_system"]["name"], _figures(document)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the profile {path}: {reason(error)}; expected what --json wrote") from error
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no profile; expected what fmtc-profile --json wrote") from error


def _figures(document: dict[str, Any]) -> dict[str, float]:
    """The figures of the model, or of the converted one of two; those that the profile does not have are left out."""
    model = document["models"][-1]
    found = {"size_bytes": model["size_bytes"]}
    found |= {f"arena.{name}": model["arena"][name] for name in _ARENA}
    found["arena.peak_live_bytes"] = model["arena"]["peak"]["live_bytes"]
    for name, total in model["totals"].items():
        found |= {f"{name}.{key}": total[key] for key in _TRAFFIC}
        found |= {f"{name}.{key}": total["energy"][key] for key in _ENERGY}
    for scheme in document["schemes"]:
        found[f"bits_per_value.{scheme['scheme']}"] = scheme["bits_per_value"]
    return {name: value for name, value in found.items() if value is not None}


def _change(before: float | None, after: float | None) -> float | None:
    return None if not before or after is None else after / before - 1


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}"
