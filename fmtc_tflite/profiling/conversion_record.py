"""What the converter left in a model's metadata, as far as a profile needs it: the one place that reads it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from typing import Any

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.fidelity.metrics import ByteStatistics
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.graph.names import METADATA_NAME

_MAX_BYTES = 1 << 26  # of the JSON text; a feature map takes about 500


@dataclass(frozen=True)
class ConversionRecord:
    """Part of a conversion's report.

    Attributes:
      sha256: of the original model; None if it is not recorded.
      coded_bytes: of each feature map of the subgraph whose coded size was measured, by its tensor's name.
      network_coded_bytes: of all of them together; None if it is not recorded.
      fidelity: of the output; None if it is not recorded.
    """

    sha256: str | None
    coded_bytes: dict[str, ByteStatistics]
    network_coded_bytes: ByteStatistics | None
    fidelity: Fidelity | None


@dataclass(frozen=True)
class Fidelity:
    """How far the converted model's outputs were from the original's when it was converted.

    Attributes:
      measure: kl (in nats), disagreement or relative_mse; None where outputs were compared for equality alone.
      mean, std_error: of the measure.
      num_samples: held-back samples, or inputs for equality.
    """

    bit_exact: bool
    num_samples: int
    measure: str | None = None
    mean: float | None = None
    std_error: float | None = None
    top1_agreement: float | None = None


def read_conversion_record(model: Model, subgraph: int = 0) -> ConversionRecord | None:
    """The record of one subgraph in a model's metadata; None if it has none.

    Raises:
      ModelFormatError: there is one, but it is damaged.
    """
    text = model.metadata.get(METADATA_NAME)
    if text is None:
        return None
    try:
        return _record(_parsed(text), subgraph)
    except (ValueError, TypeError, KeyError, RecursionError) as e:
        what = str(e) if type(e) is ValueError else f"not of the form that fmtc-convert writes ({type(e).__name__})"
        raise ModelFormatError(
            f"the model's metadata '{METADATA_NAME}' is damaged: {what}; convert the model again"
        ) from e


def _parsed(text: bytes) -> dict[str, Any]:
    if len(text) > _MAX_BYTES:
        raise ValueError(f"{len(text)} bytes, expected at most {_MAX_BYTES}")
    return _typed(json.loads(text), dict, "the report")


def _record(report: dict[str, Any], subgraph: int) -> ConversionRecord:
    model = _typed(report.get("model", {}), dict, "model")
    sites = [_typed(site, dict, "a site") for site in _typed(report.get("sites", []), list, "sites")]
    measured = {
        _typed(site.get("tensor"), str, "a site's tensor"): _statistics(site["coded_bytes"])
        for site in sites
        if site.get("coded_bytes") is not None and (site.get("subgraph") or 0) == subgraph
    }
    network = _typed(report.get("totals", {}), dict, "totals").get("coded_bytes")
    return ConversionRecord(
        _typed(model["sha256"], str, "sha256") if "sha256" in model else None,
        measured,
        None if network is None else _statistics(network),
        _fidelity(report, subgraph),
    )


def _fidelity(report: dict[str, Any], subgraph: int) -> Fidelity | None:
    found = report.get("fidelity")
    for entry in report.get("signatures", []):
        if entry["subgraph"] == subgraph:
            found = entry["fidelity"]
    if found is None:
        return None
    measure = _typed(found, dict, "fidelity").get("measure")
    return Fidelity(
        _typed(found["bit_exact"], bool, "bit_exact"),
        int(_number(found["num_samples"], "num_samples")),
        None if measure is None else _typed(measure, str, "measure"),
        None if measure is None else _number(found[f"{measure}_mean"], f"{measure}_mean"),
        *(None if found.get(key) is None else _number(found[key], key) for key in ("std_error", "top1_agreement")),
    )


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"fidelity has {what} {value!r:.40}, expected a number of at least 0")
    return value


def _statistics(found: Any) -> ByteStatistics:
    """coded_bytes of a site or of the network."""
    known = _typed(found, dict, "coded_bytes")
    values = {field.name: known.get(field.name) for field in fields(ByteStatistics)}
    for name, value in values.items():
        if value is None and name == "p99":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ValueError(f"coded_bytes has {name} {value!r:.40}, expected a number of bytes")
    return ByteStatistics(**values)


def _typed(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{what} is a {type(value).__name__}, expected a {kind.__name__}")
    return value
