"""One comparison: every point converted and evaluated, the peers measured, and what follows from it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fmtc_tflite.comparison.options import ComparisonOptions, Point
from fmtc_tflite.comparison.peers import measure_peers
from fmtc_tflite.comparison.summary import ablation, against_paper
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.data.opening import open_calibration_data
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.evaluation.document import evaluation_report
from fmtc_tflite.evaluation.evaluation import Evaluation
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.progress import stage, stages
from fmtc_tflite.sharding.partial_results import PartialResults
from fmtc_tflite.sharding.workers import run_shards

COMPARISON_VERSION = 1
_FIGURES = (
    "bits_per_value",
    "bits_per_value_with_side_information",
    "side_information_bytes",
    "loss",
    "loss_std_error",
    "accuracy",
    "accuracy_difference",
    "accuracy_difference_std_error",
    "huffman_bits_per_value",
    "shannon_bits_per_value",
)


@dataclass(frozen=True)
class _Work:
    """What a process needs to work on points; can be pickled. The task after the last point is that of the peers."""

    content: bytes
    options: ComparisonOptions

    def __call__(self) -> Callable[[int], dict[str, Any]]:
        return self._task

    @property
    def points(self) -> list[Point]:
        return self.options.points()

    def describe(self, task: int) -> str:
        return self.points[task].name if task < len(self.points) else "peers"

    def _task(self, task: int) -> dict[str, Any]:
        points = self.points
        return self._point(points[task]) if task < len(points) else self._peers()

    def _evaluation(self, model: bytes, reference: bytes | None) -> Evaluation:
        return Evaluation(model, reference, replace(self.options.evaluation, num_workers=1))

    def _point(self, point: Point) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "point": point.name,
            "scheme": point.scheme,
            "setting": dict(point.setting),
            "failed": None,
            **dict.fromkeys(_FIGURES),
            "transforms": {},
            "warnings": [],
        }
        try:
            result = convert_content(self.content, point.apply(self.options.convert_options))
        except NothingToDoError as e:
            return entry | {"failed": str(e)}
        evaluation = self._evaluation(result.content, self.content)
        with evaluation.partial_results(None) as partial:
            document = evaluation_report(evaluation, evaluation.run(partial), [point.name, "original"])
        return entry | _measured(document, result.report) | {"warnings": list(result.warnings)}

    def _peers(self) -> dict[str, Any]:
        evaluation = self._evaluation(self.content, None)
        samples = evaluation.dataset.evenly(self.options.peer_samples)
        return {"peers": measure_peers(evaluation.files[0], samples, self.options.evaluation.num_threads)}


def _measured(document: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    """The figures of a point from its evaluation and its conversion's report."""
    coded, comparison = document["model"]["coded"], document["comparison"]
    fidelity = comparison["fidelity"]
    difference = comparison["accuracy"] or {}
    accuracy = document["model"]["accuracy"] or {}
    paper = report["totals"].get("paper", {})
    kind = "top1" if "top1" in accuracy else "mean_iou"
    return {
        "bits_per_value": coded["bits_per_value"]["mean"],
        "bits_per_value_with_side_information": coded["bits_per_value_with_side_information"],
        "side_information_bytes": coded["side_information_bytes"],
        "measure": fidelity["measure"],
        "loss": next(v for k, v in fidelity.items() if k.startswith(f"{fidelity['measure']}_mean")),
        "loss_std_error": fidelity["std_error"],
        "accuracy": accuracy.get(kind),
        "accuracy_difference": difference.get(f"{kind}_difference"),
        "accuracy_difference_std_error": difference.get(f"{kind}_difference_std_error"),
        "huffman_bits_per_value": paper.get("huffman_bits_per_value"),
        "shannon_bits_per_value": paper.get("shannon_bits_per_value"),
        "transforms": dict(Counter(s["transform"] or s["decision"] for s in report["sites"])),
        "original_accuracy": (document["reference_model"]["accuracy"] or {}).get(kind),
        "accuracy_kind": kind if accuracy else None,
        "num_samples": fidelity["num_samples"],
    }


def run_comparison(content: bytes, path: str, options: ComparisonOptions, keep: Path | None) -> dict[str, Any]:
    """Runs everything that is not yet there.

    Args:
      content: the original model.
      path: its file, as the user named it.
      options: what to run.
      keep: folder for finished points, from which the same call goes on; None keeps none. The caller removes it with
        `remove_kept` once the result is safe.

    Returns:
      The comparison as JSON-serialisable data; README and `tools/rate_accuracy.py --help` say what it holds.

    Raises:
      FmtcError: see fmtc_tflite.errors.
    """
    options.check()
    work = _Work(content, options)
    identity = _identity(work)
    found: dict[int, dict[str, Any]] = {}
    tasks = list(range(len(work.points) + 1))
    with PartialResults(keep, identity) if keep is not None else nullcontext() as kept:
        if kept is not None:
            found = {task: _from_state(kept.read(task)) for task in sorted(kept.finished)}
        waiting = [task for task in tasks if task not in found]
        names = [work.describe(task) for task in waiting]
        with stages(*((name, 1) for name in names)):
            stage(names[0] if names else "")
            results = run_shards(work, waiting, options.evaluation.num_workers, work.describe)
            for (task, result), following in zip(results, [*names[1:], ""], strict=False):
                found[task] = result
                if kept is not None:
                    kept.write(task, _to_state(result))
                stage(following)
    return _document(path, identity, options, [found[task] for task in tasks])


def remove_kept(keep: Path) -> None:
    """Removes the finished points that `run_comparison` kept."""
    for file in keep.iterdir():
        file.unlink()
    keep.rmdir()


def _identity(work: _Work) -> dict[str, Any]:
    """All that results depend on; opens the data, so that what is wrong with it shows before hours of work."""
    evaluation = work._evaluation(work.content, None)
    build, held_back = open_calibration_data(load_model(work.content), work.options.calibration)
    options = {k: v for k, v in asdict(work.options).items() if k not in ("calibration", "evaluation")}
    return {
        "model": hashlib.sha256(work.content).hexdigest(),
        "--calibration_data": [build.fingerprint(), held_back.fingerprint()],
        **{k: v for k, v in evaluation.identity().items() if not k.endswith("model_file")},
        **options,
    }


def _to_state(result: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {"json": np.frombuffer(json.dumps(result).encode(), np.uint8)}


def _from_state(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return json.loads(state["json"].tobytes())


def _document(
    path: str, identity: dict[str, Any], options: ComparisonOptions, results: list[dict[str, Any]]
) -> dict[str, Any]:
    points, peers = results[:-1], results[-1]["peers"]
    measured = next((p for p in points if p["failed"] is None), {})
    common = {key: measured.get(key) for key in ("measure", "num_samples", "accuracy_kind", "original_accuracy")}
    for point in points:
        for key in common:
            point.pop(key, None)
    return {
        "comparison_version": COMPARISON_VERSION,
        "model": {"path": path, "sha256": identity["model"]},
        "data": str(options.evaluation.data),
        "calibration_data": str(options.calibration.data),
        **common,
        "points": points,
        "peers": peers,
        "at_equal_loss": against_paper(points),
        "ablation": ablation(points),
    }
