"""Running a model sample by sample, with its tensors readable."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fmtc_tflite.errors import CalibrationError, UnsupportedModelError
from fmtc_tflite.graph.coded_maps import is_converted
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Subgraph, Tensor
from fmtc_tflite.inference.memory_need import check_memory
from fmtc_tflite.runtime.checked import CheckedInterpreter


class ModelRunner:
    """Runs one subgraph of a model and reads any of its tensors.

    With the built-in kernels, unless told otherwise (no XNNPACK), so that original and converted model compute the same
    thing and differences come from the codec alone.
    """

    def __init__(
        self,
        file: ModelFile,
        subgraph_index: int = 0,
        num_threads: int | None = None,
        *,
        runtime: str | None = None,
        default_kernels: bool = False,
        kernels: str | None = None,
    ) -> None:
        """Opens the model.

        Args:
          file: its tensor objects are what `read` takes.
          subgraph_index: which subgraph to run; above 0 it needs a signature.
          num_threads: threads of the interpreter.
          runtime: see load_interpreter.
          default_kernels: run as an application would (XNNPACK); then only graph outputs can be read.
          kernels: run with this set of kernels (see load_interpreter); then only graph outputs can be read.

        Raises:
          UnsupportedModelError: the runtime refuses the model or works out other shapes than the file has, or its
            tensors do not fit into memory.
          RuntimeLibraryError: see load_interpreter.
        """
        subgraph = file.model.subgraphs[subgraph_index]
        check_memory(file.model, subgraph_index, keeps_all_tensors=not default_kernels)
        self._interpreter = CheckedInterpreter(
            file.content,
            file.model.subgraphs[0].op_labels,
            runtime=runtime,
            num_threads=num_threads,
            preserve_all_tensors=not default_kernels and kernels is None,
            builtin_kernels_only=not default_kernels,
            kernels=kernels,
            attach_delegate=is_converted(file.model),
        )
        self._subgraph_index = subgraph_index
        self._index = {tensor: i for i, tensor in enumerate(subgraph.tensors)}
        self._inputs = {tensor.name: self._index[tensor] for tensor in subgraph.inputs}
        if not subgraph_index:
            self._check_shapes(subgraph)
        self._signature = None
        if subgraph_index:
            self._signature = next(s for s in file.model.signatures if s.subgraph is subgraph)
            self._run_signature = self._interpreter.signature(self._signature.key)

    def _check_shapes(self, subgraph: Subgraph) -> None:
        """The runtime works out the shapes of feature maps anew; all else here rests on those in the file."""
        for index, tensor in enumerate(subgraph.tensors):
            if tensor.data is None and _is_feature_map(tensor):
                value = self._interpreter.view(index)
                if value is not None:  # else its shape depends on data, or it is a delegate's
                    _check_shape(tensor, value)

    def run(self, sample: Mapping[str, np.ndarray]) -> None:
        """Runs the subgraph on one sample: input tensor name -> array of the tensor's shape and type.

        Raises:
          CalibrationError: the sample does not fit.
          UnsupportedModelError: the runtime cannot run the model.
        """
        if self._signature is not None:
            self._run_signature(**{name: sample[t.name] for name, t in self._signature.inputs})
            return
        for name, index in self._inputs.items():
            try:
                self._interpreter.set_input(index, sample[name])
            except ValueError as e:
                raise CalibrationError(f"input {name!r}: {e}") from e
        self._interpreter.invoke()

    def read(self, tensor: Tensor) -> np.ndarray:
        """A copy of a tensor's value after the last run.

        Raises:
          UnsupportedModelError: a feature map of another shape than the file has.
        """
        value = self._interpreter.read(self._index[tensor], self._subgraph_index)
        if _is_feature_map(tensor):
            _check_shape(tensor, value)
        return value


def _is_feature_map(tensor: Tensor) -> bool:
    return tensor.dtype in (np.int8, np.uint8) and len(tensor.shape) == 4


def _check_shape(tensor: Tensor, value: np.ndarray) -> None:
    # Where only the batch is unknown, it has the size in the file.
    known = [i == 0 or size >= 0 for i, size in enumerate(tensor.shape_signature or tensor.shape)]
    sizes = zip(known, tensor.shape, value.shape, strict=False)
    if value.ndim != 4 or any(is_known and own != real for is_known, own, real in sizes):
        raise UnsupportedModelError(
            f"tensor '{tensor.name}' has the shape {list(tensor.shape)} in the file, the runtime makes it "
            f"{list(value.shape)}; export the model with the input shape that it is to run with"
        )


def signed(x: np.ndarray) -> np.ndarray:
    """An int8 or uint8 map in the int8 domain of FORMAT.md."""
    return (x ^ 0x80).view(np.int8) if x.dtype == np.uint8 else x
