"""Points of a comparison, and how an interrupted one goes on."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fmtc_tflite.comparison import sweep
from fmtc_tflite.comparison.options import ComparisonOptions
from fmtc_tflite.comparison.outputs import comparison_csv, format_comparison
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.errors import NothingToDoError, UsageError
from fmtc_tflite.types import DISABLED_PARTS, CalibrationOptions, ConvertOptions, EvaluateOptions

pytestmark = pytest.mark.extras

DEMO = importlib.resources.files("fmtc_tflite") / "demo"
CONTENT = (DEMO / "demo_int8.tflite").read_bytes()
DATA = Path(str(DEMO / "demo_samples.npz"))
Convert = Callable[[bytes, ConvertOptions], ConversionResult]


def options(**changed: object) -> ComparisonOptions:
    calibration = CalibrationOptions(data=DATA, preprocessing="raw", num_samples=48)
    evaluation = EvaluateOptions(data=DATA, preprocessing="raw", num_samples=12)
    found = ComparisonOptions(calibration, evaluation, max_kl=(), paper_bits=(6.0, 8.0), peer_samples=1)
    return replace(found, **changed)  # type: ignore[arg-type]


def test_every_point_once() -> None:
    names = [p.name for p in options(max_kl=(0.05, 0.05), ablation=True).points()]
    assert names == [
        "lossless",
        "max_kl 0.05",
        "max_kl 0.02",
        "paper 6 bits",
        "paper 8 bits",
        *(f"no {name}" for name in DISABLED_PARTS),
        *(f"lossless, no {name}" for name in ("prediction", "contexts", "folding", "copies")),
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"max_kl": (0.0,)}, "--max_kl 0.0 is not a positive number"),
        ({"paper_bits": (12.0,)}, "--paper_bits 12"),
        ({"ablation": True, "ablation_max_kl": -1.0}, "--max_kl -1.0 is not a positive number"),
        ({"peer_samples": 0}, "--peer_samples"),
    ],
)
def test_bad_options(changed: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        options(**changed).check()


def test_an_interrupted_comparison_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert: Convert = sweep.convert_content
    converted = []

    def interrupted(content: bytes, chosen: ConvertOptions) -> ConversionResult:
        if chosen.paper_bits == 8:
            raise KeyboardInterrupt
        converted.append(chosen)
        return convert(content, chosen)

    keep = tmp_path / "out.partial"
    monkeypatch.setattr(sweep, "convert_content", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep.run_comparison(CONTENT, "demo.tflite", options(), keep)
    assert len(converted) == 2
    with pytest.raises(UsageError, match=r"holds results of an interrupted run that differs: paper_bits"):
        sweep.run_comparison(CONTENT, "demo.tflite", options(paper_bits=(6.0,)), keep)

    monkeypatch.setattr(sweep, "convert_content", lambda c, o: converted.append(o) or convert(c, o))
    document = sweep.run_comparison(CONTENT, "demo.tflite", options(), keep)
    assert [o.paper_bits for o in converted] == [None, 6.0, 8.0]
    sweep.remove_kept(keep)
    assert not keep.exists()
    _check(document)


def _check(document: dict) -> None:
    assert json.loads(json.dumps(document)) == document
    lossless, coarse, fine = document["points"]
    assert lossless["loss"] == 0
    assert lossless["accuracy"] == document["original_accuracy"]
    assert coarse["bits_per_value"] < fine["bits_per_value"]
    assert coarse["loss"] > fine["loss"] > 0
    assert fine["huffman_bits_per_value"] >= fine["shannon_bits_per_value"] > 0
    assert document["num_samples"] == 12
    lines = comparison_csv(document).decode().splitlines()
    assert len(lines) == 1 + 3 + len(document["peers"])
    assert lines[0].startswith("point,scheme,bits_per_value")
    assert "paper 6 bits" in format_comparison(document)


def test_an_unreachable_point_is_told_and_the_others_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    convert: Convert = sweep.convert_content

    def failing(content: bytes, chosen: ConvertOptions) -> ConversionResult:
        if chosen.paper_bits == 6:
            raise NothingToDoError("cannot be met")
        return convert(content, chosen)

    monkeypatch.setattr(sweep, "convert_content", failing)
    document = sweep.run_comparison(CONTENT, "demo.tflite", options(paper_bits=(6.0,)), None)
    assert document["points"][0]["failed"] is None
    assert document["points"][1]["failed"] == "cannot be met"
    assert "cannot be met" in format_comparison(document)
    assert "cannot be met" in comparison_csv(document).decode()
