"""Draws docs/before_after.svg: the bytes of the demo model's feature maps before and after conversion.

    python tools/draw_before_after.py

Makes and measures both conversions of `fmtc-convert --demo`, lossless and default. The picture has a group of bars for
each feature map, in execution order, and a light background of its own, for pages of any colour.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from absl import flags

from fmtc_tflite import ConvertOptions
from fmtc_tflite.api import convert_demo
from fmtc_tflite.cli import common
from fmtc_tflite.errors import UsageError
from fmtc_tflite.files import write_all

_OUTPUT = flags.DEFINE_string("output", "docs/before_after.svg", "File to write.")

_WIDTH, _HEIGHT = 860, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 74, 46
_COLOURS = {"before": "#b9c4d0", "lossless": "#1f77a8", "default": "#0e8f7e"}
_GRID_KB = 16


def _measure(lossless: bool) -> dict[str, Any]:
    return convert_demo(ConvertOptions(lossless=lossless)).report


def _stored_bytes(site: dict[str, Any]) -> float:
    return 0.0 if site["coded_bytes"] is None else float(site["coded_bytes"]["mean"])  # None: folded


def _bars(reports: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, float]]]:
    """(name, bytes by series) of each feature map."""
    bars = []
    for sites in zip(*(report["sites"] for report in reports.values()), strict=True):
        sizes = {name: _stored_bytes(site) for name, site in zip(reports, sites, strict=True)}
        bars.append((sites[0]["tensor"], {"before": float(sites[0]["values"]), **sizes}))
    return bars


def _text(x: float, y: float, text: str, size: int = 12, anchor: str = "start", colour: str = "#24292f") -> str:
    font = f'font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {font}>{escape(text)}</text>'


def _legend(totals: dict[str, float], kl: float) -> list[str]:
    labels = {
        "before": f"before: {totals['before'] / 1e3:.0f} KB, 8 bits a value",
        "lossless": f"lossless: {totals['lossless'] / 1e3:.0f} KB, bit-exact",
        "default": f"default: {totals['default'] / 1e3:.0f} KB, KL {kl:.3f} nats",
    }
    parts = [_text(16, 26, "Feature maps of the demo CNN, bytes per inference", 15)]
    for i, (series, label) in enumerate(labels.items()):
        x = 16 + 272 * i
        parts.append(f'<rect x="{x}" y="42" width="12" height="12" fill="{_COLOURS[series]}"/>')
        parts.append(_text(x + 18, 52, label))
    return parts


def _draw(bars: list[tuple[str, dict[str, float]]], kl: float) -> str:
    totals = {series: sum(sizes[series] for _, sizes in bars) for series in _COLOURS}
    largest = max(max(sizes.values()) for _, sizes in bars)
    height, pitch = _HEIGHT - _TOP - _BOTTOM, (_WIDTH - _LEFT - _RIGHT) / len(bars)
    base = _TOP + height
    parts = [f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>', *_legend(totals, kl)]
    for kb in range(0, int(largest / 1e3) + 1, _GRID_KB):
        y = base - height * kb * 1e3 / largest
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#d8dee4"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{kb} KB", 11, "end", "#57606a"))
    for i, (name, sizes) in enumerate(bars):
        for j, (series, colour) in enumerate(_COLOURS.items()):
            top, width = height * sizes[series] / largest, pitch * 0.27
            x = _LEFT + pitch * (i + 0.1) + width * j
            rectangle = f'x="{x:.1f}" y="{base - top:.1f}" width="{width:.1f}" height="{top:.1f}" fill="{colour}"'
            parts.append(f"<rect {rectangle}><title>{escape(name)}: {series}, {sizes[series]:.0f} bytes</title></rect>")
    parts.append(_text(_LEFT, _HEIGHT - 24, "feature maps in execution order; no bar: folded, nothing is stored", 11))
    parts.append(_text(_LEFT, _HEIGHT - 9, "coded bytes: what the encoder wrote, headers and checksums included", 11))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, *parts, "</svg>", ""])


def main(arguments: list[str]) -> None:
    """Runs the tool; it takes no positional arguments."""
    if arguments:
        raise UsageError(f"unexpected arguments: {' '.join(arguments)}; see --help")
    reports = {"lossless": _measure(lossless=True), "default": _measure(lossless=False)}
    picture = _draw(_bars(reports), reports["default"]["fidelity"]["kl_mean"])
    write_all([(Path(_OUTPUT.value), picture.encode())], overwrite=True)


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
