"""Expected cost of coding each map with loss: its shape from gradients, its level from runs of the converted model."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fmtc_tflite.calibration import stages
from fmtc_tflite.calibration.sensitivity import Sensitivity
from fmtc_tflite.calibration.stages import Statistics
from fmtc_tflite.calibration.store import Arrays, CalibrationStore
from fmtc_tflite.conversion.build import build_converted, only
from fmtc_tflite.conversion.choices import (
    Choice,
    equal_sensitivity,
    klt_choice,
    step_choice,
    unknown_sensitivity,
    weight_for_cost,
)
from fmtc_tflite.conversion.treatment import SitePlan, map_centres, raw_capacity, set_quantization
from fmtc_tflite.data.opening import Dataset
from fmtc_tflite.fidelity.verify import FidelityTrial
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.progress import progress
from fmtc_tflite.types import DEFAULT_MAX_KL, ConvertOptions

# Work per stage, in feature-map values: bounds the time on large models without looking at a clock.
_LEVEL_VALUES = 7_000_000_000
_LARGEST_CORRECTION = 8.0

LEVELS = "levels"  # in the calibration store


def sensitivity_choices(
    model: Model,
    content: bytes,
    plans: Sequence[SitePlan],
    statistics: Mapping[int, Statistics],
    samples: Dataset,
    options: ConvertOptions,
    store: CalibrationStore,
) -> list[list[Choice]]:
    """What each plan's transforms and steps cost, in bits and, from gradients, in fidelity.

    Args:
      plans: those whose steps follow the search; all of the main subgraph.
      statistics: of the lossy maps, by id of their tensor.
      samples: the ones that build tables.
      store: has the sensitivities, or gets them.
    """
    maps = stages.sensitivities(
        store,
        model,
        content,
        [p.site for p in plans],
        stages.gradient_samples(model, samples),
        options.output_kind,
        options.calibration.seed,
        options.num_threads,
    )
    return [_choices(plan, statistics, found, options) for plan, found in zip(plans, maps, strict=True)]


def _choices(
    plan: SitePlan, statistics: Mapping[int, Statistics], sensitivity: Sensitivity | None, options: ConvertOptions
) -> list[Choice]:
    positions = int(np.prod(plan.site.grid))
    values, covariance = statistics[id(plan.site.tensor)]
    centres = map_centres(plan.site, values)
    if "allocation" in options.disable:
        sensitivity = equal_sensitivity(plan.site.tensor.shape[3])
    if sensitivity is None:
        logging.info("%s: no gradient is known; runs alone give its sensitivity", plan.site.name)
        sensitivity = unknown_sensitivity(values.histogram, centres)
    found = [step_choice(values.histogram, centres, plan.site.activation_range, sensitivity, positions)]
    if not options.disable.isdisjoint({"channel_steps", "allocation"}):
        found = [replace(found[0], per_channel=False)]
    if covariance is not None and covariance.is_sufficient:
        found.append(klt_choice(covariance, sensitivity, positions))
    return found


def correct_levels(
    model: Model,
    content: bytes,
    plans: Sequence[SitePlan],
    statistics: Mapping[int, Statistics],
    samples: Dataset,
    options: ConvertOptions,
    store: CalibrationStore,
) -> None:
    """Scales the expected costs to what runs show: each map coded alone, at an expected cost of half the usual bound.

    The factors hold for other bounds as well, so that a calibration store serves them all. What any change at all
    costs, because it makes all later roundings fall differently, is measured once and left out: it does not add up over
    maps.
    """
    searched = [p for p in plans if p.is_searched]
    work = sum(p.values for p in plans) * len(searched)
    count = int(np.clip(_LEVEL_VALUES // work, 2, 64))
    target = DEFAULT_MAX_KL / 2

    def measure(missing: list[int]) -> Iterator[Arrays]:
        trial = FidelityTrial(model, content, list(samples.evenly(count)), options.output_kind, options.num_threads)
        for i in progress(missing, "levels"):
            plan, cost = runs[i]
            yield {"fidelity": np.array(_run_alone(trial, content, plans, plan, statistics, cost))}

    runs = [(searched[0], target / 50), *((plan, target) for plan in searched)]
    parameters = [_level_parameters(model, plan, cost, samples.evenly(count), options) for plan, cost in runs]
    floor, *found = (float(a["fidelity"]) for a in store.get_or_measure_each(LEVELS, parameters, measure))
    for plan, measured in zip(searched, found, strict=True):
        expected = plan.choices[0].pick(weight_for_cost(plan.choices[0], target)).cost
        level = 1.0
        if expected > target / 4:
            level = float(np.clip((measured - floor) / expected, 1 / _LARGEST_CORRECTION, _LARGEST_CORRECTION))
        plan.choices = [replace(choice, level=level) for choice in plan.choices]
        logging.info("%s: cost level %.2f", plan.site.name, level)


def _level_parameters(
    model: Model, plan: SitePlan, cost: float, samples: Dataset, options: ConvertOptions
) -> dict[str, Any]:
    """What a run is called in the calibration store."""
    switches = sorted(options.disable)
    own = {"cost": cost, "output_kind": options.output_kind, "seed": options.calibration.seed, "disable": switches}
    return {**stages.site_parameters(model, plan.site, samples), **own}


def _run_alone(
    trial: FidelityTrial,
    content: bytes,
    plans: Sequence[SitePlan],
    plan: SitePlan,
    statistics: Mapping[int, Statistics],
    cost: float,
) -> float:
    """Measured cost with one map coded alone, as coarsely as the expected cost allows."""
    alone = SitePlan(plan.site, plan.treatment, choices=plan.choices[:1])
    set_quantization(alone, statistics, weight_for_cost(plan.choices[0], cost))
    alone.item_capacity = raw_capacity(alone)
    trial_plans = [alone if p is plan else p for p in only(plans, [plan])]
    return trial.measure(build_converted(content, trial_plans)).mean
