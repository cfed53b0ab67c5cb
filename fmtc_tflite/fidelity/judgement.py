"""What measured fidelity is worth: whether it tells of a bound, and whether outputs are still the original's."""

from __future__ import annotations

import math

from fmtc_tflite.fidelity.metrics import MeanResult
from fmtc_tflite.types import DEFAULT_MAX_KL

_Z = 1.959964  # standard errors of a two-sided 95 % interval
_LEAST_AGREEMENT = 0.95
_LARGEST_DIVERGENCE = 10 * DEFAULT_MAX_KL
_MEASURES = {"kl": "KL", "disagreement": "disagreement", "relative_mse": "relative MSE"}


def upper_end(share: float, count: int) -> float:
    """Upper end of Wilson's 95 % interval of a share that was measured on so many samples."""
    spread = _Z**2 / count
    centre = share + spread / 2
    width = _Z * math.sqrt(max(share * (1 - share), 0.0) / count + spread / (4 * count))
    return min((centre + width) / (1 + spread), 1.0)


def change_warning(measure: str, fidelity: MeanResult, top1_agreement: float | None) -> str | None:
    """A warning where outputs are far from the original's, whatever bound was asked for; None where they are not."""
    count = fidelity.num_samples
    found = []
    if top1_agreement is not None and (most := upper_end(top1_agreement, count)) < _LEAST_AGREEMENT:
        found.append(f"same top-1 on {100 * top1_agreement:.1f} % (at most {100 * most:.1f} %, with 95 % confidence)")
    if fidelity.mean > _LARGEST_DIVERGENCE:
        found.append(f"{_MEASURES[measure]} {fidelity.mean:.4g}, above {_LARGEST_DIVERGENCE:g}")
    if not found:
        return None
    return (
        f"the outputs are far from the original's: {', '.join(found)}, on {count} held-back samples; measure the "
        "accuracy with fmtc-eval, or ask for less compression"
    )


def uncertainty_warning(fidelity: MeanResult, bound: float) -> str | None:
    """A warning where the measured mean may as well lie on the other side of its bound; None if that is unlikely."""
    error = fidelity.std_error
    if not math.isnan(error) and (error <= bound / 4 or abs(fidelity.mean - bound) >= _Z * error):
        return None
    return (
        f"fidelity is uncertain: {fidelity.mean:.4g} +- {error:.2g} on {fidelity.num_samples} held-back "
        f"samples against a bound of {bound:g}; more calibration samples would fix it better"
    )
