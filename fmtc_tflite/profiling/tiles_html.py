"""The HTML report's headline: what conversion changed, or what one model costs."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from fmtc_tflite.rendering import rate_form

_MICRO = 1e6
_GIGA = 1e9
_TO = '<span class="to">→</span>'
_MODEL_NAMES = {"as_executed": "as executed", "fused_codec": "fused codec", "fused_regions": "fused regions"}
_MEASURES = {
    "kl": ("KL divergence", "nats"),
    "disagreement": ("disagreement", ""),
    "relative_mse": ("relative MSE", ""),
}


class Figures(Protocol):
    """What of a page is needed here."""

    def value(self, key: str) -> Any: ...
    def figure(self, key: str, form: str = ",.0f", scale: float = 1.0) -> str: ...


class Tile(NamedTuple):
    """A figure, or one before and one after conversion, with their unit, and what stands below."""

    name: str
    figure: str
    unit: str
    beside: str = ""


def tiles(page: Figures, document: dict[str, Any], energy_key: str) -> str:
    """All tiles.

    Args:
      energy_key: of the total energy, with or without the codec's own.
    """
    headline = _Headline(page, document, energy_key)
    return '<div class="tiles">' + "".join(
        f'<div class="tile"><div class="name">{tile.name}</div><div class="figure">{tile.figure} '
        f'<span class="unit">{tile.unit}</span></div><div class="beside">{tile.beside}</div></div>'
        for tile in headline.all()
    ) + "</div>"  # fmt: skip


class _Headline:
    def __init__(self, page: Figures, document: dict[str, Any], energy_key: str) -> None:
        self._page, self._document, self._energy_key = page, document, energy_key
        self._last = len(document["models"]) - 1
        self._model: dict[str, Any] = document["models"][-1]
        self._shown: str = document["traffic_model"]

    def all(self) -> list[Tile]:
        """What there is to say, the most important first."""
        found = [self._moved(name) for name in self._model["totals"]]
        found += [self._energy(), self._arena(), *self._bits(), *self._fidelity(), *self._rates()]
        return found

    def _pair(self, path: str, form: str, scale: float, before: str | None = None) -> str:
        """A figure of the model, with that of the original before it where there is one."""
        after = self._page.figure(f"models.{self._last}.{path}", form, scale)
        if self._last == 0:
            return after
        return f"{self._page.figure(f'models.0.{before or path}', form, scale)} {_TO} {after}"

    def _saved(self, key: str) -> str:
        """A share that conversion saves, or adds."""
        if self._document["comparison"] is None:
            return "per inference"
        share = self._page.value(f"comparison.{key}")
        return f"{self._page.figure(f'comparison.{key}', '.1f', 0.01 if share >= 0 else -0.01)} % " + (
            "less" if share >= 0 else "more"
        )

    def _moved(self, name: str) -> Tile:
        before = name if name in self._document["models"][0]["totals"] else "as_executed"
        figure = self._pair(
            f"totals.{name}.feature_map_moved_bytes", ",.3f", _MICRO, f"totals.{before}.feature_map_moved_bytes"
        )
        return Tile(
            f"feature maps moved, {_MODEL_NAMES[name]}", figure, "MB", self._saved(f"{name}.feature_map_bytes_saved")
        )

    def _energy(self) -> Tile:
        before = self._shown if self._shown in self._document["models"][0]["totals"] else "as_executed"
        figure = self._pair(
            f"totals.{self._shown}.energy.{self._energy_key}",
            ",.1f",
            _MICRO,
            f"totals.{before}.energy.{self._energy_key}",
        )
        suffix = "" if self._document["codec_cost_included"] else "_without_codec_cost"
        saved = self._saved(f"{self._shown}.total_energy_saved{suffix}")
        return Tile(f"memory energy, {_MODEL_NAMES[self._shown]}", figure, "µJ", saved)

    def _arena(self) -> Tile:
        key = f"models.{self._last}.arena.live_extent_bytes"
        live = "live arena not measured"
        if self._page.value(key) is not None:
            live = f"live, with kernel scratch: {self._page.figure(key, ',.1f', 1e3)} kB"
        if self._document["comparison"] is not None:
            live = f"{self._saved('planned_arena_bytes_saved')}; {live}"
        return Tile("arena, planned", self._pair("arena.planned_bytes", ",.1f", 1e3), "kB", live)

    def _bits(self) -> list[Tile]:
        if "inside" in self._model:
            figure = self._page.figure(f"models.{self._last}.inside.bits_per_value", ".3f")
            return [Tile("bits per original value", f"8 {_TO} {figure}", "stored", "all of its maps")]
        if not self._model["is_converted"]:
            return []
        figure = self._page.figure(f"schemes.{len(self._document['schemes']) - 1}.bits_per_value", ".3f")
        return [Tile("bits per value", f"8 {_TO} {figure}", "", "all maps that could be coded")]

    def _fidelity(self) -> list[Tile]:
        """What the savings cost, as it was measured at conversion."""
        known, key = self._model["fidelity"], f"models.{self._last}.fidelity"
        if known is None:
            return []
        samples = f"{self._page.figure(f'{key}.num_samples')} held-back samples"
        if known["bit_exact"] or known["measure"] is None:
            return [Tile("fidelity", "bit-exact", "", f"outputs on {samples}")]
        name, unit = _MEASURES.get(known["measure"], (known["measure"], ""))
        error = "" if known["std_error"] is None else f" ± {self._page.figure(f'{key}.std_error', '.2g')}"
        same = ""
        if known["top1_agreement"] is not None:
            same = f"same top-1 on {self._page.figure(f'{key}.top1_agreement', '.1f', 0.01)} % of "
        return [Tile(f"fidelity: {name}", self._page.figure(f"{key}.mean", ".3g") + error, unit, same + samples)]

    def _rates(self) -> list[Tile]:
        if "rates" not in self._document:
            return []
        before = self._shown if self._shown in self._document["models"][0]["totals"] else "as_executed"
        keys = [f"totals.{name}.rates.bytes_per_second" for name in (self._shown, before)]
        form = rate_form(self._document["rates"]["inferences_per_second"])
        per_second = f"at {self._page.figure('rates.inferences_per_second', form)} inferences/s"
        return [Tile("bandwidth", self._pair(keys[0], ".3g", _GIGA, keys[1]), "GB/s", per_second)]
