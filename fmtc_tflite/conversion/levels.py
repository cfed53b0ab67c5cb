"""Expected cost of coding each map with loss: its shape from gradients, its level from runs of the converted model."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from fmtc_tflite.calibration import stages
from fmtc_tflite.calibration.dataset import Dataset
from fmtc_tflite.calibration.sensitivity import Sensitivity
from fmtc_tflite.calibration.stages import Statistics
from fmtc_tflite.calibration.store import CalibrationStore
from fmtc_tflite.conversion.build import build_converted, only
from fmtc_tflite.conversion.choices import Choice, step_choice, unknown_sensitivity, weight_for_cost
from fmtc_tflite.conversion.treatment import SitePlan, map_centres, raw_capacity, set_quantization
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.types import ConvertOptions
from fmtc_tflite.verify import FidelityTrial

# Work per stage, in feature-map values: bounds the time on large models without looking at a clock.
_LEVEL_VALUES = 7_000_000_000
_LARGEST_CORRECTION = 8.0


def sensitivity_choices(
    model: Model,
    content: bytes,
    plans: Sequence[SitePlan],
    statistics: Mapping[int, Statistics],
    samples: Dataset,
    options: ConvertOptions,
    store: CalibrationStore,
) -> list[Choice]:
    """What each plan's steps cost, in bits and, from gradients, in fidelity.

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
    return [_choice(plan, statistics, found) for plan, found in zip(plans, maps, strict=True)]


def _choice(plan: SitePlan, statistics: Mapping[int, Statistics], sensitivity: Sensitivity | None) -> Choice:
    positions = int(np.prod(plan.site.grid))
    values = statistics[id(plan.site.tensor)][0]
    centres = map_centres(plan.site, values)
    if sensitivity is None:
        logging.info("%s: no gradient is known; runs alone give its sensitivity", plan.site.name)
        sensitivity = unknown_sensitivity(values.histogram, centres)
    return step_choice(values.histogram, centres, plan.site.activation_range, sensitivity, positions)


def correct_levels(
    model: Model,
    content: bytes,
    plans: Sequence[SitePlan],
    statistics: Mapping[int, Statistics],
    samples: Dataset,
    options: ConvertOptions,
) -> None:
    """Scales the expected costs to what runs show: each map coded alone, at an expected cost of half the bound.

    What any change at all costs, because it makes all later roundings fall differently, is measured once and left out:
    it does not add up over maps.
    """
    searched = [p for p in plans if p.is_searched]
    work = sum(p.values for p in plans) * len(searched)
    count = int(np.clip(_LEVEL_VALUES // work, 2, 64))
    trial = FidelityTrial(model, content, list(samples.evenly(count)), options.output_kind, options.num_threads)
    target = options.effective_max_kl / 2
    floor = _run_alone(trial, content, plans, searched[0], statistics, target / 50)
    for plan in tqdm(searched, desc="levels", disable=None, leave=False):
        assert plan.choice is not None
        measured = _run_alone(trial, content, plans, plan, statistics, target)
        expected = plan.choice.pick(weight_for_cost(plan.choice, target)).cost
        if expected > target / 4:
            level = (measured - floor) / expected
            plan.choice = replace(
                plan.choice, level=float(np.clip(level, 1 / _LARGEST_CORRECTION, _LARGEST_CORRECTION))
            )
        logging.info("%s: cost level %.2f", plan.site.name, plan.choice.level)


def _run_alone(
    trial: FidelityTrial,
    content: bytes,
    plans: Sequence[SitePlan],
    plan: SitePlan,
    statistics: Mapping[int, Statistics],
    cost: float,
) -> float:
    """Measured cost with one map coded alone, as coarsely as the expected cost allows."""
    assert plan.choice is not None
    alone = SitePlan(plan.site, plan.treatment, choice=plan.choice)
    set_quantization(alone, statistics, weight_for_cost(plan.choice, cost))
    alone.item_capacity = raw_capacity(alone)
    trial_plans = [alone if p is plan else p for p in only(plans, [plan])]
    return trial.measure(build_converted(content, trial_plans).to_bytes()).mean
