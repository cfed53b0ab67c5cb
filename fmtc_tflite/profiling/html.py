"""The profile as one self-contained HTML page: no network, light and dark, readable on a phone and in print.

Every figure that is shown carries the key of the JSON profile that it comes from (`data-key`) and its unrounded value
(`data-value`), so that a test can hold the page against the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from fmtc_tflite.profiling import charts
from fmtc_tflite.profiling.bandwidth_html import bandwidth_section
from fmtc_tflite.profiling.charts import Part, bytes_text
from fmtc_tflite.profiling.html_parts import SCROLL, name_cell, shape_cell, table_section
from fmtc_tflite.profiling.inside_html import arena_section, inside_table, stored_maps
from fmtc_tflite.profiling.tiles_html import tiles
from fmtc_tflite.rendering import distinct_names
from fmtc_tflite.text import printable_document

_MICRO = 1e6
_ENERGY_PARTS = (
    ("maps", "feature maps", ("feature_maps_pj",)),
    ("weights", "weights", ("weights_pj",)),
    ("transform", "transform", ("codec", "transform_pj")),
    ("lookups", "table look-ups", ("codec", "table_lookups_pj")),
    ("side", "side information", ("codec", "side_information_pj")),
)
_NO_CELL = '<td data-value="-1">–</td>'
_CODEC_PARTS = ("transform", "lookups", "side")
_RINGS_PART = ("ring", "rings", ("rings_pj",))
_TRAFFIC_NAMES = {
    "as_executed": "as executed: the graph as TFLite runs it, where inserted ops add traffic",
    "fused_codec": "fused codec: the codec at the memory port, as in an accelerator or in fused kernels",
    "fused_regions": "fused regions: what regions store crosses memory, their rings stay on chip",
}
_SCHEME_NAMES = {
    "raw": "raw",
    "zero_value": "zero-value compression",
    "entropy_shannon": "entropy of the raw map",
    "entropy_huffman": "Huffman code of the raw map",
    "paper": "the paper's scheme (lossy)",
    "fmtc": "this codec",
}

_ARENA_TEXT = (
    "A bar is a tensor: from the op that writes it to the last that reads it, at its planned place in memory. The line "
    "is what is live, without alignment and gaps. Kernels' own working memory is not drawn."
)
_ALIGNED_TEXT = (
    " From left to right are the original's ops: encoders lie where the op is whose output they code, decoders where "
    "the op is that reads it."
)


def profile_html(document: dict[str, Any]) -> str:
    """The page as text."""
    page = Page(printable_document(document))
    template = (resources.files("fmtc_tflite.profiling") / "report_template.html").read_text("utf-8")
    return Template(template).substitute(
        title=escape(f"Memory profile of {page.name}"), body="\n".join(page.sections())
    )


def _unstored(row: dict[str, Any]) -> str:
    """Why a map moves nothing; nothing for one that does."""
    if row.get("is_folded"):
        return "folded, not stored"
    return "" if row.get("is_stored", True) else "not stored, a few rows in a region"


class Page:
    """A profile's page; figures carry their key in the JSON."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._last = len(document["models"]) - 1
        self._model: dict[str, Any] = document["models"][-1]
        self._traffic_model: str = document["traffic_model"]
        self._energy_key = "total_pj" if document["codec_cost_included"] else "total_without_codec_pj"
        self._num_ops = max(max((op["original_op"] + 1 for op in m["ops"]), default=0) for m in document["models"])
        self.name = Path(self._model["path"] or "model").name
        totals = [total for model in document["models"] for total in model["totals"].values()]
        has_rings = any("rings_pj" in total["energy"] for total in totals)
        self._parts = (*_ENERGY_PARTS[:2], *((_RINGS_PART,) if has_rings else ()), *_ENERGY_PARTS[2:])

    def sections(self) -> Iterator[str]:
        """The parts of the page's body."""
        yield self._head()
        yield tiles(self, self._document, self._energy_key)
        yield self._arena() if "inside" not in self._model else arena_section(self, self._last, self._model)
        yield self._traffic()
        yield bandwidth_section(self, self._document, self._rows(), self._num_ops)
        yield self._energy()
        if len(self._document["schemes"]) > 1:
            yield self._schemes()
        yield self._maps()
        if self._traffic_model == "fused_regions":
            yield inside_table(self, self._last, self._model, self._energy_key)
        else:
            yield self._ops()
        yield self._footer()

    # --- figures with their key -------------------------------------------------------------------------------------

    def value(self, key: str) -> Any:
        """What the JSON has under a key."""
        value: Any = self._document
        for part in key.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value

    def figure(self, key: str, form: str = ",.0f", scale: float = 1.0, tag: str = "span", css: str = "") -> str:
        """An element that shows a number of the JSON; a dash where there is none."""
        value = self.value(key)
        attribute = f' class="{css}"' if css else ""
        if value is None:
            return f'<{tag}{attribute} data-key="{key}" data-value="-1">–</{tag}>'
        return f'<{tag}{attribute} data-key="{key}" data-value="{value!r}">{value / scale:{form}}</{tag}>'

    def cell(self, key: str, form: str = ",.0f", scale: float = 1.0) -> str:
        """A table's cell with a number of the JSON."""
        return self.figure(key, form, scale, tag="td")

    # --- head -------------------------------------------------------------------------------------------------------

    def _head(self) -> str:
        model, data = self._model, self._document["data"]
        facts = [
            "converted" if model["is_converted"] or model["regions"] or "inside" in model else "not converted",
            f"{len(model['ops'])} ops",
            bytes_text(model["size_bytes"]),
            f"memory system {self._document['memory_system']['name']}",
        ]
        if data is not None:
            facts.append(f"{data['num_samples']} samples ({data['source']})")
        notes = list(model["notes"])
        if model["coded_sizes"]["basis"] is not None:
            notes.insert(0, f"Coded sizes: {model['coded_sizes']['explanation']}.")
        if self._document["comparison"] is not None:
            notes.append(f"Original and converted model: {self._document['comparison']['recognised_by']}.")
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        return (
            f'<h1>{escape(self.name)}</h1><p class="soft">{escape(" · ".join(facts))}</p>'
            f'<p class="soft small">{escape(_TRAFFIC_NAMES[self._traffic_model])}. Traffic is modelled, energy is an '
            "estimate: traffic times energy per bit.</p>" + (f'<ul class="small soft">{items}</ul>' if items else "")
        )

    # --- pictures ---------------------------------------------------------------------------------------------------

    def _arena(self) -> str:
        models = self._document["models"]
        largest = max(m["arena"]["planned_bytes"] for m in models)
        entries = [("maps", "feature map")]
        if any(m["is_converted"] for m in models):
            entries += [("coded", "coded form (its capacity)"), ("decoded", "decoded copy")]
        text = _ARENA_TEXT + _ALIGNED_TEXT * any(m["is_converted"] for m in models)
        parts = [f'<h2>Arena</h2><p class="soft small">{text}</p>', charts.legend(entries)]
        for i, model in enumerate(models):
            if len(models) > 1:
                kind = "converted" if model["is_converted"] else "original"
                parts.append(f"<h3>{kind}: {escape(Path(model['path'] or '').name)}</h3>")
            parts.append(charts.arena_chart(model, largest, self._num_ops))
            parts.append(self.arena_text(i, model["arena"]))
        return f"<section>{''.join(parts)}</section>"

    def arena_text(self, index: int, arena: dict[str, Any]) -> str:
        """What was planned and measured."""
        key = f"models.{index}.arena"
        text = (
            f"Planned {self.figure(f'{key}.planned_bytes')} bytes, "
            f"{self.figure(f'{key}.planned_with_kernel_scratch_bytes')} with kernel scratch"
        )
        if arena["live_extent_bytes"] is None:
            text += f"; live interpreter not measured: {escape(arena['live_unavailable'])}."
        else:
            text += (
                f"; live interpreter {self.figure(f'{key}.live_extent_bytes')} bytes "
                f"({escape(arena['live_runtime'])}, built-in kernels, measured)."
            )
        if arena["difference_explained"]:
            text += f" The difference: {escape(arena['difference_explained'])}."
        return f'<p class="small">{text}</p>'

    def _traffic(self) -> str:
        coded, maps = self._model["is_converted"], self._model["feature_maps"]
        entries = [("raw", "raw"), ("coded", "coded (fused codec)")] if coded else [("raw", "raw, read and written")]
        if self._traffic_model == "fused_regions":
            entries, maps = [("raw", "in the original"), ("coded", "stored")], stored_maps(self._model["inside"])
        if any(row.get("is_folded") for row in maps):
            entries.append(("folded", "folded: not stored, computed by the decoders of what reads it"))
        with_rings = "inside" in self._model
        rows = "".join(
            f'<tr><td class="text">{escape(kind + name)}</td>'
            + "".join(
                self.cell(f"models.{i}.totals.{name}.{column}_bytes", ",.3f", _MICRO)
                for column in ("feature_map_read", "feature_map_written", "weights_read", "side_information_read")
            )
            + (self._rings_cells(f"models.{i}.totals.{name}") if with_rings else "")
            + "</tr>"
            for i, kind, name in self._rows()
        )
        return (
            "<section><h2>Traffic</h2>"
            '<p class="soft small">Bytes that each feature map moves in one inference, read and written together.</p>'
            f"{charts.legend(entries)}{charts.traffic_chart(maps)}{self._largest(maps)}"
            f'{SCROLL}<table><thead><tr><th class="text">per inference, MB</th><th>maps read</th>'
            "<th>maps written</th><th>weights read</th><th>side information read</th>"
            f"{'<th>rings read</th><th>rings written</th>' if with_rings else ''}</tr></thead>"
            f"<tbody>{rows}</tbody></table></div></section>"
        )

    def _largest(self, maps: Sequence[dict[str, Any]]) -> str:
        """What the numbers in the picture of traffic stand for."""
        where = "inside.feature_maps" if self._traffic_model == "fused_regions" else "feature_maps"
        after = "fused_regions" if self._traffic_model == "fused_regions" else "fused_codec"
        numbers = charts.largest_maps(maps)
        names = distinct_names([row["tensor"] for row in maps], 60)
        items = ""
        for number in numbers:
            key = f"models.{self._last}.{where}.{number}"
            columns = [f"{key}.{form}.{way}_bytes" for form in ("raw", after) for way in ("written", "read")]
            raw, now = (f"{self.figure(w)} + {self.figure(r)}" for w, r in (columns[:2], columns[2:]))
            now = _unstored(maps[number]) or now
            change = f" → {now}" if maps[number]["is_coded"] else ""
            items += (
                f'<li title="{escape(maps[number]["tensor"])}">{escape(names[number])}, '
                f"{'×'.join(map(str, maps[number]['shape']))}: {raw}{change}</li>"
            )
        return (
            f'<p class="small soft">The largest, bytes written + read:</p><ol class="small largest">{items}</ol>'
            if items
            else ""
        )

    def _rings_cells(self, total: str) -> str:
        columns = ("ring_read_bytes", "ring_written_bytes")
        has_rings = columns[0] in self.value(total)
        return "".join(self.cell(f"{total}.{c}", ",.3f", _MICRO) if has_rings else _NO_CELL for c in columns)

    def _rows(self) -> list[tuple[int, str, str]]:
        """(model, prefix, traffic model) of every line of the tables of totals."""
        models = self._document["models"]
        kinds = ["original, ", "converted, "] if len(models) > 1 else [""]
        return [(i, kind, name) for i, kind in enumerate(kinds) for name in models[i]["totals"]]

    def _energy(self) -> str:
        system = self._document["memory_system"]
        bars = [(kind + name, self._energy_parts(i, name)) for i, kind, name in self._rows()]
        head = "".join(f"<th>{text}</th>" for _, text, _ in self._parts)
        rows = ""
        for i, kind, name in self._rows():
            energy = f"models.{i}.totals.{name}.energy"
            cells = [self._energy_cell(energy, path) for _, _, path in self._parts]
            cells += [self.cell(f"{energy}.{key}", ",.2f", _MICRO) for key in ("total_without_codec_pj", "total_pj")]
            rows += f'<tr><td class="text">{escape(kind + name)}</td>{"".join(cells)}</tr>'
        missing = "" if system["weights"] else " Weights are not counted by this memory system."
        return (
            f"<section><h2>Energy, estimated</h2>"
            f'<p class="soft small">{escape(system["description"])}{missing} Transform, look-ups and side information '
            "are the codec's own cost.</p>"
            f"{charts.legend([(css, text) for css, text, _ in self._parts])}{charts.energy_chart(bars)}"
            f'{SCROLL}<table><thead><tr><th class="text">per inference, µJ</th>{head}'
            f"<th>without codec</th><th>total</th></tr></thead><tbody>{rows}</tbody></table></div>"
            f"{self._levels(system)}</section>"
        )

    def _energy_cell(self, energy: str, path: tuple[str, ...]) -> str:
        if path[0] not in self.value(energy):  # rings, where there are none
            return _NO_CELL
        return self.cell(".".join((energy, *path)), ",.2f", _MICRO)

    def _energy_parts(self, index: int, name: str) -> list[Part]:
        energy = f"models.{index}.totals.{name}.energy"
        known = [part for part in self._parts if part[2][0] in self.value(energy)]
        parts = [Part(css, text, self.value(".".join((energy, *path))) or 0.0) for css, text, path in known]
        return [part for part in parts if self._document["codec_cost_included"] or part.css_class not in _CODEC_PARTS]

    def _levels(self, system: dict[str, Any]) -> str:
        rows = ""
        for name, level in system["levels"].items():
            key = f"models.{self._last}.totals.{self._traffic_model}.levels.{name}"
            cells = [self.cell(f"{key}.{column}", ",.3f", _MICRO) for column in ("read_bytes", "written_bytes")]
            cells.append(self.cell(f"{key}.energy_pj", ",.2f", _MICRO))
            for direction in ("read", "write"):
                figure = level[f"{direction}_pj_per_bit"]
                cells.append(f'<td title="{escape(figure["source"])}">{figure["value"]:.4g}</td>')
            rows += f'<tr><td class="text">{escape(name)}</td>{"".join(cells)}</tr>'
        figures = [
            (f"{n}, {d}", level[f"{d}_pj_per_bit"]) for n, level in system["levels"].items() for d in ("read", "write")
        ]
        figures += [(key.removesuffix("_pj").replace("_", " "), figure) for key, figure in system["logic"].items()]
        sources = "".join(
            f"<li>{escape(name)}: {figure['value']:.4g} pJ. {escape(figure['source'])}</li>" for name, figure in figures
        )
        return (
            f'{SCROLL}<table><thead><tr><th class="text">level</th><th>read, MB</th><th>written, MB</th>'
            f"<th>energy, µJ</th><th>read, pJ/bit</th><th>write, pJ/bit</th></tr></thead><tbody>{rows}</tbody></table>"
            f'</div><details class="small"><summary>Where the figures come from</summary><ul>{sources}</ul></details>'
        )

    # --- tables -----------------------------------------------------------------------------------------------------

    def _schemes(self) -> str:
        rows = ""
        for i, scheme in enumerate(self._document["schemes"]):
            key = f"schemes.{i}"
            cells = [
                self.cell(f"{key}.bits_per_value", ".3f"),
                self.cell(f"{key}.feature_map_read_bytes", ",.3f", _MICRO),
                self.cell(f"{key}.feature_map_written_bytes", ",.3f", _MICRO),
                self.cell(f"{key}.energy.feature_maps_pj", ",.2f", _MICRO),
                self.cell(f"{key}.feature_map_energy_saved", ".1f", 0.01),
            ]
            name = _SCHEME_NAMES[scheme["scheme"]]
            rows += f'<tr><td class="text" title="{escape(scheme["description"])}">{name}</td>{"".join(cells)}</tr>'
        cost = self.figure(f"schemes.{i}.feature_map_energy_saved_with_codec_cost", ".1f", 0.01)
        note = f" With this codec's own cost counted, it saves {cost} %." if scheme["scheme"] == "fmtc" else ""
        return (
            "<section><h2>Other schemes on the same feature maps</h2>"
            '<p class="soft small">All as the fused codec moves them. Entropy and Huffman use one table per map, '
            f"made from the values that it then codes, which flatters them.{note}</p>"
            f'{SCROLL}<table><thead><tr><th class="text">scheme</th><th>bits/value</th><th>read, MB</th>'
            "<th>written, MB</th><th>maps, µJ</th><th>energy saved, %</th></tr></thead>"
            f"<tbody>{rows}</tbody></table></div></section>"
        )

    def _maps(self) -> str:
        columns = (
            ("raw_bytes", "raw bytes", ",.0f", 1.0),
            ("bits_per_value", "bits/value", ".3f", 1.0),
            ("capacity_bytes", "capacity", ",.0f", 1.0),
            ("side_information_bytes", "side info", ",.0f", 1.0),
            ("raw.energy_pj", "raw, µJ", ",.2f", _MICRO),
            ("fused_codec.energy_pj", "fused codec, µJ", ",.2f", _MICRO),
        )
        coded = ("mean", "p50", "p99", "max")
        head = [
            "#",
            "feature map",
            "shape",
            "transform",
            "raw bytes",
            *(f"coded {c}" for c in coded),
            *(c[1] for c in columns[1:]),
        ]
        head.append("level")
        rows = []
        for i, row in enumerate(self._model["feature_maps"]):
            key = f"models.{self._last}.feature_maps.{i}"
            cells = [f'<td data-value="{i}">{i}</td>', name_cell(row["tensor"]), shape_cell(row["shape"])]
            cells.append(f'<td class="text">{escape(row["transform"] or "–")}</td>')
            cells.append(self.cell(f"{key}.raw_bytes"))
            absent = '<td data-value="0">folded</td>' if row["is_folded"] else _NO_CELL
            for column in coded:
                known = row["coded_bytes"] is not None
                cells.append(self.cell(f"{key}.coded_bytes.{column}") if known else absent)
            cells += [self.cell(f"{key}.{path}", form, scale) for path, _, form, scale in columns[1:]]
            cells.append(f'<td class="text">{escape(row["fused_codec"]["level"])}</td>')
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return table_section("Feature maps", "Bytes. A click on a head sorts.", head, rows)

    def _ops(self) -> str:
        columns = (
            ("feature_map_read_bytes", "maps read", ",.0f", 1.0),
            ("feature_map_written_bytes", "maps written", ",.0f", 1.0),
            ("weights_read_bytes", "weights read", ",.0f", 1.0),
            ("side_information_read_bytes", "side info read", ",.0f", 1.0),
            (f"energy.{self._energy_key}", "energy, µJ", ",.3f", _MICRO),
        )
        rows = []
        for i, op in enumerate(self._model["ops"]):
            key = f"models.{self._last}.ops.{i}"
            cells = [f'<td data-value="{i}">{i}</td>', f'<td class="text">{escape(op["opcode"])}</td>']
            cells += [name_cell(", ".join(op["outputs"])), self.cell(f"{key}.live_bytes")]
            cells += [self.cell(f"{key}.{self._traffic_model}.{path}", form, scale) for path, _, form, scale in columns]
            rows.append(f"<tr>{''.join(cells)}</tr>")
        head = ["#", "op", "writes", "arena live", *(column[1] for column in columns)]
        return table_section("Ops", f"Bytes per inference, {self._traffic_model}.", head, rows)

    def _footer(self) -> str:
        return (
            "<footer>Made by fmtc-profile. Traffic is a lower bound: each op reads its inputs once, whole. MB is "
            f"10<sup>6</sup> bytes. SHA-256 of the model: <code>{self._model['sha256'][:16]}…</code></footer>"
        )
