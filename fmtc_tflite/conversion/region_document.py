"""The report of a conversion with regions: as data (fmtc_tflite/report_schema.json) and as text."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, Protocol

from fmtc_tflite.coding.side_info import STEP_ONE, SideInformation
from fmtc_tflite.conversion.coded_cuts import CodedSizes
from fmtc_tflite.conversion.entry_points import fidelity_lines, of_first_subgraph
from fmtc_tflite.conversion.micro_document import micro_lines
from fmtc_tflite.conversion.region_plans import PlannedRegion
from fmtc_tflite.conversion.region_verification import RegionVerification
from fmtc_tflite.conversion.text_report import fidelity_text
from fmtc_tflite.graph.model import Op
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.memory.arena import tensor_bytes
from fmtc_tflite.memory.traffic import as_executed
from fmtc_tflite.regions.extra import Extra, total
from fmtc_tflite.regions.ops import RegionTensor
from fmtc_tflite.regions.program_format import VERSION
from fmtc_tflite.rendering import distinct_names, shorten
from fmtc_tflite.text import counted
from fmtc_tflite.types import ConvertOptions

_TABLE_STAGES = 40
_NAME_WIDTH = 40
_MOST_HOLDERS = 5
_DATA = {
    "synthetic": "none needed, as no output changes",
    "calibration": "verified on, but not needed, as no output changes",
    "loss": "steps and tables are made from them; those held back keep the bound",
}
_OPS = "--execution ops codes feature maps, for less traffic; with data, --max_kl codes them with loss"
_DELEGATES = "delegates       GPU, NNAPI and Edge TPU delegates cannot take a region; XNNPACK takes the ops around it"


class PlannedArena(Protocol):
    """An arena as the target's interpreter plans it."""

    @property
    def capacity_bytes(self) -> int:
        """Its size."""

    @property
    def peak_op_name(self) -> str:
        """The op while which most is live."""

    @property
    def holders(self) -> Sequence[tuple[str, int]]:
        """(name, bytes) of what is live then, the largest first."""


def region_report(
    contents: tuple[bytes, bytes],
    regions: Sequence[PlannedRegion],
    left_out: Mapping[Op, str],
    verification: RegionVerification,
    arenas: tuple[PlannedArena, PlannedArena],
    coded: CodedSizes,
    options: ConvertOptions,
) -> dict[str, Any]:
    """The report as JSON-serialisable data, without paths.

    Args:
      contents: original and converted file.
      left_out: ops outside regions, with reasons.
      arenas: planned, of both.
      coded: what was measured of coded cuts.
    """
    original, converted = contents
    return {
        "format_version": VERSION,
        "execution": "regions",
        "kernels": verification.kernels,
        "runtime": verification.runtime,
        "model": {
            "sha256": hashlib.sha256(original).hexdigest(),
            "size_bytes": len(original),
            "converted_size_bytes": len(converted),
        },
        "data": "synthetic" if options.calibration.data is None else "calibration",
        "regions": [_region(each, coded) for each in regions],
        "stored": _stored(original, regions, left_out, coded),
        "left_out": [{"op": op.opcode, "tensor": _written(op), "reason": reason} for op, reason in left_out.items()],
        "fidelity": {"bit_exact": True, "num_samples": verification.num_samples},
        "arena": {
            "original_planned_bytes": arenas[0].capacity_bytes,
            "converted_planned_bytes": arenas[1].capacity_bytes,
            "peak_op": arenas[1].peak_op_name,
            "peak_holders": [{"tensor": name, "bytes": size} for name, size in arenas[1].holders[:_MOST_HOLDERS]],
        },
    }


def extra_report(regions: Sequence[PlannedRegion], whole: Extra, options: ConvertOptions) -> dict[str, Any]:
    """The parts on multiply-adds and predicted time; `whole` are those of all ops that may be fused."""
    extra = total(region.plan.extra for region in regions)

    def part(all_ops: int, strips: int, most: float) -> dict[str, Any]:
        share = strips / all_ops if all_ops else 0.0
        return {"total": all_ops, "extra": strips, "extra_share": share, "max_extra_share": most}

    time = part(whole.ns, extra.ns, options.effective_max_extra_time)
    return {
        "macs": part(whole.macs, extra.macs, options.effective_max_extra_macs),
        "time": {"cpu": options.effective_cpu, **time},
    }


def loss_record(original: bytes, loss: dict[str, Any]) -> bytes:
    """What a model's metadata say of loss in its coded cuts: the original, and the report's parts on loss."""
    model = {"sha256": hashlib.sha256(original).hexdigest(), "size_bytes": len(original)}
    return json.dumps({"execution": "regions", "model": model, **loss}, separators=(",", ":")).encode()


def _written(op: Op) -> str:
    return next((tensor.name for tensor in op.outputs if tensor is not None), "")


def _stored(
    original: bytes, regions: Sequence[PlannedRegion], left_out: Iterable[Op], coded: CodedSizes
) -> dict[str, Any]:
    """What is written whole in an inference, inside and outside of regions, of all that the original writes."""
    graph = load_model(original).subgraphs[0]
    maps = dict.fromkeys(a.tensor for op in as_executed(graph, [], {}).ops for a in op.accesses if a.is_write)
    written, values = {tensor.name: tensor_bytes(tensor) for tensor in maps}, sum(prod(t.shape) for t in maps)
    batch = graph.inputs[0].shape[0]
    outside = sum(written.get(tensor.name, 0) for op in left_out for tensor in op.outputs if tensor is not None)
    raw = outside + batch * sum(region.plan.raw_bytes for region in regions)
    saved, saved_losslessly = (
        batch * sum(tensor.bytes - size for tensor, size in sizes.items()) for sizes in (coded.bytes, coded.lossless)
    )
    whole = sum(written.values())
    return {
        "feature_map_bytes": whole,
        "raw_bytes": raw,
        "lossless_bytes": raw - saved_losslessly,
        "bytes": raw - saved,
        "share": (raw - saved) / whole if whole else 0.0,
        "bits_per_value": 8 * (raw - saved) / values if values else 0.0,
        "coded_cuts": len(coded.bytes),
        "num_samples": coded.num_samples,
    }


def _cut(cut: RegionTensor, region: PlannedRegion, coded: CodedSizes) -> dict[str, Any]:
    found = {"tensor": cut.source.name, "bytes": cut.bytes}
    if cut not in coded.bytes:
        return found
    form, loss = region.plan.coded[cut], region.losses.get(cut)
    info = None if loss is None else SideInformation.from_bytes(loss.side_information)
    return found | {
        "coded_bytes": coded.bytes[cut],
        "lossless_bytes": coded.lossless[cut],
        "step": None if info is None else float(info.steps.mean()) / STEP_ONE,
        "segments": form.segments,
        "slot_bytes": form.coded.channels,
    }


def _region(region: PlannedRegion, coded: CodedSizes) -> dict[str, Any]:
    plan = region.plan
    numbers = iter(region.op_numbers)
    last_ops = [max(next(numbers) for _ in stage.ops) for stage in plan.stages]
    return {
        "ops": [op.opcode for op in region.group.ops],
        "inputs": [tensor.name for tensor in region.group.inputs],
        "outputs": [tensor.name for tensor in region.group.outputs],
        "scratch_bytes": plan.scratch_bytes,
        "program_bytes": len(region.program.content),
        "stored_bytes": plan.raw_bytes - sum(cut.bytes - coded.bytes[cut] for cut in plan.cuts if cut in coded.bytes),
        "raw_stored_bytes": plan.raw_bytes,
        "original_arena_bytes": region.original_arena_bytes,
        "arena_bytes": region.arena_bytes,
        "cuts": [_cut(cut, region, coded) for cut in plan.cuts],
        "stages": [
            {
                "ops": sum(op.source is not None for op in stage.ops),
                "last": plan.region.ops[stage.end - 1].output.source.name,
                "last_op": last_op,
                "scratch_bytes": stage.scratch_bytes,
                "ring_bytes": stage.ring_bytes,
                "overlaid_bytes": sum(overlay.saved_bytes for overlay in stage.overlays),
                "strips": stage.strips,
                "extra_macs": stage.extra.macs,
                "extra_ns": stage.extra.ns,
            }
            for stage, last_op in zip(plan.stages, last_ops, strict=True)
        ],
    }


def format_region_report(document: dict[str, Any]) -> str:
    """The report as a table of stages, then the network."""
    lines = []
    lasts = [stage["last"] for region in document["regions"] for stage in region["stages"]]
    names = dict(zip(lasts, distinct_names(lasts, _NAME_WIDTH), strict=True))
    for number, region in enumerate(document["regions"]):
        lines.append(
            f"region {number}: {len(region['ops'])} ops in {len(region['stages'])} stages, {region['scratch_bytes']:,} "
            f"bytes of scratch memory, {region['stored_bytes']:,.0f} bytes stored"
        )
        lines.append(
            f"  {'op':>4} {'stage ends at':{_NAME_WIDTH}} {'ops':>4} {'strips':>6} {'extra MACs':>10} "
            f"{'rings':>10} {'overlaid':>10} {'scratch':>10}"
        )
        for stage in region["stages"][:_TABLE_STAGES]:
            lines.append(
                f"  {stage['last_op']:>4} {names[stage['last']]:{_NAME_WIDTH}} {stage['ops']:>4} "
                f"{stage['strips']:>6} {stage['extra_macs']:>10,} "
                f"{stage['ring_bytes']:>10,} {stage['overlaid_bytes']:>10,} {stage['scratch_bytes']:>10,}"
            )
        if len(region["stages"]) > _TABLE_STAGES:
            lines.append(f"  ... and {len(region['stages']) - _TABLE_STAGES} more; the JSON report has all of them")
    return "\n".join([*lines, "", *_summary(document)])


def _summary(document: dict[str, Any]) -> list[str]:
    arena, model, macs = (document[part] for part in ("arena", "model", "macs"))
    time = document["time"]
    fused = sum(len(region["ops"]) for region in document["regions"])
    reasons = Counter((entry["op"], entry["reason"]) for entry in document["left_out"])
    outside = [f"  outside {count:3}   {op}: {reason}" for (op, reason), count in reasons.items()]
    before, after = arena["original_planned_bytes"], arena["converted_planned_bytes"]
    share = f", {100 * after / before:.1f} %" if before else ""
    holders = ", ".join(f"{shorten(h['tensor'], 40)} {h['bytes']:,}" for h in arena["peak_holders"][:3])
    regions = counted(len(document["regions"]), "region")
    return [
        f"fused           {fused} of {fused + len(document['left_out'])} ops in {regions}",
        *outside,
        *_stored_lines(document["stored"]),
        f"planned arena   {before:,} -> {after:,} bytes{share}{of_first_subgraph(document)}",
        *micro_lines(document),
        _extra("MACs", macs, f"{macs['total']:,}"),
        *([] if "micro" in document else [_extra("time", time, _predicted(time))]),
        f"peak            at {arena['peak_op']}: {holders}",
        f"file            {model['size_bytes']:,} -> {model['converted_size_bytes']:,} bytes",
        *_fidelity_lines(document),
        *([] if "micro" in document else [_DELEGATES]),
        f"data            {_DATA['loss' if 'loss' in document else document['data']]}",
        *([] if "micro" in document else [f"other uses      {_OPS}"]),
    ]


def _fidelity_lines(document: dict[str, Any]) -> list[str]:
    where = f"under the kernels {document['kernels']} of {document['runtime']}"
    loss = document.get("loss")
    if loss is None:
        return fidelity_lines(document, lambda found: f"bit-exact on {found['num_samples']} inputs {where}")
    cuts = counted(loss["cuts"], "tensor")
    same = f"the original's with this loss in {cuts}, byte for byte on {loss['num_inputs']} inputs {where}"
    return [*fidelity_lines(document, fidelity_text), f"outputs         {same}"]


def _stored_lines(stored: dict[str, Any]) -> list[str]:
    line = f"stored whole    {stored['bytes']:,.0f} of {stored['feature_map_bytes']:,} feature-map bytes"
    found = [f"{line}, {100 * stored['share']:.2f} %, {stored['bits_per_value']:.3f} bits per original value"]
    if stored["coded_cuts"]:
        lossy = f", losslessly {stored['lossless_bytes']:,.0f}" if stored["bytes"] != stored["lossless_bytes"] else ""
        found.append(
            f"  coded         {counted(stored['coded_cuts'], 'cut')}, without which it would be "
            f"{stored['raw_bytes']:,}{lossy}; measured on {stored['num_samples']} inputs"
        )
    return found


def _predicted(time: dict[str, Any]) -> str:
    return f"{time['total'] / 1000:,.0f} us, predicted for {time['cpu']}"


def _extra(what: str, part: dict[str, Any], whole: str) -> str:
    share, allowed = (f"{100 * part[name]:.3g} %" for name in ("extra_share", "max_extra_share"))
    return f"extra {what}      {share} of {whole}; allowed are {allowed}"
