"""Ways to code a feature map, each with its expected rate and its cost in fidelity, and the choice among them.

Minimising bits + weight * cost over all maps independently is the Lagrangian form of the rate-distortion allocation (Y.
Shoham, A. Gersho, "Efficient bit allocation for an arbitrary set of quantizers", 1988): one weight for the network, one
step per channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from fmtc_tflite.calibration.sensitivity import Sensitivity
from fmtc_tflite.calibration.statistics import CovarianceStatistics
from fmtc_tflite.coding.quantizer import quantize
from fmtc_tflite.coding.side_info import CODED_STEPS, STEP_ONE
from fmtc_tflite.coding.transform import eigenbasis

# 1, then about quarter octaves from 1.75 on: steps just above 1 cost fidelity and save next to nothing.
STEP_CODES = np.array([STEP_ONE, *CODED_STEPS[12::4]])
_STEP_BITS = 8.0  # side information of a step per component
_CENTRE_BITS = 8.0  # of a centre
_LEAST_COMPONENT_BITS = 0.02  # KLT components that cost less are zero nearly everywhere, and dropped


@dataclass(frozen=True)
class Pick:
    """The best steps for a Lagrangian weight.

    Attributes:
      transform: step or klt.
      steps: int64 [r], codes in 1/16 units; of a klt, the one step of its components.
      components: r of a klt.
      bits: expected, side information that only this transform or these steps need included.
      cost: expected increase of the fidelity measure.
      total: bits + weight * cost.
    """

    transform: Literal["step", "klt"]
    steps: np.ndarray
    components: int
    bits: float
    cost: float
    total: float


@dataclass(frozen=True)
class Choice:
    """One transform of one map, at all steps.

    Attributes:
      bits: float64 [steps, r], expected bits of each component per inference, for each of STEP_CODES.
      cost: float64 [steps, r], expected increase of the fidelity measure.
      transform: step, or klt, where r is 1: the components share a step.
      components: int64 [steps], coded components of a klt.
      side_bits: float64 [steps], side information that the transform needs.
      per_channel: whether components may have steps of their own.
    """

    bits: np.ndarray
    cost: np.ndarray
    transform: Literal["step", "klt"] = "step"
    components: np.ndarray = field(default_factory=lambda: np.zeros(len(STEP_CODES), np.int64))
    side_bits: np.ndarray = field(default_factory=lambda: np.zeros(len(STEP_CODES)))
    per_channel: bool = True

    def pick(self, weight: float) -> Pick:
        """The best steps for a Lagrangian weight (bits per unit of cost)."""
        total = self.bits + weight * self.cost
        uniform = total.sum(1) + self.side_bits
        rows = np.full(total.shape[1], uniform.argmin())
        best = float(uniform.min())
        if self.per_channel and total.shape[1] > 1:
            own = total.min(0).sum() + _STEP_BITS * total.shape[1]
            if own < best:
                rows, best = total.argmin(0), float(own)
        cost = float(self.cost[rows, np.arange(len(rows))].sum())
        return Pick(self.transform, STEP_CODES[rows], int(self.components[rows[0]]), best - weight * cost, cost, best)


def best_pick(choices: Sequence[Choice], weight: float) -> Pick:
    """The pick of least total among the transforms."""
    return min((choice.pick(weight) for choice in choices), key=lambda pick: pick.total)


def step_choice(
    histogram: np.ndarray,
    centres: int | np.ndarray,
    limits: tuple[int, int],
    sensitivity: Sensitivity,
    positions: int,
) -> Choice:
    """Rates and costs of the step quantizer.

    The rate is the zero-order entropy of the indices: prediction lowers it, at all steps about alike.

    Args:
      histogram: int64 [r, 256], counts of signed values plus 128.
      centres: of the quantizer, scalar or [r].
      limits: lo and hi of decoded values.
      sensitivity: of the quantized components.
      positions: values of each component in an inference.
    """
    share = histogram / np.maximum(histogram.sum(1, keepdims=True), 1)
    centre = np.broadcast_to(np.asarray(centres, np.int64), (len(share),))[:, None]
    q = np.arange(-128, 128)[None]
    bits, cost = np.empty((2, len(STEP_CODES), len(share)))
    for i, step in enumerate(STEP_CODES):
        index = quantize(q - centre, step)
        decoded = np.clip(centre + np.sign(index) * ((np.abs(index) * step + 8) // STEP_ONE), *limits)
        error = (decoded - q) if step > STEP_ONE else np.zeros_like(index)
        noise, shift = (error**2 * share).sum(1), (error * share).sum(1)
        bits[i] = positions * _entropies(index, share)
        cost[i] = (sensitivity.noise * noise + sensitivity.shift * shift**2) / 2
    return Choice(bits, cost)


def klt_choice(statistics: CovarianceStatistics, sensitivity: Sensitivity, positions: int) -> Choice:
    """Rates and costs of a KLT with one step, from the channels' covariance.

    Components are taken as normal distributions: their quantized entropy is the rate, an upper bound for these
    variances.

    Args:
      statistics: of the map, C channels.
      sensitivity: of the channels.
      positions: values of each channel in an inference.
    """
    basis = eigenbasis(statistics.covariance)
    variances = np.maximum(((basis @ statistics.covariance) * basis).sum(axis=1), 0.0)
    channels = len(basis)
    bits, cost = np.empty((2, len(STEP_CODES), 1))
    components, side_bits = np.empty(len(STEP_CODES), np.int64), np.empty(len(STEP_CODES))
    for i, step in enumerate(STEP_CODES / STEP_ONE):
        rate = _normal_entropy(np.sqrt(variances) / step)
        kept = max(int((rate > _LEAST_COMPONENT_BITS).sum()), 1)
        error = np.where(np.arange(channels) < kept, np.minimum(variances, step**2 / 12), variances)
        noise = error @ basis**2 + 1 / 12  # the last: rounding to the map's own integers
        bits[i], cost[i] = positions * rate[:kept].sum(), (sensitivity.noise * noise).sum() / 2
        components[i] = kept
        side_bits[i] = 16.0 * 2 * kept * channels + 32.0 * (kept + channels)
    return Choice(bits, cost, "klt", components, side_bits)


def _normal_entropy(deviation: np.ndarray) -> np.ndarray:
    """Bits of a normal distribution rounded to integers, by its standard deviation.

    From the differential entropy (rounding noise included) where the deviation is large, from three values (-1, 0, 1)
    where it is small: within 0.03 bit of the exact sum.
    """
    sigma = np.maximum(deviation, 1e-3)
    outside = np.array([math.erfc(0.5 / (s * math.sqrt(2))) for s in sigma]).clip(1e-12, 1 - 1e-12)
    small = outside - outside * np.log2(outside) - (1 - outside) * np.log2(1 - outside)
    return np.where(sigma > 0.5, 0.5 * np.log2(2 * np.pi * np.e * (sigma**2 + 1 / 12)), small)


def centres_pay(histogram: np.ndarray, centres: np.ndarray, single: int, steps: np.ndarray, positions: int) -> bool:
    """Whether a centre for each component saves more bits than it takes, in one table for all of them.

    More tables tell components of different means apart as well, so that centres pay at most where this says so.

    Args:
      histogram: int64 [r, 256], counts of signed values plus 128.
      centres: [r].
      single: the centre that all components would have instead.
      steps: [r], codes in 1/16 units.
      positions: values of each component in an inference.
    """
    share = (histogram / np.maximum(histogram.sum(1, keepdims=True), 1)).reshape(1, -1) / len(histogram)
    own, common = (
        _entropies(quantize(np.arange(-128, 128) - np.reshape(c, (-1, 1)), steps[:, None]).reshape(1, -1), share)[0]
        for c in (centres, np.full(len(steps), single))
    )
    return float(common - own) * positions > _CENTRE_BITS


def _entropies(index: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Entropy in bits of each row's indices; `index` and `share` are [r, 256]."""
    slot = index - index.min(1, keepdims=True)
    width = int(slot.max()) + 1
    flat = slot + width * np.arange(len(slot))[:, None]
    mass = np.bincount(flat.ravel(), share.ravel(), minlength=width * len(slot)).reshape(len(slot), width)
    return -(mass * np.log2(np.where(mass > 0, mass, 1))).sum(1)


def unknown_sensitivity(histogram: np.ndarray, centres: int | np.ndarray) -> Sensitivity:
    """Where no gradient is known: an error costs its share of the map's energy, in whichever channel it is."""
    distance = np.arange(-128, 128)[None] - np.reshape(np.asarray(centres, np.int64), (-1, 1))
    energy = max(float((histogram * distance**2).sum() / max(histogram.sum(), 1)), 1e-6)
    noise = np.full(len(histogram), 2 / energy / len(histogram))
    return Sensitivity(noise, np.zeros(len(histogram)))


def share_of_error(known: Sensitivity, unknown: Sensitivity) -> float:
    """What the same independent error in all channels costs by one sensitivity of a map, over what by another."""
    return float(known.noise.sum() / unknown.noise.sum())


def equal_sensitivity(channels: int) -> Sensitivity:
    """All values of all maps alike: what is left without an allocation."""
    return Sensitivity(np.full(channels, 1e-9), np.zeros(channels))
