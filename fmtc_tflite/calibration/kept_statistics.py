"""What a calibration measures on the original model, each measurement kept in the calibration store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from fmtc_tflite.calibration import passes
from fmtc_tflite.calibration.sensitivity import Sensitivity, measure_sensitivities
from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics
from fmtc_tflite.calibration.store import Arrays, CalibrationStore, tensor_key
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.graph.sites import Site, find_sites

VALUES, COVARIANCES, SENSITIVITIES = "value statistics", "covariances", "sensitivities"
_GRADIENT_VALUES = 240_000_000  # feature-map values: bounds the time on large models without looking at a clock

Statistics = tuple[ValueStatistics, CovarianceStatistics | None]


def value_statistics(
    store: CalibrationStore,
    file: ModelFile,
    sites: Sequence[Site],
    samples: Dataset,
    with_covariance: Sequence[bool],
    num_threads: int | None = None,
) -> list[Statistics]:
    """passes.value_statistics, of those sites alone that the store does not have."""
    found: dict[int, Statistics] = {}
    parameters = [site_parameters(file.model, site, samples) for site in sites]
    for i, (site, wanted) in enumerate(zip(sites, with_covariance, strict=True)):
        values, products = store.get(VALUES, parameters[i]), store.get(COVARIANCES, parameters[i])
        if values is not None and (products is not None or not wanted):
            found[i] = _statistics(site.tensor.shape[3], values, products if wanted else None)
    missing = [i for i in range(len(sites)) if i not in found]
    if missing:
        own, covariances = [sites[i] for i in missing], [with_covariance[i] for i in missing]
        measured = passes.value_statistics(file, own, samples, covariances, num_threads)
        for i, (statistics, covariance) in zip(missing, measured, strict=True):
            found[i] = (statistics, covariance)
            store.put(VALUES, parameters[i], statistics.state())
            if covariance is not None:
                store.put(COVARIANCES, parameters[i], covariance.state())
    return [found[i] for i in range(len(sites))]


def sensitivities(
    store: CalibrationStore,
    file: ModelFile,
    sites: Sequence[Site],
    samples: Dataset,
    output_kind: str,
    seed: int,
    num_threads: int | None = None,
) -> list[Sensitivity | None]:
    """sensitivity.measure_sensitivities, of those sites alone that the store does not have.

    Args:
      samples: see gradient_samples.
    """

    def measure(missing: list[int]) -> Iterable[Arrays]:
        wanted = [sites[i] for i in missing]
        found = measure_sensitivities(file, wanted, samples, output_kind, seed, num_threads)
        return [sensitivity_arrays(sensitivity) for sensitivity in found]

    parameters = [sensitivity_parameters(file.model, site, samples, output_kind, seed) for site in sites]
    found = store.get_or_measure_each(SENSITIVITIES, parameters, measure)
    return [Sensitivity(**arrays) if arrays else None for arrays in found]


def gradient_samples(model: Model, samples: Dataset) -> Dataset:
    """As many of the samples as sensitivities need."""
    values = sum(prod(site.tensor.shape) for site in find_sites(model) if site.subgraph is model.subgraphs[0])
    return samples.evenly(int(np.clip(_GRADIENT_VALUES // max(values, 1), 4, 128)))


def site_parameters(model: Model, site: Site, samples: Dataset) -> dict[str, Any]:
    """What a site's value statistics and covariances are called in the store."""
    return {"tensor": tensor_key(model, site.tensor), "samples": samples.selection()}


def sensitivity_parameters(model: Model, site: Site, samples: Dataset, output_kind: str, seed: int) -> dict[str, Any]:
    """What a site's sensitivities are called in the store."""
    return {**site_parameters(model, site, samples), "output_kind": output_kind, "seed": seed}


def sensitivity_arrays(sensitivity: Sensitivity | None) -> Arrays:
    """A site's sensitivity as the store keeps it."""
    return {} if sensitivity is None else {"noise": sensitivity.noise, "shift": sensitivity.shift}


def _statistics(
    channels: int, values: Mapping[str, np.ndarray], products: Mapping[str, np.ndarray] | None
) -> Statistics:
    statistics = ValueStatistics(channels)
    statistics.add_state(values)
    if products is None:
        return statistics, None
    covariance = CovarianceStatistics(channels)
    covariance.add_state(products)
    return statistics, covariance
