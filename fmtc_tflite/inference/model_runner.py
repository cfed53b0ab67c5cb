"""Running a model sample by sample, with its tensors readable."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fmtc_tflite.errors import CalibrationError, UnsupportedModelError
from fmtc_tflite.graph.coded_maps import is_converted
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model, Subgraph, Tensor
from fmtc_tflite.graph.variables import keeps_state
from fmtc_tflite.inference.memory_need import check_memory, outgrows_builtin_kernels, runs_briefly
from fmtc_tflite.inference.piecewise import PiecewiseInterpreter, can_be_divided
from fmtc_tflite.runtime.checked import CheckedInterpreter, RefusedModelError
from fmtc_tflite.types import StreamStart

_logger = logging.getLogger(__name__)
_announced: set[str] = set()  # what was said already in this process


class ModelRunner:
    """Runs one subgraph of a model and reads any of its tensors.

    With the built-in kernels, unless told otherwise (no XNNPACK), so that original and converted model compute the same
    thing and differences come from the codec alone. Where they refuse a model that the runtime's default kernels run,
    or would take hundreds of megabytes for it (they unroll the inputs of convolutions, and all tensors have to be
    kept), these take their place, and a line says so.

    Models that keep state run on samples in order, and from the start on a StreamStart.
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
        exposed: bool = False,
        like: ModelRunner | None = None,
        readable: Collection[Tensor] | None = None,
    ) -> None:
        """Opens the model.

        Args:
          file: its tensor objects are what `read` takes.
          subgraph_index: which subgraph to run; above 0 it needs a signature.
          num_threads: threads of the interpreter; where runs are brief, there is one.
          runtime: see load_interpreter.
          default_kernels: run as an application would (XNNPACK); then only graph outputs can be read.
          kernels: run with this set of kernels (see load_interpreter), a large model in pieces; then only graph
            outputs can be read.
          exposed: make all tensors graph outputs, so that they can be read with any kernels.
          like: run with the kernels that this runner has ended up with, to compare the two.
          readable: all that will be read. The runtime's default kernels then run the model, several times as fast, and
            the other tensors share their memory; the built-in kernels only where these refuse it.

        Raises:
          UnsupportedModelError: the runtime refuses the model or works out other shapes than the file has, or its
            tensors do not fit into memory.
          RuntimeLibraryError: see load_interpreter.
        """
        subgraph = file.model.subgraphs[subgraph_index]
        self._has_old_state, self._keeps_state = False, keeps_state(file.model)
        self._default_kernels = default_kernels
        self._readable = readable
        check_memory(file.model, subgraph_index, keeps_all_tensors=not default_kernels and readable is None)
        self._file, self._subgraph_index = file, subgraph_index
        self._index = {tensor: i for i, tensor in enumerate(subgraph.tensors)}
        self._inputs = {tensor.name: self._index[tensor] for tensor in subgraph.inputs}
        threads = 1 if num_threads and runs_briefly(file.model) else num_threads
        self._settings: dict[str, Any] = {"runtime": runtime, "num_threads": threads, "kernels": kernels}
        # Who reads inner tensors, by default with the built-in kernels, may be served by others.
        self._may_fall_back = not default_kernels and kernels is None and not subgraph_index
        self._interpreter: CheckedInterpreter | PiecewiseInterpreter
        prefers = self._may_fall_back and (self._prefers_exposed() if like is None else like.fell_back)
        self._exposed = exposed or prefers
        try:
            self._open_exposed() if self._exposed else self._open()
        except RefusedModelError as refusal:
            self._fall_back(refusal)

    def _prefers_exposed(self) -> bool:
        if self._readable is None and outgrows_builtin_kernels(self._file.model):
            _announce(
                "with built-in kernels the model's tensors would take hundreds of megabytes; the runtime's default "
                "kernels are used instead, for everything that is measured and verified"
            )
            return True
        return self._readable is not None

    @property
    def fell_back(self) -> bool:
        """Whether the runtime's default kernels run a model that the built-in ones would run otherwise."""
        return self._exposed

    def close(self) -> None:
        """Frees the interpreter; what is left is an example for others that are to run alike."""
        del self._interpreter

    def _open(self) -> None:
        model, default_kernels = self._file.model, self._default_kernels
        has_default = default_kernels or self._settings["kernels"] is not None
        self._exposed = False
        if self._settings["kernels"] is not None and outgrows_builtin_kernels(model) and can_be_divided(model):
            self._interpreter, self._signature = PiecewiseInterpreter(model, (), **self._settings), None
            return
        self._interpreter = CheckedInterpreter(
            self._file.content,
            model.subgraphs[0].op_labels,
            preserve_all_tensors=not has_default,
            builtin_kernels_only=not default_kernels,
            attach_delegate=is_converted(model),
            **self._settings,
        )
        if not self._subgraph_index:
            self._check_shapes(model.subgraphs[0])
        self._signature = None
        if self._subgraph_index:
            subgraph = model.subgraphs[self._subgraph_index]
            self._signature = next(s for s in model.signatures if s.subgraph is subgraph)
            self._run_signature = self._interpreter.signature(self._signature.key)

    def _fall_back(self, refusal: RefusedModelError) -> None:
        """Opens the model with the other kernels; raises the refusal if they do not run it either."""
        if not self._may_fall_back:
            raise refusal
        self._may_fall_back = False
        had_default = self._exposed
        try:
            self._open() if had_default else self._open_exposed()
        except UnsupportedModelError:
            raise refusal from None
        if not had_default:
            _, _, op = refusal.said.partition("(")  # its number is another in the converted model
            _announce(
                f"with built-in kernels {refusal.said}; the runtime's default kernels run it and are used instead, for "
                "everything that is measured and verified",
                op,
            )

    def _open_exposed(self) -> None:
        """With the default kernels, which keep inner tensors to themselves: so what is read is made a graph output."""
        self._exposed, self._signature = True, None
        model = self._file.model
        if outgrows_builtin_kernels(model) and can_be_divided(model):
            self._interpreter = PiecewiseInterpreter(model, self._readable, **self._settings)
            return
        self._interpreter = CheckedInterpreter(
            _exposed(model, self._readable),
            model.subgraphs[0].op_labels,
            attach_delegate=is_converted(model),
            **self._settings,
        )
        self._check_shapes(model.subgraphs[0])

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
        if self._has_old_state and isinstance(sample, StreamStart):
            self._open_exposed() if self._exposed else self._open()  # what resets variables of every kind
        self._has_old_state = self._keeps_state
        if self._signature is not None:
            self._run_signature(**{name: sample[t.name] for name, t in self._signature.inputs})
            return
        for name, index in self._inputs.items():
            try:
                self._interpreter.set_input(index, sample[name])
            except ValueError as e:
                raise CalibrationError(f"input {name!r}: {e}") from e
        try:
            self._interpreter.invoke()
        except RefusedModelError as refusal:
            self._fall_back(refusal)
            self.run(sample)
        self._may_fall_back = False

    def read(self, tensor: Tensor) -> np.ndarray:
        """A copy of a tensor's value after the last run.

        Raises:
          UnsupportedModelError: a feature map of another shape than the file has.
        """
        value = self._interpreter.read(self._index[tensor], self._subgraph_index)
        if _is_feature_map(tensor):
            _check_shape(tensor, value)
        return value


def _exposed(model: Model, readable: Collection[Tensor] | None) -> bytes:
    """The model with what its ops write as graph outputs: everything, or what is to be read of it."""
    graph = model.subgraphs[0]
    known = {*graph.inputs, *graph.outputs}
    written = dict.fromkeys(tensor for op in graph.ops for tensor in op.outputs if tensor is not None)
    usable = (t for t in written if t.dtype is not None and not t.is_variable and 0 not in t.shape)
    added = [t for t in usable if t not in known and (readable is None or t in readable)]
    shown = replace(graph, outputs=[*graph.outputs, *added])
    return replace(model, subgraphs=[shown, *model.subgraphs[1:]]).to_bytes()


def _announce(message: str, key: str | None = None) -> None:
    """A warning, once in this process."""
    if (key or message) not in _announced:
        _announced.add(key or message)
        _logger.warning("%s", message)


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
