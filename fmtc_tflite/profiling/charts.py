"""The HTML report's pictures, as SVG text. Colours are CSS classes of the report's template."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from fmtc_tflite.profiling.html_parts import SCROLL
from fmtc_tflite.rendering import shorten

_WIDTH = 1120
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 14, 30
_PLOT_WIDTH = _WIDTH - _LEFT - _RIGHT
_BYTE_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_ENERGY_UNITS = (("mJ", 1e9), ("µJ", 1e6), ("nJ", 1e3))
_LABELLED = 5
_BAND_ORDER = ("tensor", "cut", "ring", "working")  # those that others may lie on come first


class Part(NamedTuple):
    """One stretch of a stacked bar."""

    css_class: str
    label: str
    value: float


def byte_unit(largest: float) -> tuple[str, float]:
    """The unit of figures up to `largest` bytes, and how many bytes it has."""
    return next(((unit, factor) for unit, factor in _BYTE_UNITS if largest >= factor), ("B", 1.0))


def bytes_text(size: float) -> str:
    """A number of bytes for people."""
    unit, factor = byte_unit(size)
    return f"{size / factor:.4g} {unit}"


def energy_text(energy_pj: float) -> str:
    """An energy for people."""
    for unit, factor in _ENERGY_UNITS:
        if energy_pj >= factor:
            return f"{energy_pj / factor:.4g} {unit}"
    return f"{energy_pj:.4g} pJ"


def arena_chart(model: dict[str, Any], largest_bytes: int, ops: int) -> str:
    """The planned arena over the original's ops: a bar for each tensor, from its first to its last op, at its place.

    Args:
      largest_bytes: end of the memory axis, shared by charts that are compared.
      ops: of the original, shared as well.
    """
    at, height = [op.get("original_op", i) for i, op in enumerate(model["ops"])], 300
    step = _PLOT_WIDTH / max(ops, 1)
    scale = (height - _TOP - _BOTTOM) / max(largest_bytes, 1)
    floor = height - _BOTTOM
    shapes = _byte_axis(largest_bytes, height) + _op_axis(ops, height)
    for tensor in model["tensors"]:
        if not tensor["size_bytes"]:
            continue
        first, last = (at[tensor[key]] for key in ("first_op", "last_op"))
        width = (last - first + 1) * step
        tall = tensor["size_bytes"] * scale
        text = (
            f"{tensor['tensor']}\n{tensor['size_bytes']:,} bytes at {tensor['offset_bytes']:,}, "
            f"op {tensor['first_op']} to {tensor['last_op']}"
        )
        css_class = "maps" if tensor["role"] == "feature_map" else tensor["role"]
        y = floor - tensor["offset_bytes"] * scale - tall
        shapes.append(_bar(css_class, _LEFT + first * step, y, width, tall, text))
    shapes += _live_line(_live(model["ops"], at, ops), step, floor, scale)
    peak = model["arena"]["peak"]
    label = f"peak: op {peak['op_index']} {peak['opcode']}, {bytes_text(peak['live_bytes'])} live"
    shapes += _peak_mark(at[peak["op_index"]] if at else 0, step, floor, label)
    return _svg(height, shapes, "The planned arena over the original's ops")


def _live(ops: Sequence[dict[str, Any]], at: Sequence[int], count: int) -> list[int]:
    """The most that is live at each op of the original; where no op of the graph is, what is live before."""
    found = [-1] * count
    for op, position in zip(ops, at, strict=True):
        found[position] = max(found[position], op["live_bytes"])
    before = 0
    for position, size in enumerate(found):
        before = found[position] = before if size < 0 else size
    return found


def _live_line(live: Sequence[int], step: float, floor: float, scale: float) -> list[str]:
    points = []
    for number, size in enumerate(live):
        x, y = _LEFT + number * step, floor - size * scale
        points += [f"{x:.1f},{y:.1f}", f"{x + step:.1f},{y:.1f}"]
    return [f'<polyline class="live" points="{" ".join(points)}"><title>bytes live during each op</title></polyline>']


def _peak_mark(number: int, step: float, floor: float, label: str) -> list[str]:
    x = _LEFT + (number + 0.5) * step
    anchor, shift = ("end", -5) if x > _WIDTH / 2 else ("start", 5)
    return [
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{floor}"/>',
        f'<text class="strong" x="{x + shift:.1f}" y="{_TOP - 5}" text-anchor="{anchor}">{escape(label)}</text>',
    ]


def inside_chart(inside: dict[str, Any], largest_bytes: int, height: int = 300) -> str:
    """The arena over the original's ops as they run: tensors of the graph, and what is inside regions, as bands.

    Args:
      inside: of a model, see profile_schema.json.
      largest_bytes: end of the memory axis, shared by charts that are compared.
    """
    ops = inside["ops"]
    step, floor = _PLOT_WIDTH / max(len(ops), 1), height - _BOTTOM
    scale = (floor - _TOP) / max(largest_bytes, 1)
    shapes = _byte_axis(largest_bytes, height) + _op_axis(len(ops), height)
    for band in sorted(inside["memory"], key=lambda band: _BAND_ORDER.index(band["form"])):
        rows = f", {band['rows']} of {band['height']} rows" if band["rows"] else ""
        text = (
            f"{band['tensor']}\n{band['form']}{rows}: {band['size_bytes']:,} bytes at {band['offset_bytes']:,}, "
            f"op {ops[band['first_op']]['index']} to {ops[band['last_op']]['index']}"
        )
        width, tall = (band["last_op"] - band["first_op"] + 1) * step, band["size_bytes"] * scale
        y = floor - band["offset_bytes"] * scale - tall
        css_class = "maps" if band["form"] == "tensor" else band["form"]
        shapes.append(_bar(css_class, _LEFT + band["first_op"] * step, y, width, tall, text))
    live = [op["live_bytes"] for op in ops]
    shapes += _live_line(live, step, floor, scale)
    peak = inside["peak"]
    label = f"peak: op {peak['op_index']} {peak['opcode']}, {bytes_text(peak['live_bytes'])} live"
    shapes += _peak_mark(peak["run_index"], step, floor, label)
    return _svg(height, shapes, "The arena inside regions, over the original's ops")


def largest_maps(maps: Sequence[dict[str, Any]]) -> list[int]:
    """Numbers of the maps that move most in their raw form, which the picture of traffic labels 1, 2, ..."""
    return sorted(range(len(maps)), key=lambda i: -_moved(maps[i]["raw"]))[:_LABELLED]


def traffic_chart(maps: Sequence[dict[str, Any]]) -> str:
    """What each feature map moves, read and written together: raw behind, as it is coded in front."""
    labels = {number: str(rank + 1) for rank, number in enumerate(largest_maps(maps))}
    height = 260
    sizes = [(_moved(m["raw"]), _moved(m["fused_codec"])) for m in maps]
    largest = max((raw for raw, _ in sizes), default=0)
    scale = (height - _TOP - _BOTTOM) / max(largest, 1)
    step = _PLOT_WIDTH / max(len(maps), 1)
    shapes = _byte_axis(largest, height)
    for i, (row, (raw, coded)) in enumerate(zip(maps, sizes, strict=True)):
        text = f"{row['tensor']}\nraw {raw:,} bytes read and written"
        if row["is_coded"]:
            text += "\nfolded: not stored" if row.get("is_folded") else f"\nas coded {coded:,.0f} bytes"
            text += "" if row.get("is_folded") else f", {100 * coded / max(raw, 1):.1f} %"
        x, width = _LEFT + (i + 0.1) * step, 0.8 * step
        for css_class, size in (("raw", raw), ("coded" if row["is_coded"] else "raw", coded)):
            shapes.append(_bar(css_class, x, height - _BOTTOM - size * scale, width, size * scale, text))
        middle = x + width / 2
        if row.get("is_folded"):
            shapes.append(_folded_mark(middle, height - _BOTTOM, text))
        if i in labels:
            y = height - _BOTTOM - max(raw, coded) * scale - 3
            shapes.append(f'<text class="strong" x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">{labels[i]}</text>')
    shapes.append(
        f'<text x="{_LEFT + _PLOT_WIDTH / 2}" y="{height - 6}" text-anchor="middle">'
        "feature maps in execution order</text>"
    )
    return _svg(height, shapes, "Traffic of each feature map")


def _folded_mark(x: float, floor: float, text: str) -> str:
    corners = f"{x - 4:.1f},{floor + 9:.1f} {x + 4:.1f},{floor + 9:.1f} {x:.1f},{floor + 2:.1f}"
    return f'<polygon class="folded" points="{corners}"><title>{escape(text)}</title></polygon>'


def bandwidth_chart(sides: Sequence[Sequence[tuple[int, Sequence[Part]]]], ops: int) -> str:
    """What ops move, over the original's ops: a stack of parts for each, those of several models side by side.

    Args:
      sides: for each model its ops, as (position among the original's ops, parts in bytes); one position's add up.
      ops: of the original.
    """
    height, stacks = 240, [_summed(side, ops) for side in sides]
    largest = max((sum(part.value for part in stack) for side in stacks for stack in side), default=0.0)
    scale, step = (height - _TOP - _BOTTOM) / max(largest, 1), _PLOT_WIDTH / max(ops, 1)
    shapes, width = _byte_axis(largest, height) + _op_axis(ops, height), 0.84 * step / max(len(sides), 1)
    for number, side in enumerate(stacks):
        for position, stack in enumerate(side):
            x, y = _LEFT + (position + 0.08) * step + number * width, float(height - _BOTTOM)
            for part in stack:
                tall = part.value * scale
                y -= tall
                text = f"op {position} of the original\n{part.label}: {part.value:,.0f} bytes"
                shapes.append(_bar(part.css_class, x, y, width, tall, text))
    return _svg(height, shapes, "What ops move")


def _summed(side: Sequence[tuple[int, Sequence[Part]]], ops: int) -> list[list[Part]]:
    found: list[dict[str, Part]] = [{} for _ in range(ops)]
    for position, parts in side:
        for part in parts:
            if part.value > 0:
                before = found[position].get(part.css_class)
                value = part.value + (0.0 if before is None else before.value)
                found[position][part.css_class] = part._replace(value=value)
    return [list(each.values()) for each in found]


def energy_chart(bars: Sequence[tuple[str, Sequence[Part]]]) -> str:
    """Stacked bars, one below the other."""
    left, pitch, thick = 205, 34, 22
    largest = max((sum(part.value for part in parts) for _, parts in bars), default=0.0)
    unit, factor = next(((unit, factor) for unit, factor in _ENERGY_UNITS if largest >= factor), ("pJ", 1.0))
    scale = (_WIDTH - left - 110) / max(largest, 1e-9)
    shapes = []
    for i, (name, parts) in enumerate(bars):
        x, y = float(left), 6 + i * pitch
        shapes.append(f'<text class="strong" x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        for part in parts:
            if part.value > 0:
                text = f"{name}\n{part.label}: {energy_text(part.value)}"
                shapes.append(_bar(part.css_class, x, y, part.value * scale, thick, text))
                x += part.value * scale
        total = f"{sum(part.value for part in parts) / factor:.4g} {unit}"
        shapes.append(f'<text class="strong" x="{x + 7:.1f}" y="{y + 15}">{total}</text>')
    return _svg(12 + pitch * len(bars), shapes, "Energy by what it is spent on")


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """A line of colours and what they mean: (CSS class, text)."""
    items = (
        '<span><svg viewBox="0 0 12 12" aria-hidden="true">'
        f'<rect class="{css_class}" width="12" height="12" rx="2"/></svg>{escape(text)}</span>'
        for css_class, text in entries
    )
    return f'<div class="legend">{"".join(items)}</div>'


def _moved(sums: dict[str, Any]) -> float:
    return sums["read_bytes"] + sums["written_bytes"]


def _svg(height: int, shapes: Sequence[str], label: str) -> str:
    box = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}"'
    return f"{SCROLL}<svg {box}>{''.join(shapes)}</svg></div>"


def _bar(css_class: str, x: float, y: float, width: float, height: float, text: str) -> str:
    box = f'x="{x:.2f}" y="{y:.2f}" width="{max(width, 0.3):.2f}" height="{max(height, 0.3):.2f}"'
    lines = "\n".join(shorten(line, 120) for line in text.split("\n"))
    return f'<rect class="bar {css_class}" {box}><title>{escape(lines)}</title></rect>'


def _byte_axis(largest: float, height: int) -> list[str]:
    floor = height - _BOTTOM
    scale = (floor - _TOP) / max(largest, 1)
    (unit, factor), shapes = byte_unit(largest), list[str]()
    ticks = _ticks(largest / factor)
    for tick in ticks:
        y, text = floor - tick * factor * scale, f"{tick:g} {unit}" if tick == ticks[-1] else f"{tick:g}"
        shapes.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        shapes.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return shapes


def _op_axis(ops: int, height: int) -> list[str]:
    name = "the original's ops in execution order"
    shapes = [f'<text x="{_LEFT + _PLOT_WIDTH}" y="{height - 3}" text-anchor="end">{name}</text>']
    for position in _ticks(max(ops - 1, 0)):
        if position != int(position):
            continue
        x = _LEFT + (position + 0.5) * _PLOT_WIDTH / max(ops, 1)
        shapes.append(f'<text x="{x:.1f}" y="{height - _BOTTOM + 14}" text-anchor="middle">{position:.0f}</text>')
    return shapes


def _ticks(largest: float) -> list[float]:
    """Round numbers from 0 to at most `largest`, five or so."""
    if largest <= 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(largest / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if largest / (power * factor) <= 6)
    return [i * step for i in range(int(largest / step + 1e-9) + 1)]
