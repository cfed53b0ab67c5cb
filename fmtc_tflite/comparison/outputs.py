"""A comparison as text, CSV and a picture."""

from __future__ import annotations

import csv
import io
from pathlib import PurePath
from typing import Any

from fmtc_tflite.rendering import new_figure, png_bytes
from fmtc_tflite.text import printable_document

_COLUMNS = (
    "point",
    "scheme",
    "bits_per_value",
    "bits_per_value_with_side_information",
    "huffman_bits_per_value",
    "shannon_bits_per_value",
    "loss",
    "loss_std_error",
    "accuracy",
    "accuracy_difference",
    "accuracy_difference_std_error",
    "failed",
)
_MEASURES = {"kl": "KL, nats", "disagreement": "disagreement", "relative_mse": "relative MSE"}
_ACCURACIES = {"top1": "top-1", "mean_iou": "mean IoU"}
# Label, colour, marker. Points are labelled with the bound that made them: --max_kl, or the paper's bits.
_CURVES = {
    "fmtc": ("this codec, at bounds of --max_kl", "#0e8f7e", "o"),
    "paper": ("paper's scheme, at bits of --paper_bits", "#c2528b", "s"),
}
_LEVELS = {"zstd_19": ("zstd -19", "#8a94a3", ":"), "zero_value": ("zero-value compression", "#d98b2b", "-.")}


def comparison_csv(document: dict[str, Any]) -> bytes:
    """A line for each point and each peer; UTF-8."""
    document = printable_document(document)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(document["points"])
    for peer in document["peers"]:
        lossless = {"loss": 0, "accuracy": document["original_accuracy"], "failed": peer["missing"]}
        writer.writerow(
            {"point": peer["scheme"], "scheme": "peer", "bits_per_value": peer["bits_per_value"], **lossless}
        )
    return text.getvalue().encode()


def format_comparison(document: dict[str, Any]) -> str:
    """The comparison as tables."""
    document = printable_document(document)
    loss = _MEASURES.get(document["measure"], "loss")
    accuracy = _ACCURACIES.get(document["accuracy_kind"], "accuracy")
    lines = [f"{'point':22} {'bits/value':>10} {'with side':>10} {loss:>22} {accuracy:>10} {'difference':>18}"]
    lines += [_point_line(point) for point in document["points"] if point["scheme"] != "ablation"]
    for peer in document["peers"]:
        bits = "-" if peer["bits_per_value"] is None else f"{peer['bits_per_value']:.3f}"
        lines.append(f"{peer['scheme']:22} {bits:>10}" + (f"  {peer['missing']}" if peer["missing"] else ""))
    lines += ["", f"at equal {loss} (the paper's curve interpolated, never extrapolated)"]
    for row in document["at_equal_loss"]:
        found = row["reason"]
        if found is None:
            found = f"paper {row['paper_bits_per_value']:.3f}, {100 * row['saved']:.1f} % saved"
        lines.append(f"  {row['point']:20} {row['bits_per_value']:>10.3f}  at {row['loss']:.4g}: {found}")
    if document["ablation"]:
        lines += ["", f"{'without':22} {'bits/value':>10} {'more bits':>10} {loss:>22}"]
        lines += [_ablation_line(row) for row in document["ablation"]]
    return "\n".join(lines)


def _point_line(point: dict[str, Any]) -> str:
    if point["failed"] is not None:
        return f"{point['point']:22} {point['failed']}"
    loss = _with_error(point["loss"], point["loss_std_error"], "{:.4g}")
    accuracy = "-" if point["accuracy"] is None else f"{100 * point['accuracy']:.2f} %"
    difference = "-"
    if point["accuracy_difference"] is not None:
        error = point["accuracy_difference_std_error"]
        difference = _with_error(100 * point["accuracy_difference"], None if error is None else 100 * error, "{:+.2f}")
    bits, with_side = point["bits_per_value"], point["bits_per_value_with_side_information"]
    return f"{point['point']:22} {bits:>10.3f} {with_side:>10.3f} {loss:>22} {accuracy:>10} {difference:>18}"


def _ablation_line(row: dict[str, Any]) -> str:
    name = row["disabled"] + (", lossless" if row["max_kl"] is None else "")
    if row["failed"] is not None:
        return f"  {name:20} {row['failed']}"
    more = "-" if row["more_bits"] is None else f"{100 * row['more_bits']:+.1f} %"
    return f"  {name:20} {row['bits_per_value']:>10.3f} {more:>10} {row['loss']:>22.4g}"


def _with_error(value: float, error: float | None, style: str) -> str:
    return style.format(value) + ("" if error is None else f" +- {error:.2g}")


def draw_comparison(document: dict[str, Any]) -> bytes:
    """PNG: bits per value against the loss, and against accuracy where it is known."""
    has_accuracy = document["accuracy_kind"] is not None
    figure = new_figure(12 if has_accuracy else 7, 5.6)
    panels = [("loss", _MEASURES.get(document["measure"], "loss"), 1.0)]
    if has_accuracy:
        panels.append(("accuracy", f"{_ACCURACIES[document['accuracy_kind']]}, %", 100.0))
    for i, (key, label, factor) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), i + 1)
        _draw_panel(axes, document, key, factor)
        axes.set_xlabel("bits per value")
        axes.set_ylabel(label)
        axes.grid(color="#dde2e9", linewidth=0.6)
        if key == "loss" and any(p["failed"] is None and p["loss"] > 0 for p in document["points"]):
            axes.set_yscale("log")
    name = PurePath(document["model"]["path"] or "model").name
    samples = "" if document["num_samples"] is None else f", {document['num_samples']:,} samples"
    figure.suptitle(f"Rate and loss of {name}{samples}", parse_math=False)
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3, fontsize="small")
    return png_bytes(figure)


def _draw_panel(axes: Any, document: dict[str, Any], key: str, factor: float) -> None:
    points = [p for p in document["points"] if p["failed"] is None and p[key] is not None]
    for scheme, (label, colour, marker) in _CURVES.items():
        chosen = [p for p in points if p["scheme"] == scheme and p["loss"] > 0]
        own = sorted(chosen, key=lambda point: float(point["bits_per_value"]))
        bits, values = [p["bits_per_value"] for p in own], [factor * p[key] for p in own]
        error_key = "loss_std_error" if key == "loss" else "accuracy_difference_std_error"
        errors = [factor * (p[error_key] or 0.0) for p in own]
        axes.errorbar(bits, values, errors, label=label, color=colour, marker=marker, capsize=2)
        with_side = [p["bits_per_value_with_side_information"] for p in own]
        side_label = f"{label}, with side information"
        axes.plot(with_side, values, label=side_label, color=colour, linestyle="--", marker=marker, fillstyle="none")
        for point, value in zip(own, values, strict=True):
            text = point["point"].rpartition(" ")[2]
            axes.annotate(
                text, (point["bits_per_value"], value), (5, 5), textcoords="offset points", fontsize=8, color=colour
            )
    for point in (p for p in points if p["scheme"] == "lossless"):
        axes.axvline(point["bits_per_value"], label="this codec, lossless", color="#0e8f7e", linestyle=(0, (1, 2)))
    for peer in document["peers"]:
        if peer["bits_per_value"] is not None and peer["scheme"] in _LEVELS:
            label, colour, line = _LEVELS[peer["scheme"]]
            axes.axvline(peer["bits_per_value"], label=label, color=colour, linestyle=line)
    if key == "accuracy" and document["original_accuracy"] is not None:
        accuracy = factor * document["original_accuracy"]
        axes.axhline(accuracy, label=f"the original: {accuracy:.2f} %", color="#1b2330", linewidth=1)
