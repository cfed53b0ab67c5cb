"""What the regions of a model read while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from fmtc_tflite.graph.model import Model, Op, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.region_ops import kernel_set_of
from fmtc_tflite.inference.model_runner import ModelRunner


def region_inputs(
    model: Model, ops: Sequence[Op], samples: Iterable[Mapping[str, np.ndarray]], runtime: str | None = None
) -> Iterator[list[list[np.ndarray]]]:
    """For each sample the inputs of each region, programs left out.

    Args:
      model: is changed: what regions read become outputs of it.
      ops: its regions.

    Raises:
      UnsupportedModelError, RuntimeLibraryError: see ModelRunner.
    """
    graph = model.subgraphs[0]
    sources: list[list[Tensor]] = [[t for t in op.inputs[:-1] if t is not None] for op in ops]
    known = {*graph.inputs, *graph.outputs}
    wanted = dict.fromkeys(tensor for own in sources for tensor in own if tensor not in known)
    graph.outputs = [*graph.outputs, *wanted]
    runner = ModelRunner(ModelFile.of(model), kernels=kernel_set_of(model), runtime=runtime)
    for sample in samples:
        runner.run(sample)
        yield [[runner.read(tensor) for tensor in own] for own in sources]
