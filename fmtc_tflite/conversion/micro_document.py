"""The part of a report that is about TensorFlow Lite Micro."""

from __future__ import annotations

from typing import Any

from fmtc_tflite.graph.model import Subgraph
from fmtc_tflite.memory.micro_tail import plan_tail

_POINTER_BYTES = {"32": 4, "64": 8}


def micro_report(subgraph: Subgraph, head_bytes: int, runs_as_it_is: bool) -> dict[str, Any]:
    """As JSON-serialisable data.

    Args:
      subgraph: the converted one.
      head_bytes: planned, of the converted one.
      runs_as_it_is: whether the interpreter takes the original's ops.
    """
    tails = {bits: plan_tail(subgraph, pointer) for bits, pointer in _POINTER_BYTES.items()}
    return {
        "original_runs": runs_as_it_is,
        "head_bytes": head_bytes,
        "tail_bytes": {bits: tail.bytes for bits, tail in tails.items()},
        "ops_of_unknown_tail": list(tails["32"].unknown),
    }


def micro_lines(document: dict[str, Any]) -> list[str]:
    """As lines of text; none of a conversion for another target."""
    if "micro" not in document:
        return []
    micro = document["micro"]
    unknown = ", ".join(micro["ops_of_unknown_tail"])
    more = f", and what {unknown} keep{'s' if ',' not in unknown else ''}" if unknown else ""
    tails = ", ".join(f"{size:,} bytes on {bits} bits" for bits, size in micro["tail_bytes"].items())
    refused = [] if micro["original_runs"] else ["original        has ops that TensorFlow Lite Micro refuses"]
    lines = [f"micro arena     head {micro['head_bytes']:,} bytes; tail {tails}{more}", *refused]
    if "c_source" in micro:
        source = micro["c_source"]
        by_rows = source["peak_bytes_by_rows"]
        rows = "it does not take rows" if by_rows is None else f"{by_rows:,} where rows are pushed"
        lines.append(f"without arena   {source['peak_bytes']:,} bytes with the input in memory; {rows}")
    return lines
