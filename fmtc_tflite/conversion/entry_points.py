"""What a report says of each signature of a model that has several, each with a subgraph of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fmtc_tflite.graph.model import Model
from fmtc_tflite.graph.sites import entry_name, entry_subgraphs


def entry_fidelities(model: Model, fidelities: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """The part `signatures` of a report; nothing for a model with one entry point.

    Args:
      fidelities: of those entry points that were run, by their subgraph's index; the others are as they were.
    """
    entries = [subgraph.index for subgraph in entry_subgraphs(model)]
    if len(entries) < 2:
        return {}
    return {
        "signatures": [
            {"signature": entry_name(model, index), "subgraph": index, "fidelity": fidelities.get(index)}
            for index in entries
        ]
    }


def fidelity_lines(document: dict[str, Any], text: Callable[[dict[str, Any]], str]) -> list[str]:
    """A report's fidelity: one line, or one for each signature of several."""
    lines = [text(document["fidelity"])]
    if "signatures" in document:
        found = [(entry["signature"], entry["fidelity"]) for entry in document["signatures"]]
        lines = [f"{name}: {'left as it is, and not run' if own is None else text(own)}" for name, own in found]
    return [f"{'' if number else 'fidelity':15} {line}" for number, line in enumerate(lines)]


def of_first_subgraph(document: dict[str, Any]) -> str:
    """What figures of the first subgraph alone are marked with, where there are others."""
    names = [entry["signature"] for entry in document.get("signatures", []) if entry["subgraph"] == 0]
    return f" ({names[0]})" if names else ""
