"""An evaluation as a document, in the form of `fmtc_tflite/evaluation_schema.json`, and as a table of its samples."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from math import prod
from typing import Any

from fmtc_tflite.evaluation.evaluation import Evaluation, Timing
from fmtc_tflite.evaluation.measurement import ComparisonMeter, ModelMeter
from fmtc_tflite.evaluation.shards import kernels_of
from fmtc_tflite.fidelity.accuracy import LabelRanks, MeanIou, paired_difference
from fmtc_tflite.fidelity.metrics import ByteStatistics, MeanResult
from fmtc_tflite.graph.coded_maps import candidate_maps, coded_maps, copied_maps
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.text import printable

_KERNELS = "the runtime's default (XNNPACK where it has it)"


def evaluation_report(evaluation: Evaluation, timing: Timing, paths: Sequence[str]) -> dict[str, Any]:
    """The finished evaluation as JSON-serialisable data.

    Args:
      evaluation: after `run`.
      timing: what `run` gave.
      paths: the models' files, as the user named them.
    """
    models = [
        _model(path, file, meter)
        for path, file, meter in zip(paths, evaluation.files, evaluation.measurement.models, strict=True)
    ]
    comparison = evaluation.measurement.comparison
    return {
        "model": models[0],
        "reference_model": models[1] if len(models) > 1 else None,
        "comparison": None if comparison is None else _comparison(comparison, *evaluation.measurement.models),
        "data": _data(evaluation),
        "runtime": {
            "name": evaluation.identity()["--runtime"],
            "kernels": kernels_of(evaluation.contents) or _KERNELS,
            "num_threads": evaluation.options.num_threads,
        },
        "timing": _timing(timing, None if evaluation.options.beam is not None else evaluation.options.num_workers),
    }


def predictions_csv(evaluation: Evaluation) -> bytes:
    """One line per sample: name, label, and what each model made of it; UTF-8."""
    columns: dict[str, Sequence[Any]] = {
        "sample": [printable(evaluation.dataset.name(i)) for i in range(len(evaluation.dataset))]
    }
    if evaluation.dataset.labels is not None:
        columns["label"] = evaluation.dataset.labels.tolist()
    for prefix, meter in zip(("", "reference_"), evaluation.measurement.models, strict=False):
        if meter.predictions is not None:
            columns[f"{prefix}prediction"] = meter.predictions.classes
        if isinstance(meter.accuracy, LabelRanks):
            columns[f"{prefix}label_rank"] = meter.accuracy.ranks
        if meter.coded is not None:
            columns[f"{prefix}coded_bytes"] = meter.coded.network.sizes
    if evaluation.measurement.comparison is not None:
        worst = evaluation.measurement.comparison.fidelity.worst
        if worst.sample_values is not None:
            columns[_measure_key(worst.source.measure).replace("_mean", "")] = worst.sample_values
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def _model(path: str, file: ModelFile, meter: ModelMeter) -> dict[str, Any]:
    return {
        "path": path,
        "sha256": file.sha256,
        "size_bytes": len(file.content),
        "accuracy": _accuracy(meter),
        "coded": _coded(file.model, meter),
    }


def _accuracy(meter: ModelMeter) -> dict[str, Any] | None:
    if isinstance(meter.accuracy, MeanIou):
        return {"mean_iou": _finite(meter.accuracy.result())}
    if meter.accuracy is None:
        return None
    best, five = meter.accuracy.result(1), meter.accuracy.result(5)
    return {
        "top1": best.mean,
        "top1_std_error": _finite(best.std_error),
        "num_correct": int(meter.accuracy.hits(1).sum()),
        "top5": five.mean,
        "top5_std_error": _finite(five.std_error),
        "num_samples": best.num_samples,
    }


def _coded(model: Model, meter: ModelMeter) -> dict[str, Any] | None:
    """Bits per value as the conversion report has them: payload over the values of all candidates."""
    if meter.coded is None:
        return None
    coded = coded_maps(model.subgraphs[0])
    side = sum(m.side.buffer.size for m in coded)
    maps = {name: prod(tensor.shape) for name, tensor in candidate_maps(model).items()}
    own = {m.name for m in coded} | copied_maps(model)
    values, coded_values = sum(maps.values()), sum(size for name, size in maps.items() if name in own)
    network = meter.coded.network.result()
    raw = values - coded_values
    per_value = {key: _bits_per_value(network, key, raw, values) for key in ("mean", "p50", "p99", "max")}
    sites = {name: site.result() for name, site in meter.coded.sites.items()}
    return {
        "feature_map_values": values,
        "coded_values": coded_values,
        "bits_per_value": per_value,
        "bits_per_value_with_side_information": 8 * (network.mean + raw + side) / values,
        "side_information_bytes": side,
        "coded_bytes": network.to_dict(),
        "sites": [
            {
                "tensor": name,
                "values": maps[name],
                "bits_per_value": 8 * site.mean / maps[name],
                "coded_bytes": site.to_dict(),
            }
            for name, site in sites.items()
        ],
    }


def _bits_per_value(network: ByteStatistics, key: str, raw_bytes: int, values: int) -> float | None:
    size = getattr(network, key)
    return None if size is None else 8 * (size + raw_bytes) / values


def _comparison(comparison: ComparisonMeter, model: ModelMeter, reference: ModelMeter) -> dict[str, Any]:
    sqnr = comparison.sqnr_db
    return {
        "accuracy": _accuracy_difference(model, reference),
        "fidelity": _fidelity(comparison),
        "output_sqnr_db": None if sqnr is None else _finite(sqnr),
        "bit_exact": comparison.bit_exact,
    }


def _accuracy_difference(model: ModelMeter, reference: ModelMeter) -> dict[str, Any] | None:
    if isinstance(model.accuracy, MeanIou) and isinstance(reference.accuracy, MeanIou):
        return {"mean_iou_difference": _finite(model.accuracy.result() - reference.accuracy.result())}
    if not isinstance(model.accuracy, LabelRanks) or not isinstance(reference.accuracy, LabelRanks):
        return None
    best, five = (paired_difference(model.accuracy, reference.accuracy, k) for k in (1, 5))
    return {
        "top1_difference": best.difference.mean,
        "top1_difference_std_error": _finite(best.difference.std_error),
        "only_model_correct": best.only_first,
        "only_reference_correct": best.only_second,
        "mcnemar_p_value": best.p_value,
        "top5_difference": five.difference.mean,
        "top5_difference_std_error": _finite(five.difference.std_error),
    }


def _fidelity(comparison: ComparisonMeter) -> dict[str, Any]:
    worst = comparison.fidelity.worst
    result: MeanResult = worst.result
    return {
        "measure": worst.source.measure,
        "source_tensor": worst.source.tensor.name,
        _measure_key(worst.source.measure): _finite(result.mean),
        "std_error": _finite(result.std_error),
        "top1_agreement": worst.top1_agreement,
        "num_samples": result.num_samples,
    }


def _measure_key(measure: str) -> str:
    return "kl_mean_nats" if measure == "kl" else f"{measure}_mean"


def _data(evaluation: Evaluation) -> dict[str, Any]:
    options, dataset = evaluation.options, evaluation.dataset
    return {
        "path": str(options.data),
        "source": dataset.source,
        "task": None if evaluation.task is None else evaluation.task.kind,
        "num_samples": len(dataset),
        "seed": options.seed,
        "num_unreadable": len(dataset.skipped),
        "label_offset": 0 if evaluation.task is None else evaluation.task.label_offset,
        "preprocessing": options.preprocessing,
        "resize": None if options.resize is None else list(options.resize),
        "central_crop": options.central_crop,
    }


def _timing(timing: Timing, num_workers: int | None) -> dict[str, Any]:
    return {
        "num_workers": num_workers,
        "seconds": timing.seconds,
        "samples_per_second": timing.num_samples / timing.seconds if timing.num_samples else None,
        "latency": {
            "what": "invoke() alone, on the first samples, in one process after the evaluation",
            "num_samples": timing.num_latency_samples,
            "model": timing.latency[0],
            "reference_model": timing.latency[1] if len(timing.latency) > 1 else None,
        },
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
