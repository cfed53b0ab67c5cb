"""Regions of one op give what the installed runtime's kernels give, under all three sets, on adversarial numbers.

FMTC_KERNEL_SET_MODELS sets how many models of each op are compared.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fmtc_tflite.regions.kernel_sets import NAMES
from fmtc_tflite.regions.kinds.tables import TABLES
from kernel_trials import DEFAULT_MODELS, FIRST_SEED, MODELS, matrix, outcomes
from single_ops import OPCODES

# Results of the others do not depend on who computes them.
CLAIMED = (
    "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD", "MEAN", "QUANTIZE", "SUM of int8",
    "SUM of uint8", "RESIZE_BILINEAR", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU", *TABLES,
)  # fmt: skip
# Reasons that few models have.
REFUSALS = (
    "its output's scale is too small beside its operands'",
    "the runtime's kernels round the tensor's last values by another rule than the others",
    "a value lies so near to a half that C libraries may round it either way",
    "it counts axes from the end, which runtimes compute differently",
    "its constant is a negative zero",
    "the runtime leaves the tensor's last values to the C library",
)
# Sets under which every model of an op is refused, and why.
OUTSIDE = {
    ("SQRT of float32", "xnnpack"): "XNNPACK's SQRT of float32 depends on the processor",
    ("LOGISTIC of float32", "xnnpack"): "XNNPACK's LOGISTIC of float32 depends on the processor",
    ("LOGISTIC of float32", "reference"): "the runtime leaves LOGISTIC of float32 to the C library",
    ("SUM of int8", "reference"): "the runtime's SUM takes values of int8 for unsigned ones",
}


@pytest.mark.parametrize("kernels", NAMES)
@pytest.mark.parametrize("opcode", OPCODES)
def test_one_op_equals_the_runtime(opcode: str, kernels: str) -> None:
    compared = 0
    for outcome in outcomes(opcode, kernels):
        if kernels == "xnnpack" and opcode in CLAIMED:
            assert outcome.delegated == outcome.takes, f"seed {outcome.seed}: who computes it"
        if outcome.reason is not None:
            assert outcome.reason in (*REFUSALS, OUTSIDE.get((opcode, kernels))), f"seed {outcome.seed}"
            continue
        assert outcome.differing == 0, f"seed {outcome.seed}: {outcome.differing} of {outcome.values} values differ"
        compared += 1
    assert compared == 0 if (opcode, kernels) in OUTSIDE else compared > 0.8 * MODELS


@pytest.mark.skipif((FIRST_SEED, MODELS) != (0, DEFAULT_MODELS), reason="the document is of the default models")
def test_the_table_is_what_was_seen(repository: Path) -> None:
    made = matrix()
    assert (repository / "docs" / "region_ops.md").read_text() == made, "python tests/kernel_trials.py writes it anew"
