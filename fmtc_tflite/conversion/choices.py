"""Ways to code a feature map, each with its expected rate and its cost in fidelity, and the choice among them.

Minimising bits + weight * cost over all maps independently is the Lagrangian form of the rate-distortion allocation (Y.
Shoham, A. Gersho, "Efficient bit allocation for an arbitrary set of quantizers", 1988): one weight for the network, one
step per channel.
"""

from dataclasses import dataclass

import numpy as np

from fmtc_tflite.calibration.sensitivity import Sensitivity
from fmtc_tflite.coding.quantizer import quantize
from fmtc_tflite.coding.side_info import CODED_STEPS, STEP_ONE

# 1, then about quarter octaves from 1.75 on: steps just above 1 cost fidelity and save next to nothing.
STEP_CODES = np.array([STEP_ONE, *CODED_STEPS[12::4]])


@dataclass(frozen=True)
class Pick:
    """The best steps for a Lagrangian weight.

    Attributes:
      steps: int64 [r], codes in 1/16 units.
      bits, cost: expected bits and increase of the fidelity measure.
      total: bits + weight * cost.
    """

    steps: np.ndarray
    bits: float
    cost: float
    total: float


@dataclass(frozen=True)
class Choice:
    """The ways to code one map.

    Attributes:
      bits: float64 [steps, r], expected bits of each component per inference, for each of STEP_CODES.
      cost: float64 [steps, r], expected increase of the fidelity measure.
      level: correction of `cost` that a run through the interpreter gave.
    """

    bits: np.ndarray
    cost: np.ndarray
    level: float = 1.0

    def pick(self, weight: float) -> Pick:
        """The best steps for a Lagrangian weight (bits per unit of cost)."""
        best = (self.bits + weight * self.level * self.cost).argmin(0)
        columns = np.arange(len(best))
        bits = float(self.bits[best, columns].sum())
        cost = self.level * float(self.cost[best, columns].sum())
        return Pick(STEP_CODES[best], bits, cost, bits + weight * cost)


def weight_for_cost(choice: Choice, cost: float) -> float:
    """About the smallest weight at which the choice costs no more than `cost`."""
    low, high = 0.0, 40.0
    for _ in range(24):
        middle = (low + high) / 2
        if choice.pick(2.0**middle).cost > cost:
            low = middle
        else:
            high = middle
    return 2.0**high


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


def _entropies(index: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Entropy in bits of each row's indices; `index` and `share` are [r, 256]."""
    slot = index - index.min(1, keepdims=True)
    width = int(slot.max()) + 1
    flat = slot + width * np.arange(len(slot))[:, None]
    mass = np.bincount(flat.ravel(), share.ravel(), minlength=width * len(slot)).reshape(len(slot), width)
    return -(mass * np.log2(np.where(mass > 0, mass, 1))).sum(1)


def unknown_sensitivity(histogram: np.ndarray, centres: int | np.ndarray) -> Sensitivity:
    """Where no gradient is known: the map's own relative error stands for the output's, until a run corrects it."""
    distance = np.arange(-128, 128)[None] - np.reshape(np.asarray(centres, np.int64), (-1, 1))
    energy = max(float((histogram * distance**2).sum() / max(histogram.sum(), 1)), 1e-6)
    noise = np.full(len(histogram), 2 / energy / len(histogram))
    return Sensitivity(noise, np.zeros(len(histogram)))
