"""The parts of the HTML report that show what is inside regions."""

from __future__ import annotations

from html import escape
from typing import Any, Protocol

from fmtc_tflite.profiling import charts
from fmtc_tflite.profiling.html_parts import name_cell, table_section

_MICRO = 1e6
_ENLARGED = 340
_FORMS = {"none": "other name"}
_ARENA_TEXT = (
    "A bar is a piece of memory, from the first op that needs it to the last, at its place. The line is what is live, "
    "without alignment and gaps. From left to right are the original's ops as they run; rings are there as long as "
    "their stage runs. Kernels' own working memory is drawn for regions alone."
)
_LEGEND = (
    ("maps", "tensor of the graph"),
    ("cut", "cut: stored between stages"),
    ("ring", "ring: a few rows"),
    ("working", "working memory"),
)


class Figures(Protocol):
    """What of a page is needed here: elements that show a number of the JSON, by its key."""

    def figure(self, key: str) -> str: ...
    def cell(self, key: str, form: str = ",.0f", scale: float = 1.0) -> str: ...
    def arena_text(self, index: int, arena: dict[str, Any]) -> str: ...


def arena_section(page: Figures, index: int, model: dict[str, Any]) -> str:
    """The original's arena, that of the model on the same scale, and enlarged.

    Args:
      index: of the model in the document.
    """
    inside, planned = model["inside"], model["arena"]["planned_bytes"]
    original, key = inside["original_arena"], f"models.{index}"
    there = {"ops": original["ops"], "tensors": original["tensors"], "arena": {"peak": original["peak"]}}
    largest = max(original["planned_bytes"], planned)
    share = 100 * planned / max(original["planned_bytes"], 1)
    parts = [
        f'<h2>Arena</h2><p class="soft small">{_ARENA_TEXT}</p>',
        charts.legend(_LEGEND),
        f"<h3>original: {page.figure(f'{key}.inside.original_arena.planned_bytes')} bytes planned</h3>",
        charts.arena_chart(there, largest, len(original["ops"])),
        f"<h3>with regions, same scale: {page.figure(f'{key}.arena.planned_bytes')} bytes planned, {share:.1f} %</h3>",
        charts.inside_chart(inside, largest),
        "<h3>with regions, enlarged</h3>",
        charts.inside_chart(inside, planned, _ENLARGED),
        page.arena_text(index, model["arena"]),
        _peaks(page, f"{key}.inside", inside),
    ]
    return f'<section class="long">{"".join(parts)}</section>'


def _peaks(page: Figures, key: str, inside: dict[str, Any]) -> str:
    here, there = inside["peak"], inside["original_arena"]["peak"]
    return (
        f'<p class="small">Most is live at op {page.figure(f"{key}.peak.op_index")} {escape(here["opcode"])}: '
        f"{page.figure(f'{key}.peak.live_bytes')} bytes; in the original at op "
        f"{page.figure(f'{key}.original_arena.peak.op_index')} {escape(there['opcode'])}: "
        f"{page.figure(f'{key}.original_arena.peak.live_bytes')} bytes.</p>"
    )


def stored_maps(inside: dict[str, Any]) -> list[dict[str, Any]]:
    """The original's maps in the form that the picture of traffic takes."""
    return [{**row, "is_coded": True, "fused_codec": row["fused_regions"]} for row in inside["feature_maps"]]


def inside_table(page: Figures, index: int, model: dict[str, Any], energy_key: str) -> str:
    """The original's ops as they run."""
    columns = (
        ("live_bytes", "arena live", ",.0f", 1.0),
        ("memory_bytes", "in scratch", ",.0f", 1.0),
        ("fused_regions.feature_map_read_bytes", "maps read", ",.0f", 1.0),
        ("fused_regions.feature_map_written_bytes", "maps written", ",.0f", 1.0),
        ("fused_regions.ring_written_bytes", "rings written", ",.0f", 1.0),
        ("fused_regions.weights_read_bytes", "weights read", ",.0f", 1.0),
        (f"fused_regions.energy.{energy_key}", "energy, µJ", ",.3f", _MICRO),
    )
    rows = []
    for i, op in enumerate(model["inside"]["ops"]):
        key = f"models.{index}.inside.ops.{i}"
        cells = [page.cell(f"{key}.index"), f'<td class="text">{escape(op["opcode"])}</td>']
        cells += [name_cell(", ".join(op["outputs"])), page.cell(f"{key}.region"), page.cell(f"{key}.stage")]
        cells.append(f'<td class="text">{escape(_FORMS.get(op["form"], op["form"]))}</td>')
        cells += [page.cell(f"{key}.rows"), page.cell(f"{key}.height")]
        cells += [page.cell(f"{key}.{path}", form, scale) for path, _, form, scale in columns]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = ["#", "op", "writes", "region", "stage", "is a", "rows", "of", *(name for _, name, _, _ in columns)]
    text = "The original's ops in the order in which they run. Bytes per inference, fused_regions."
    return table_section("Ops", text, head, rows)
