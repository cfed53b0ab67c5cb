"""Signatures with a subgraph of their own, beside the first: each evaluated as if it were its model's only one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fmtc_tflite.errors import CalibrationError, UnsupportedModelError, UsageError
from fmtc_tflite.evaluation.document import evaluation_report
from fmtc_tflite.evaluation.evaluation import Evaluation
from fmtc_tflite.graph.edits.main_subgraph import with_first
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.sites import entry_name, entry_subgraphs
from fmtc_tflite.types import EvaluateOptions


def other_signatures(contents: Sequence[bytes], options: EvaluateOptions) -> dict[str, Any]:
    """The part of an evaluation's result on signatures; nothing for a model with one entry point.

    Labels are the first signature's task, so others have outputs and sizes alone. Those for whose inputs the data have
    nothing are not run, and say so.

    Args:
      contents: the model, and the reference if there is one.
    """
    models = [load_model(content) for content in contents]
    others = [subgraph.index for subgraph in entry_subgraphs(models[0]) if subgraph.index]
    options = replace(options, input_shapes=())  # of the first one's inputs
    if not others:
        return {}
    parts = [_part(models, contents, index, options) for index in others]
    return {"first_signature": entry_name(models[0], 0), "other_signatures": parts}


def _part(models: Sequence[Model], contents: Sequence[bytes], index: int, options: EvaluateOptions) -> dict[str, Any]:
    name = entry_name(models[0], index)
    part = {"signature": name, "coded": None, "comparison": None, "num_samples": 0, "not_run": None}
    places = [_index_of(model, name) for model in models]
    known = [with_first(c, place) for c, place in zip(contents, places, strict=True) if place is not None]
    if len(known) < len(contents):
        return part | {"not_run": "the reference has no such signature"}
    try:
        evaluation = Evaluation(known[0], known[1] if len(known) > 1 else None, options, has_task=False)
        evaluation.shard_work().try_models()
    except (CalibrationError, UnsupportedModelError, UsageError) as error:
        return part | {"not_run": str(error)}
    with evaluation.partial_results(None) as partial:
        timing = evaluation.run(partial)
    report = evaluation_report(evaluation, timing, ["" for _ in contents])
    measured = {"coded": report["model"]["coded"], "comparison": report["comparison"]}
    return part | measured | {"num_samples": report["data"]["num_samples"]}


def _index_of(model: Model, name: str) -> int | None:
    entries = (subgraph.index for subgraph in entry_subgraphs(model))
    return next((index for index in entries if entry_name(model, index) == name), None)
