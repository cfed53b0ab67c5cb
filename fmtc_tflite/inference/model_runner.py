"""Running a model sample by sample, with its tensors readable."""

from collections.abc import Mapping

import numpy as np

from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.graph.model_io import Model, Tensor
from fmtc_tflite.graph.rewrite import is_converted
from fmtc_tflite.runtime.interpreter import load_interpreter


class ModelRunner:
    """Runs one subgraph of a model and reads any of its tensors.

    With the built-in kernels, unless told otherwise (no XNNPACK), so that original and converted model compute the same
    thing and differences come from the codec alone.
    """

    def __init__(
        self,
        model: Model,
        content: bytes,
        subgraph_index: int = 0,
        num_threads: int | None = None,
        *,
        runtime: str | None = None,
        default_kernels: bool = False,
    ) -> None:
        """Opens the model.

        Args:
          model: what `content` holds; its tensor objects are what `read` takes.
          content: the model's bytes.
          subgraph_index: which subgraph to run; above 0 it needs a signature.
          num_threads: threads of the interpreter.
          runtime: see load_interpreter.
          default_kernels: run as an application would (XNNPACK); then only graph outputs can be read.
        """
        self._interpreter = load_interpreter(
            runtime=runtime,
            num_threads=num_threads,
            model_content=content,
            preserve_all_tensors=not default_kernels,
            builtin_kernels_only=not default_kernels,
            attach_delegate=is_converted(model),
        )
        subgraph = model.subgraphs[subgraph_index]
        self._subgraph_index = subgraph_index
        self._index = {id(tensor): i for i, tensor in enumerate(subgraph.tensors)}
        self._inputs = {tensor.name: self._index[id(tensor)] for tensor in subgraph.inputs}
        self._signature = None
        if subgraph_index:
            self._signature = next(s for s in model.signatures if s.subgraph is subgraph)
            self._signature_runner = self._interpreter.get_signature_runner(self._signature.key)
        else:
            self._interpreter.allocate_tensors()

    def run(self, sample: Mapping[str, np.ndarray]) -> None:
        """Runs the subgraph on one sample: input tensor name -> array of the tensor's shape and type."""
        if self._signature is not None:
            self._signature_runner(**{name: sample[t.name] for name, t in self._signature.inputs})
            return
        for name, index in self._inputs.items():
            try:
                self._interpreter.set_tensor(index, sample[name])
            except ValueError as e:
                raise CalibrationError(f"input {name!r}: {e}") from e
        self._interpreter.invoke()

    def read(self, tensor: Tensor) -> np.ndarray:
        """A copy of a tensor's value after the last run."""
        index = self._index[id(tensor)]
        if self._subgraph_index:
            return self._interpreter.get_tensor(index, self._subgraph_index)
        return self._interpreter.get_tensor(index)


def signed(x: np.ndarray) -> np.ndarray:
    """An int8 or uint8 map in the int8 domain of FORMAT.md."""
    return (x ^ 0x80).view(np.int8) if x.dtype == np.uint8 else x
