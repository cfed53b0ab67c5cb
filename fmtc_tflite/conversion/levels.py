"""Expected cost of coding each map with loss: its shape from gradients, its level from runs of the converted model."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from tqdm import tqdm

from fmtc_tflite.calibration.dataset import Dataset
from fmtc_tflite.calibration.sensitivity import Sensitivity, measure_sensitivities
from fmtc_tflite.conversion import folding
from fmtc_tflite.conversion.build import build_converted, only
from fmtc_tflite.conversion.choices import Choice, step_choice, unknown_sensitivity, weight_for_cost
from fmtc_tflite.conversion.treatment import SitePlan, Statistics, map_centres, raw_capacity, set_quantization
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.types import ConvertOptions
from fmtc_tflite.verify import FidelityTrial

# Work per stage, in feature-map values: bounds the time on large models without looking at a clock.
_GRADIENT_VALUES = 120_000_000
_LEVEL_VALUES = 7_000_000_000
_LARGEST_CORRECTION = 8.0


def sensitivity_choices(
    model: Model,
    content: bytes,
    plans: Sequence[SitePlan],
    statistics: Mapping[int, Statistics],
    samples: Dataset,
    options: ConvertOptions,
) -> list[list[Choice]]:
    """The ways to code each plan, with costs from gradients.

    Args:
      plans: those whose steps follow the search; all of the main subgraph.
      statistics: of the lossy maps, by id of their tensor.
      samples: the ones that build tables.
    """
    count = int(np.clip(_GRADIENT_VALUES // sum(p.values for p in plans), 4, 128))
    maps, inputs = measure_sensitivities(
        model,
        content,
        [p.site for p in plans],
        list(islice(samples, count)),
        options.output_kind,
        options.calibration.seed,
        options.num_threads,
    )
    return [_choices(p, statistics, own, behind) for p, own, behind in zip(plans, maps, inputs, strict=True)]


def _choices(
    plan: SitePlan, statistics: Mapping[int, Statistics], own: Sensitivity | None, behind: Sensitivity | None
) -> list[Choice]:
    positions = int(np.prod(plan.site.grid))
    values = statistics[id(plan.site.tensor)][0]
    centres = map_centres(plan.site, values)
    if own is None:
        logging.info("%s: no gradient is known; runs alone give its sensitivity", plan.site.name)
        own = unknown_sensitivity(values.histogram, centres)
    found = [step_choice(values.histogram, centres, plan.site.activation_range, own, positions)]
    source = plan.site.producer.inputs[0] if folding.can_fold(plan.site) else None
    if source is not None and behind is not None and id(source) in statistics:
        values = statistics[id(source)][0]
        centre = np.clip(np.rint(values.means), -128, 127)
        side_bits = folding.side_information_bits(plan.site)
        limits = (-128, 127)
        found.append(step_choice(values.histogram, centre, limits, behind, positions, side_bits=side_bits, folded=True))
    return found


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
    work = sum(p.values for p in plans) * sum(len(p.choices) for p in searched)
    count = int(np.clip(_LEVEL_VALUES // work, 2, 64))
    trial = FidelityTrial(model, content, list(islice(samples, count)), options.output_kind, options.num_threads)
    target = options.effective_max_kl / 2
    floor = _run_alone(trial, content, plans, searched[0], searched[0].choices[0], statistics, target / 50)
    for plan in tqdm(searched, desc="levels", disable=None, leave=False):
        corrected = []
        for choice in plan.choices:
            measured = _run_alone(trial, content, plans, plan, choice, statistics, target)
            expected = choice.pick(weight_for_cost(choice, target))[2]
            level = 1.0
            if expected > target / 4:
                limits = (1 / _LARGEST_CORRECTION, _LARGEST_CORRECTION)
                level = float(np.clip((measured - floor) / expected, *limits))
            corrected.append(replace(choice, level=level))
        plan.choices = corrected
        logging.info("%s: cost levels %s", plan.site.name, [round(c.level, 2) for c in corrected])


def _run_alone(
    trial: FidelityTrial,
    content: bytes,
    plans: Sequence[SitePlan],
    plan: SitePlan,
    choice: Choice,
    statistics: Mapping[int, Statistics],
    cost: float,
) -> float:
    """Measured cost with one map coded alone, as coarsely as the expected cost allows."""
    alone = SitePlan(plan.site, plan.treatment, choices=[choice])
    set_quantization(alone, statistics, weight_for_cost(choice, cost))
    alone.item_capacity = raw_capacity(alone)
    trial_plans = [alone if p is plan else p for p in only(plans, [plan])]
    return trial.measure(build_converted(content, trial_plans).to_bytes()).mean
