"""The result of an evaluation as text."""

from __future__ import annotations

from typing import Any

from fmtc_tflite.graph.region_ops import KERNEL_SETS
from fmtc_tflite.text import counted, printable_document

_NO_LABELS = (
    "not measured: the data has no labels (a subfolder for each class, a .csv 'file,label' or an .npz with y has them)"
)


def format_evaluation(document: dict[str, Any]) -> str:
    """A compact table: model and reference side by side, then what changed."""
    document = printable_document(document)
    models = [document["model"]] + ([document["reference_model"]] if document["reference_model"] else [])
    latencies = [document["timing"]["latency"][key] for key in ("model", "reference_model")]
    rows = [("", ["model", "reference"][: len(models)])]
    rows += _accuracy_rows([model["accuracy"] for model in models])
    rows += _coded_rows([model["coded"] for model in models])
    rows.append(("latency", [_latency(latency) for latency in latencies if latency]))
    first = document.get("first_signature")
    lines = [] if first is None else [f"signature       {first}"]
    lines += [f"{name:16}" + "".join(f"{cell:>26}" for cell in cells) for name, cells in rows]
    if document["comparison"] is not None:
        lines += ["", *_comparison(document["comparison"])]
    if all(model["accuracy"] is None for model in models):
        lines.append(f"accuracy        {_NO_LABELS}")
    data, timing = document["data"], document["timing"]
    if document["runtime"]["kernels"] in KERNEL_SETS:
        lines.append(
            f"kernels         {document['runtime']['kernels']}, whose results the model's regions or folded maps give"
        )
    speed = timing["samples_per_second"]
    workers = "Beam" if timing["num_workers"] is None else counted(timing["num_workers"], "worker")
    text = "" if speed is None else f", {speed:.1f} samples/s with {workers}"
    lines.append(f"samples         {data['num_samples']} of {data['path']}{text}")
    for part in document.get("other_signatures", []):
        lines += ["", *_signature(part)]
    return "\n".join(lines)


def _signature(part: dict[str, Any]) -> list[str]:
    """Another signature than the first."""
    if part["not_run"] is not None:
        return [f"signature       {part['signature']}: not evaluated: {part['not_run']}"]
    lines = [f"signature       {part['signature']}, {part['num_samples']} samples"]
    if part["coded"] is not None:
        bits = part["coded"]["bits_per_value"]
        lines.append(f"bits per value  {bits['mean']:.3f}, {_tail(bits)}")
    return lines + ([] if part["comparison"] is None else _comparison(part["comparison"]))


def _accuracy_rows(accuracies: list[dict[str, Any] | None]) -> list[tuple[str, list[str]]]:
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    if not known:
        return []
    if "mean_iou" in known[0]:
        return [("mean IoU", [_number(accuracy["mean_iou"]) for accuracy in known])]
    return [
        (f"top-{k}", [_with_error(accuracy[f"top{k}"], accuracy[f"top{k}_std_error"]) for accuracy in known])
        for k in (1, 5)
    ]


def _coded_rows(coded: list[dict[str, Any] | None]) -> list[tuple[str, list[str]]]:
    if not any(coded):
        return []
    bits = ["not coded" if c is None else f"{c['bits_per_value']['mean']:.3f}" for c in coded]
    tails = ["" if c is None else _tail(c["bits_per_value"]) for c in coded]
    return [("bits per value", bits), ("", tails)]


def _tail(bits: dict[str, Any]) -> str:
    p99 = "" if bits["p99"] is None else f"p99 {bits['p99']:.3f}, "
    return f"{p99}max {bits['max']:.3f}"


def _latency(latency: dict[str, Any]) -> str:
    return f"{latency['median_ms']:.2f} ms, p95 {latency['p95_ms']:.2f} ms"


def _comparison(comparison: dict[str, Any]) -> list[str]:
    lines = _accuracy_difference(comparison["accuracy"])
    if comparison["bit_exact"]:
        return [*lines, "outputs         bit-exact on all samples"]
    fidelity = comparison["fidelity"]
    names = {"kl": ("KL", "kl_mean_nats", " nats"), "disagreement": ("disagreement", "disagreement_mean", "")}
    name, key, unit = names.get(fidelity["measure"], ("relative MSE", "relative_mse_mean", ""))
    text = f"{name} {_with_error(fidelity[key], fidelity['std_error'])}{unit}"
    if fidelity["top1_agreement"] is not None:
        text += f", same best class on {100 * fidelity['top1_agreement']:.1f} %"
    if comparison["output_sqnr_db"] is not None:
        text += f", SQNR {comparison['output_sqnr_db']:.1f} dB"
    return [*lines, f"outputs         {text}"]


def _accuracy_difference(accuracy: dict[str, Any] | None) -> list[str]:
    if accuracy is None:
        return []
    if "mean_iou_difference" in accuracy:
        return [f"difference      {_number(accuracy['mean_iou_difference'])} mean IoU"]
    top1 = _with_error(accuracy["top1_difference"], accuracy["top1_difference_std_error"])
    discordant = f"right only here {accuracy['only_model_correct']}, only there {accuracy['only_reference_correct']}"
    return [
        f"difference      top-1 {top1}, paired",
        f"McNemar         p = {accuracy['mcnemar_p_value']:.3g} ({discordant})",
    ]


def _with_error(value: float | None, error: float | None) -> str:
    return _number(value) + ("" if error is None else f" +- {error:.4f}")


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
