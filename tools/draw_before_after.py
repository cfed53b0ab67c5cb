"""Draws docs/before_after.svg: what the demo network costs as it is, as regions, and with coded feature maps.

    python tools/draw_before_after.py

Converts and measures as `fmtc-convert --demo` does, on this machine. The picture has a group of bars for arena, process
memory, time and stored feature maps, and a light background of its own, for pages of any colour.
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

_OUTPUT = flags.DEFINE_string("output", "docs/before_after.svg", "File to write.")

_WIDTH, _HEIGHT = 860, 300
_LEFT, _TOP, _BOTTOM = 16, 96, 40
_COLOURS = ("#b9c4d0", "#c2571a", "#1f77a8", "#0e8f7e")  # the original, regions, coded without and with loss
_PANELS = {
    "arena, KB": lambda row: row.arena_bytes / 1e3,
    "process memory, KB": lambda row: row.process_kb * 1.024,
    "time, µs": lambda row: row.median_us,
    "stored feature maps, KB": lambda row: row.map_bytes / 1e3,
}


def _text(x: float, y: float, text: str, size: int = 12, anchor: str = "start", colour: str = "#24292f") -> str:
    font = f'font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {font}>{escape(text)}</text>'


def _legend(rows: list[Figures]) -> list[str]:
    parts = [_text(_LEFT, 28, "The demo CNN, one inference: before, with regions, and with coded feature maps", 15)]
    for i, (row, colour) in enumerate(zip(rows, _COLOURS, strict=True)):
        x = _LEFT + 208 * i
        parts.append(f'<rect x="{x}" y="44" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(x + 18, 54, f"{row.name}: {row.outputs}" if row.outputs else row.name))
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
        height = (base - _TOP) * value / max(values)
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
