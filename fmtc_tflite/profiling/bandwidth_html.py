"""The part of the HTML report that shows what the original's ops move, and the totals as streams."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Protocol

from fmtc_tflite.profiling import charts
from fmtc_tflite.profiling.charts import Part
from fmtc_tflite.profiling.html_parts import SCROLL

_COLLAPSED = " Encoders and decoders are part of the ops that write and read the maps."
_RATES = (  # key, form, scale, head
    ("bytes_per_second", ".4g", 1e9, "GB/s"),
    ("multiply_accumulates_per_second", ".4g", 1e9, "GMAC/s"),
    ("bytes_per_multiply_accumulate", ".4g", 1.0, "bytes a MAC"),
    ("watts", ".4g", 1e-3, "memory, mW"),
)


class Figures(Protocol):
    """What of a page is needed here: elements that show a number of the JSON, by its key."""

    def figure(self, key: str, form: str = ",.0f") -> str: ...
    def cell(self, key: str, form: str = ",.0f", scale: float = 1.0) -> str: ...


def bandwidth_section(
    page: Figures, document: dict[str, Any], rows: Sequence[tuple[int, str, str]], num_ops: int
) -> str:
    """What each op of the original moves, in each model.

    Args:
      rows: (model, prefix, traffic model) of every line of a table of totals.
      num_ops: of the original.
    """
    models, name = document["models"], document["traffic_model"]
    classes = ["maps"] if len(models) == 1 else ["raw", "coded"]
    kinds = [""] if len(models) == 1 else ["original: ", "converted: "]
    entries = [(css, f"{kind}feature maps") for css, kind in zip(classes, kinds, strict=True)]
    entries.append(("weights", "weights"))
    if models[-1]["is_converted"]:
        entries.append(("side", "side information"))
    sides = [_moved(model, name, css) for model, css in zip(models, classes, strict=True)]
    text = "Bytes that each of the original's ops moves in one inference."
    if name == "fused_codec" and models[-1]["is_converted"]:
        text += _COLLAPSED
    return (
        f'<section><h2>Bandwidth over the ops</h2><p class="soft small">{escape(text)}</p>'
        f"{charts.legend(entries)}{charts.bandwidth_chart(sides, num_ops)}{_rates(page, document, rows)}</section>"
    )


def _moved(model: dict[str, Any], name: str, css_class: str) -> list[tuple[int, list[Part]]]:
    """(position among the original's ops, bytes) of a model's ops."""
    if name == "fused_regions" and "inside" in model:
        ops = [(op["index"], op[name]) for op in model["inside"]["ops"]]
    else:
        ops = [(op["original_op"], op["as_executed" if name == "fused_regions" else name]) for op in model["ops"]]
    return [(position, _parts(moved, css_class)) for position, moved in ops]


def _parts(moved: dict[str, Any], css_class: str) -> list[Part]:
    maps = moved["feature_map_read_bytes"] + moved["feature_map_written_bytes"]
    return [
        Part(css_class, "feature maps", maps),
        Part("weights", "weights", moved["weights_read_bytes"]),
        Part("side", "side information", moved["side_information_read_bytes"]),
    ]


def _rates(page: Figures, document: dict[str, Any], rows: Sequence[tuple[int, str, str]]) -> str:
    """The totals as streams, where a rate is given."""
    if "rates" not in document:
        return ""
    lines = ""
    for i, kind, name in rows:
        key = f"models.{i}.totals.{name}.rates"
        cells = "".join(page.cell(f"{key}.{column}", form, scale) for column, form, scale, _ in _RATES)
        lines += f'<tr><td class="text">{escape(kind + name)}</td>{cells}</tr>'
    at = f"at {page.figure('rates.inferences_per_second', ',.4g')} inferences a second"
    heads = "".join(f"<th>{head}</th>" for *_, head in _RATES)
    return (
        f'{SCROLL}<table><thead><tr><th class="text">{at}</th>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
    )
