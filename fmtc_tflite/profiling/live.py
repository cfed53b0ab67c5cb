"""The arena of a live interpreter, measured from outside by the addresses of its tensors."""

from __future__ import annotations

from dataclasses import dataclass

from fmtc_tflite.graph.coded_maps import is_converted
from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.memory.arena import ArenaPlan, plan_arena, tensor_bytes
from fmtc_tflite.runtime.checked import CheckedInterpreter
from fmtc_tflite.runtime.interpreter import available_runtimes


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


def measure_arena(file: ModelFile) -> LiveArena:
    """Allocates the model's tensors and looks where they are.

    Args:
      file: the model.

    Raises:
      RuntimeLibraryError: no runtime; or the model is converted and the native library is missing.
      UnsupportedModelError: the runtime cannot run the model (ops that it does not have, a damaged file).
    """
    interpreter = CheckedInterpreter(
        file.content,
        file.model.subgraphs[0].op_labels,
        builtin_kernels_only=True,
        attach_delegate=is_converted(file.model),
    )
    tensors = file.model.subgraphs[0].tensors
    places: dict[int, tuple[int, int]] = {}
    for index in interpreter.tensor_indices():
        if index < len(tensors) and not _lies_in_arena(tensors[index]):
            continue
        array = interpreter.view(index)
        if array is not None and array.nbytes:
            places[index] = (array.__array_interface__["data"][0], array.nbytes)
    inside = _in_arena(places, plan_arena(file.model))
    scratch = sorted((size for index, (_, size) in inside.items() if index >= len(tensors)), reverse=True)
    start = min((address for address, _ in inside.values()), default=0)
    end = max((address + size for address, size in inside.values()), default=0)
    return LiveArena(end - start, scratch, available_runtimes()[0])


def _lies_in_arena(tensor: Tensor) -> bool:
    """Whether the runtime may plan memory for it; to view a resource handle, which has no values, crashes runtimes."""
    return tensor.data is None and not tensor.is_variable and tensor_bytes(tensor) > 0


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
