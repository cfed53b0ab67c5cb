"""The arena of a live interpreter, measured from outside by the addresses of its tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.model import Model
from fmtc_tflite.graph.rewrite import is_converted
from fmtc_tflite.memory.arena import ArenaPlan, plan_arena
from fmtc_tflite.runtime.interpreter import available_runtimes, load_interpreter


@dataclass(frozen=True)
class LiveArena:
    """What an interpreter allocated for subgraph 0 with the built-in kernels.

    Attributes:
      extent_bytes: from the arena's first used byte to its last.
      scratch_bytes: sizes of the kernels' working memory in it, the largest first; such tensors are not in the file.
      runtime: name of the runtime.
    """

    extent_bytes: int
    scratch_bytes: list[int]
    runtime: str


def measure_arena(model: Model, content: bytes) -> LiveArena:
    """Allocates the model's tensors and looks where they are.

    Args:
      model, content: the model and its bytes.

    Raises:
      RuntimeLibraryError: no runtime; or the model is converted and the native library is missing.
      RuntimeError, ValueError: from the runtime, on a model that it cannot run (ops that it does not have).
    """
    interpreter = load_interpreter(
        model_content=content, builtin_kernels_only=True, attach_delegate=is_converted(model)
    )
    interpreter.allocate_tensors()
    tensors = model.subgraphs[0].tensors
    places: dict[int, tuple[int, int]] = {}
    for detail in interpreter.get_tensor_details():
        index = detail["index"]
        if index < len(tensors) and (tensors[index].data is not None or tensors[index].is_variable):
            continue
        try:
            array: np.ndarray = interpreter.tensor(index)()
        except ValueError:  # no memory
            continue
        if array.nbytes:
            places[index] = (array.__array_interface__["data"][0], array.nbytes)
    inside = _in_arena(places, plan_arena(model))
    scratch = sorted((size for index, (_, size) in inside.items() if index >= len(tensors)), reverse=True)
    start = min((address for address, _ in inside.values()), default=0)
    end = max((address + size for address, size in inside.values()), default=0)
    return LiveArena(end - start, scratch, available_runtimes()[0])


def _in_arena(places: dict[int, tuple[int, int]], plan: ArenaPlan) -> dict[int, tuple[int, int]]:
    """Leaves out what lies in memory of its own: tensors that grow while the model runs, persistent working memory.

    The arena is the group of tensors with the most bytes, where groups are further apart than the whole plan is large.
    """
    groups: list[list[int]] = []
    end = 0
    for index in sorted(places, key=lambda i: places[i]):
        address, size = places[index]
        if not groups or address > end + plan.capacity_bytes:
            groups.append([])
        groups[-1].append(index)
        end = max(end, address + size)
    largest = max(groups, key=lambda group: sum(places[i][1] for i in group), default=[])
    return {index: places[index] for index in largest}
