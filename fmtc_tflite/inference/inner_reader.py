"""Tensors of the original that a model with regions has no more: read by running its regions once more, traced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.region_ops import InnerTensor, program_bytes, region_inputs
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.runtime.region import RegionProgram


class InnerReader:
    """Reads inner tensors as they were in a runner's last run."""

    def __init__(self, runner: ModelRunner, wanted: Iterable[InnerTensor]) -> None:
        """Args: runner: of the converted model; it can read the regions' inputs (see region_inputs)."""
        self._runner = runner
        self._wanted: dict[Op, list[InnerTensor]] = defaultdict(list)
        for inner in wanted:
            self._wanted[inner.region].append(inner)
        self._programs = {op: RegionProgram(program_bytes(op)) for op in self._wanted}

    def read(self) -> dict[Tensor, np.ndarray]:
        """The values of all, by the original's tensor: [N, ...] as it has them there."""
        return {tensor: x for op in self._wanted for tensor, x in self._read_region(op).items()}

    def _read_region(self, op: Op) -> dict[Tensor, np.ndarray]:
        inputs = [self._runner.read(tensor) for tensor in region_inputs([op])]
        items: dict[Tensor, list[np.ndarray]] = defaultdict(list)
        for item in range(len(inputs[0])):  # a trace tells of the last one only
            trace = self._programs[op].trace([x[item : item + 1] for x in inputs])
            for inner in self._wanted[op]:
                items[inner.tensor].append(trace.tensors[inner.number])
        return {tensor: np.stack(found).reshape(len(found), *tensor.shape[1:]) for tensor, found in items.items()}
