"""What a lossy conversion came to, in words: whether its bound is kept, and what a user should know."""

from __future__ import annotations

from collections.abc import Sequence

from fmtc_tflite.conversion.bounds import Constraint
from fmtc_tflite.conversion.document import totals
from fmtc_tflite.conversion.map_coding import MapCoding, lossy_maps
from fmtc_tflite.fidelity.judgement import uncertainty_warning
from fmtc_tflite.fidelity.verify import Comparison
from fmtc_tflite.types import ConvertOptions


def judge(
    options: ConvertOptions, constraint: Constraint, codings: Sequence[MapCoding], comparison: Comparison, found: bool
) -> tuple[str, list[str]]:
    """A line on what became of the outputs, and warnings.

    Args:
      constraint: what the options ask for.
      codings: finished, of a conversion that may lose something.
      comparison: the run on held-back samples.
      found: whether the search, if there was one, found a coarseness.
    """
    if not lossy_maps(codings):
        return f"nothing is coded with loss: {_why_nothing(options, codings, found)}", []
    holds = constraint.holds(comparison, totals(codings, [comparison])["bits_per_value"])
    count = comparison.fidelity.num_samples
    change = f"outputs are the same on {count} samples" if comparison.bit_exact else "outputs change"
    where, warnings = f"within {constraint.text}", list[str]()
    if not holds:  # only where a recipe fixes all steps
        where = f"above {constraint.text}: the recipe's steps are too coarse"
        warnings.append(f"the recipe's steps leave the outputs above {constraint.text}")
    if options.max_bits_per_value is None and options.max_accuracy_drop is None:
        warnings += _on_divergence(comparison, options.effective_max_kl)
    return f"{change}, {where}; --lossless keeps them", warnings


def _why_nothing(options: ConvertOptions, codings: Sequence[MapCoding], found: bool) -> str:
    if not found:
        return f"no lossy coding keeps {options.constraint} with certainty"
    if not any(c.treated.is_lossy for c in codings):
        return "the recipe asks for none"
    return f"no loss that {options.constraint} allows saves bits"


def _on_divergence(comparison: Comparison, bound: float) -> list[str]:
    count = comparison.fidelity.num_samples
    if not comparison.outputs_vary:
        constant = f"'{comparison.source_tensor}' is the same for all {count} held-back samples, whatever the input"
        return [f"{constant}: nothing bounds the loss; check the calibration data and --preprocessing"]
    if comparison.bit_exact:
        unchanged = f"no output changed on {count} held-back samples, although maps are coded with loss"
        return [f"{unchanged}: nothing bounds the loss; give more calibration samples, or others"]
    warning = uncertainty_warning(comparison.fidelity, bound)
    return [] if warning is None else [warning]
