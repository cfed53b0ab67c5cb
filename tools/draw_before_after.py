"""Draws docs/before_after.svg: what the demo network costs as it is, as regions, and with coded feature maps.

    python tools/draw_before_after.py

Converts and measures as `fmtc-convert --demo` does, on this machine. Above, the graph as it is, with a region and with
coded feature maps: what is in memory, and what crosses its port. Below, a group of bars for arena, process memory, time
and stored feature maps; kB is 1000 bytes throughout. The background is light, for pages of any colour.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

from absl import flags

from fmtc_tflite.cli import common
from fmtc_tflite.demonstration import Demonstration, Figures, demonstrate
from fmtc_tflite.errors import UsageError
from fmtc_tflite.files import write_all

_OUTPUT = flags.DEFINE_string("output", "docs/before_after.svg", "File to write.", short_name="o")

_WIDTH, _HEIGHT = 860, 520
_LEFT, _TOP, _BOTTOM = 16, 316, 40  # of the bars
_PORT, _MEMORY = 158, 236  # heights of the memory's port and of its floor, in the drawings
_OPS = ("conv", "depthwise", "conv")
_INK, _SOFT, _LINE = "#24292f", "#57606a", "#8c959f"
_COLOURS = ("#b9c4d0", "#c2571a", "#1f77a8", "#0e8f7e")  # the original, regions, coded without and with loss
_PANELS = {
    "arena, kB": lambda row: row.arena_bytes / 1e3,
    "process memory, kB": lambda row: row.process_kb * 1.024,
    "time, µs": lambda row: row.median_us,
    "stored feature maps, kB": lambda row: row.map_bytes / 1e3,
}


def _text(x: float, y: float, text: str, size: int = 12, anchor: str = "start", colour: str = "#24292f") -> str:
    font = f'font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {font}>{escape(text)}</text>'


def _box(x: float, y: float, width: float, height: float, fill: str, stroke: str = "none", extra: str = "") -> str:
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3"'
    return f'<rect {box} fill="{fill}" stroke="{stroke}" {extra}/>'


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    path = f"M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"
    return f'<path d="{path}" fill="none" stroke="{_LINE}" marker-end="url(#head)"/>'


def _graph(left: float, title: str) -> list[str]:
    """Three ops above a memory, without what is in it."""
    parts = [_text(left, 84, title, 13)]
    for i, name in enumerate(_OPS):
        x = left + 18 + 84 * i
        parts += [_box(x, 100, 70, 26, "#eef1f5", _LINE), _text(x + 35, 117, name, 11, "middle")]
    parts.append(f'<path d="M{left:.1f} {_PORT}h260" stroke="{_LINE}" stroke-dasharray="4 3"/>')
    parts.append(_text(left + 36, _PORT - 4, "port", 10, "start", _SOFT))
    parts.append(f'<path d="M{left:.1f} {_MEMORY}h260" stroke="{_LINE}"/>')
    parts.append(_text(left + 260, _MEMORY + 13, "memory", 10, "end", _SOFT))
    return parts


def _map(x: float, height: float, colour: str) -> str:
    return _box(x - 12, _MEMORY - height, 24, height, colour)


def _as_it_is(left: float) -> list[str]:
    parts = _graph(left, "as it is: whole feature maps")
    for i, height in enumerate((20, 62, 62, 24)):
        x = left + 11 + 84 * i
        parts.append(_map(x, height, _COLOURS[0]))
        parts += [_arrow(x - 10, 126, x - 4, _MEMORY - height - 2)] if i else []
        parts += [_arrow(x + 4, _MEMORY - height - 2, x + 10, 128)] if i < len(_OPS) else []
    return parts


def _as_region(left: float) -> list[str]:
    parts = [_box(left + 10, 92, 254, 46, "#fbeee5", _COLOURS[1]), *_graph(left, "a region: a few rows of each map")]
    for x in (left + 95, left + 179):  # a ring between two ops: rows that come round again
        ring = f"M{x - 6:.1f} 128a7 4 0 1 0 12 0"
        parts.append(f'<path d="{ring}" fill="none" stroke="{_COLOURS[1]}" stroke-width="2"/>')
        parts += [_box(x - 6, 104 + 6 * row, 12, 4, _COLOURS[1]) for row in range(3)]
    first, last = left + 11, left + 11 + 84 * len(_OPS)
    parts += [_map(first, 20, _COLOURS[0]), _arrow(first, _MEMORY - 22, first + 8, 140)]
    parts += [_map(last, 24, _COLOURS[0]), _arrow(last - 8, 138, last, _MEMORY - 26)]
    parts.append(_box(left + 60, _MEMORY - 12, 140, 12, "#fbeee5", _COLOURS[1]))
    parts.append(_text(left + 130, _MEMORY - 3, "rings and cuts", 10, "middle", _COLOURS[1]))
    return parts


def _as_coded(left: float) -> list[str]:
    parts = _graph(left, "coded maps: the codec at the port")
    for i, (height, coded) in enumerate(((20, False), (17, True), (17, True), (24, False))):
        x = left + 11 + 84 * i
        parts.append(_map(x, height, _COLOURS[3 if coded else 0]))
        if i:
            parts.append(_arrow(x - 10, 126, x - 5, _MEMORY - height - 2))
        if i < len(_OPS):
            parts.append(_arrow(x + 5, _MEMORY - height - 2, x + 10, 128))
        for way, name in ((-12, "E"), (12, "D")) if coded else ():
            parts += [_box(x + way - 8, _PORT - 8, 16, 16, _COLOURS[3])]
            parts.append(_text(x + way, _PORT + 4, name, 11, "middle", "#ffffff"))
    return parts


def _legend(rows: list[Figures]) -> list[str]:
    parts = [_text(_LEFT, 28, "Three ops and their feature maps: before, as a region, and coded", 15)]
    head = '<path d="M0 0L6 3L0 6z" fill="#8c959f"/>'
    marker = 'id="head" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto"'
    parts.append(f"<defs><marker {marker}>{head}</marker></defs>")
    for i, draw in enumerate((_as_it_is, _as_region, _as_coded)):
        parts += draw(_LEFT + 281 * i)
    parts.append(
        _text(_LEFT, 50, "E encodes and D decodes; a ring holds rows until nobody needs them", 12, colour=_SOFT)
    )
    parts.append(_text(_LEFT, 278, "The bundled network, one inference", 15))
    for i, (row, colour) in enumerate(zip(rows, _COLOURS, strict=True)):
        x = _LEFT + 208 * i
        parts.append(f'<rect x="{x}" y="290" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(x + 18, 300, f"{row.name}: {row.outputs}" if row.outputs else row.name))
    return parts


def _panel(left: float, width: float, name: str, rows: list[Figures]) -> list[str]:
    """One group of bars, from 0, with its figures."""
    values = [_PANELS[name](row) for row in rows]
    base, pitch = _HEIGHT - _BOTTOM, width / len(rows)
    parts = [
        f'<path d="M{left:.1f} {base}h{width:.1f}" stroke="#8c959f"/>',
        _text(left + width / 2, base + 18, name, 12, "middle"),
    ]
    for i, (row, value, colour) in enumerate(zip(rows, values, _COLOURS, strict=True)):
        height = (base - _TOP - 14) * value / max(values)
        x, bar = left + pitch * i, pitch * 0.8
        rectangle = f'x="{x + pitch * 0.1:.1f}" y="{base - height:.1f}" width="{bar:.1f}" height="{height:.1f}"'
        title = f"<title>{escape(f'{row.name}: {name.partition(chr(44))[0]} {value:.1f}')}</title>"
        parts.append(f'<rect {rectangle} fill="{colour}">{title}</rect>')
        parts.append(_text(x + pitch / 2, base - height - 5, f"{value:.0f}", 11, "middle"))
    return parts


def _draw(demonstration: Demonstration) -> str:
    rows = demonstration.figures
    parts = [f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>', *_legend(rows)]
    pitch = (_WIDTH - 2 * _LEFT) / len(_PANELS)
    for i, name in enumerate(_PANELS):
        parts += _panel(_LEFT + pitch * (i + 0.06), pitch * 0.88, name, rows)
    note = f"measured with the kernels {demonstration.kernels}; one thread, medians of interleaved runs"
    parts.append(_text(_LEFT, _HEIGHT - 6, note, 11, colour="#57606a"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, *parts, "</svg>", ""])


def main(arguments: list[str]) -> None:
    """Runs the tool; it takes no positional arguments."""
    if arguments:
        raise UsageError(f"unexpected arguments: {' '.join(arguments)}; see --help")
    write_all([(Path(_OUTPUT.value), _draw(demonstrate()).encode())], overwrite=True)


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
