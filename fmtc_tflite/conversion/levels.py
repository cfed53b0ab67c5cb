"""Expected cost of coding each map with loss: its shape from gradients, its level from runs of the converted model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fmtc_tflite.calibration import kept_statistics
from fmtc_tflite.calibration.kept_statistics import Statistics
from fmtc_tflite.calibration.sensitivity import Sensitivity, gradient_stops
from fmtc_tflite.calibration.store import Arrays
from fmtc_tflite.conversion.build import build_converted
from fmtc_tflite.conversion.choices import (
    Choice,
    equal_sensitivity,
    klt_choice,
    step_choice,
    unknown_sensitivity,
    weight_for_cost,
)
from fmtc_tflite.conversion.map_coding import map_centres, quantize
from fmtc_tflite.conversion.source import Source
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.data.opening import Dataset
from fmtc_tflite.data.repeated import RepeatedSamples
from fmtc_tflite.fidelity.verify import FidelityTrial
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.inference.parallel import in_parallel, num_parallel
from fmtc_tflite.progress import progress
from fmtc_tflite.types import DEFAULT_MAX_KL, ConvertOptions

# Work per stage, in feature-map values: bounds the time on large models without looking at a clock.
_LEVEL_VALUES = 7_000_000_000
_LARGEST_CORRECTION = 8.0

LEVELS = "levels"  # in the calibration store


def with_choices(
    source: Source, maps: Sequence[TreatedMap], statistics: Mapping[Site, Statistics]
) -> tuple[list[TreatedMap], list[str]]:
    """Maps whose steps follow the search, with what transforms and steps cost in bits and, from gradients, in fidelity.

    Args:
      maps: the ones to search are all of the main subgraph.
      statistics: of the lossy maps.

    Returns:
      The maps, and a warning where no gradient reaches some of them.
    """
    options, searched = source.options, [m.site for m in maps if m.is_searched]
    if not searched:
        return list(maps), []
    found = kept_statistics.sensitivities(
        source.store,
        source.file,
        searched,
        kept_statistics.gradient_samples(source.file.model, source.samples.build),
        options.output_kind,
        options.calibration.seed,
        options.num_threads,
    )
    known = dict(zip(searched, found, strict=True))
    treated = [
        replace(m, choices=_choices(m.site, statistics[m.site], known[m.site], options)) if m.site in known else m
        for m in maps
    ]
    return treated, _missing_gradients(source, [site for site in searched if known[site] is None])


def _missing_gradients(source: Source, sites: Sequence[Site]) -> list[str]:
    """A line that says where gradients stop, and for which feature maps runs have to do instead."""
    if not sites or "allocation" in source.options.disable:
        return []
    sample = next(iter(source.samples.build))
    ops = gradient_stops(source.file, sample, source.options.output_kind, source.options.num_threads)
    if not ops:  # what these maps lead to is not compared
        return []
    examples = {op.opcode: next((t.name for t in [*op.outputs, *op.inputs] if t is not None), "") for op in ops}
    kinds = ", ".join(f"{kind} (such as at {name!r})" for kind, name in examples.items())
    of_maps = f"{len(sites)} of the feature maps, such as {sites[-1].name!r}"
    alone = f"runs alone tell what loss costs in {of_maps}, whose channels all count alike"
    return [f"no gradient is known through {kinds}: {alone}"]


def _choices(
    site: Site, statistics: Statistics, sensitivity: Sensitivity | None, options: ConvertOptions
) -> tuple[Choice, ...]:
    positions = int(np.prod(site.grid))
    values, covariance = statistics
    centres = map_centres(site, values)
    if "allocation" in options.disable:
        sensitivity = equal_sensitivity(site.tensor.shape[3])
    if sensitivity is None:
        sensitivity = unknown_sensitivity(values.histogram, centres)
    found = [step_choice(values.histogram, centres, site.activation_range, sensitivity, positions)]
    if not options.disable.isdisjoint({"channel_steps", "allocation"}):
        found = [replace(found[0], per_channel=False)]
    if covariance is not None and covariance.is_sufficient:
        found.append(klt_choice(covariance, sensitivity, positions))
    return tuple(found)


def with_levels(source: Source, maps: Sequence[TreatedMap], statistics: Mapping[Site, Statistics]) -> list[TreatedMap]:
    """The expected costs scaled to what runs show: each map coded alone, at an expected cost of half the usual bound.

    The factors hold for other bounds as well, so that a calibration store serves them all. What any change at all
    costs, because it makes all later roundings fall differently, is measured once and left out: it does not add up over
    maps.
    """
    options, samples = source.options, source.samples.tables
    searched = [m for m in maps if m.is_searched]
    if not searched or "allocation" in options.disable:
        return list(maps)
    count = int(np.clip(_LEVEL_VALUES // (source.values * len(searched)), 2, 64))
    target = DEFAULT_MAX_KL / 2

    def measure(missing: list[int]) -> Iterator[Arrays]:
        trial = FidelityTrial(
            source.file, RepeatedSamples(samples.evenly(count)), options.output_kind, options.num_threads
        )
        workers = range(num_parallel(source.file.model, options.num_threads))
        one_runner = len(workers) > 1
        yield from in_parallel(
            workers,
            (runs[i] for i in progress(missing, "levels")),
            lambda _, run: {"fidelity": np.array(_run_alone(trial, source, run[0], run[1], statistics, one_runner))},
        )

    runs = [(searched[0], target / 50), *((m, target) for m in searched)]
    parameters = [_level_parameters(source, m.site, cost, samples.evenly(count)) for m, cost in runs]
    floor, *found = (float(a["fidelity"]) for a in source.store.get_or_measure_each(LEVELS, parameters, measure))
    levels = {m.site: _level(m, measured - floor, target) for m, measured in zip(searched, found, strict=True)}
    for site, level in levels.items():
        logging.info("%s: cost level %.2f", site.name, level)
    return [
        replace(m, choices=tuple(replace(choice, level=levels[m.site]) for choice in m.choices))
        if m.site in levels
        else m
        for m in maps
    ]


def _level(treated: TreatedMap, measured: float, target: float) -> float:
    """Measured over expected cost of a run for a target cost, within limits; 1 where too little was expected."""
    expected = treated.choices[0].pick(weight_for_cost(treated.choices[0], target)).cost
    if expected <= target / 4:
        return 1.0
    return float(np.clip(measured / expected, 1 / _LARGEST_CORRECTION, _LARGEST_CORRECTION))


def _level_parameters(source: Source, site: Site, cost: float, samples: Dataset) -> dict[str, Any]:
    """What a run is called in the calibration store."""
    options = source.options
    switches = sorted(options.disable)
    own = {"cost": cost, "output_kind": options.output_kind, "seed": options.calibration.seed, "disable": switches}
    return {**kept_statistics.site_parameters(source.file.model, site, samples), **own}


def _run_alone(
    trial: FidelityTrial,
    source: Source,
    treated: TreatedMap,
    cost: float,
    statistics: Mapping[Site, Statistics],
    one_runner: bool,
) -> float:
    """Measured cost with one map coded alone by its steps, as coarsely as the expected cost allows."""
    alone = replace(treated, choices=treated.choices[:1], fold_source=None)
    others = {m.site: m.skipped("left out") for m in source.maps}
    maps = [alone if site is treated.site else other for site, other in others.items()]
    codings = quantize(maps, statistics, weight_for_cost(treated.choices[0], cost))
    return trial.measure(build_converted(source.file.content, codings), one_runner=one_runner).mean
