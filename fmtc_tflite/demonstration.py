"""`fmtc-convert --demo`: the bundled network as it is, with regions, and with coded feature maps, measured here."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from fmtc_tflite.api import convert_demo
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.data.opening import open_data
from fmtc_tflite.evaluation.shards import LATENCY_SAMPLES, measure_latency
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import REGION
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.runtime.info import runtime_info
from fmtc_tflite.runtime.process_memory import growth_kb
from fmtc_tflite.types import ConvertOptions, DataOptions

_PROCESSES = 3
_LEGEND = (
    "arena           planned: tensors that live at the same time, without kernels' own working memory",
    f"process         memory that appears until the first inference, median of {_PROCESSES} processes",
    f"time            of an inference, median of {LATENCY_SAMPLES}, all models taking turns",
    "maps            feature maps that an inference stores: all, those between a region's stages, or as they are coded",
    "what for        regions: memory on a CPU; coded maps: traffic, where the codec is at the memory port",
)


@dataclass(frozen=True)
class Figures:
    """What one form of the network costs.

    Attributes:
      arena_bytes: planned, inputs and outputs included, without kernels' own working memory.
      process_kb: memory that it adds to a process (1024 bytes), the median of three.
      median_us: of an inference, in microseconds, on one thread; all forms take turns.
      map_bytes: of the feature maps that an inference stores, as they are stored (the mean, where they are coded).
      outputs: how they compare with the original's.
    """

    name: str
    arena_bytes: int
    process_kb: float
    median_us: float
    map_bytes: float
    outputs: str


@dataclass(frozen=True)
class Demonstration:
    """The original and its conversions.

    Attributes:
      conversions: by name.
      figures: of the original, then of the conversions.
      kernels: that all run with, of which runtime, and the level of this package's own.
    """

    conversions: dict[str, ConversionResult]
    figures: list[Figures]
    kernels: str

    def document(self) -> dict[str, Any]:
        """All of it as JSON-serialisable data."""
        return {
            "kernels": self.kernels,
            "figures": [asdict(row) for row in self.figures],
            "reports": {name: result.report for name, result in self.conversions.items()},
        }


def demonstrate(options: ConvertOptions | None = None) -> Demonstration:
    """Converts the bundled network in all ways and measures it; takes some seconds, and writes nothing that stays.

    Args:
      options: of all conversions, but for what tells these apart.

    Raises:
      FmtcError: see fmtc_tflite.errors.
    """
    options = options or ConvertOptions()
    coding = replace(options, execution="ops", kernels="auto", runtime=None)
    wanted = {"regions": replace(options, execution="regions"), "coded, lossless": replace(coding, lossless=True)}
    if not options.lossless:
        wanted["coded, lossy"] = coding
    conversions = {name: convert_demo(each) for name, each in wanted.items()}
    regions = conversions["regions"].report
    with resources.as_file(resources.files("fmtc_tflite") / "demo") as folder:
        contents = [(folder / "demo_int8.tflite").read_bytes(), *(each.content for each in conversions.values())]
        data = open_data(load_model(contents[0]), DataOptions(data=folder / "demo_samples.npz"))
        times = measure_latency(contents, [data] * len(contents), 1, options.runtime)
    memory = _process_kb(contents, regions["kernels"], options.runtime)
    values = float(conversions["coded, lossless"].report["totals"]["feature_map_values"])
    arena = regions["arena"]["original_planned_bytes"]
    original = Figures("original", arena, memory[0], 1000 * times[0]["median_ms"], values, "")
    figures = [
        Figures(
            name,
            result.report["arena"]["converted_planned_bytes"],
            kb,
            1000 * latency["median_ms"],
            _map_bytes(result),
            _outputs(result.report["fidelity"]),
        )
        for (name, result), kb, latency in zip(conversions.items(), memory[1:], times[1:], strict=True)
    ]
    kernels = f"{regions['kernels']} of {regions['runtime']}, ours for {runtime_info()['cpu_level']}"
    return Demonstration(conversions, [original, *figures], kernels)


def _outputs(fidelity: dict[str, Any]) -> str:
    return "bit-exact" if fidelity["bit_exact"] else f"KL {fidelity['kl_mean']:.3f} nats"


def _map_bytes(result: ConversionResult) -> float:
    if "regions" in result.report:
        outside = (site for site in find_sites(load_model(result.content)) if site.producer.opcode != REGION)
        between = sum(region["stored_bytes"] for region in result.report["regions"])
        return float(between + sum(site.values for site in outside))
    total = result.report["totals"]
    return float(total["coded_bytes"]["mean"] + total["feature_map_values"] - total["coded_values"])


def _process_kb(contents: list[bytes], kernels: str, runtime: str | None) -> list[float]:
    """Medians over fresh processes; the first model is the original, which needs no delegate."""
    growths = []
    with tempfile.TemporaryDirectory() as folder:
        for i, content in enumerate(contents):
            path = Path(folder) / f"{i}.tflite"
            path.write_bytes(content)
            growths.append([growth_kb(path, path, kernels, i > 0, runtime) for _ in range(_PROCESSES)])
    return [statistics.median(each) for each in growths]


def format_figures(demonstration: Demonstration) -> str:
    """The figures as a table, with what they are."""
    lines = [
        f"measured here: one thread, the kernels {demonstration.kernels}",
        "",
        f"{'':17} {'arena, bytes':>12} {'process, KB':>12} {'time, us':>9} {'maps, bytes':>12}  outputs",
    ]
    for row in demonstration.figures:
        figures = f"{row.arena_bytes:>12,} {row.process_kb:>12,.0f} {row.median_us:>9,.0f} {row.map_bytes:>12,.0f}"
        lines.append(f"{row.name:17} {figures}  {row.outputs}".rstrip())
    return "\n".join([*lines, "", *_LEGEND])
