"""Tensors of the original beside what became of them in the converted model: of one sample, and whether they agree."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fmtc_tflite.data.opening import input_specs_from_model, open_data
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.errors import UnsupportedModelError, UsageError
from fmtc_tflite.fidelity.differences import differing
from fmtc_tflite.fidelity.region_sources import same_tensor
from fmtc_tflite.graph.coded_maps import coded_maps, is_converted, named_kernels
from fmtc_tflite.graph.model import Model, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import InnerTensor, region_inputs, region_ops
from fmtc_tflite.inference.inner_reader import InnerReader
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.profiling.options import ProfileOptions
from fmtc_tflite.regions.candidates import is_reshape
from fmtc_tflite.regions.inner_tensors import inner_tensors
from fmtc_tflite.regions.restoration import original_ops, without_our_ops
from fmtc_tflite.text import near_names

_NUMBERED = re.compile(r"op:(\d+)")
_LONGEST_NAME = 60  # characters of a tensor's name in the name of a file

Sample = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class TensorDump:
    """One tensor's values.

    Attributes:
      tensor: of the original.
      stem: of the files' names.
      original: its values.
      converted: those of the converted model; None without one.
      computed: which of them are computed at all, of the same shape: strips leave out what nobody needs.
    """

    tensor: Tensor
    stem: str
    original: np.ndarray
    converted: np.ndarray | None
    computed: np.ndarray

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """Names and contents, as numpy's `.npy`."""
        arrays = [self.original] if self.converted is None else [self.original, self.converted]
        return list(zip(_file_names(self.stem, len(arrays) > 1), map(_npy, arrays), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """As the profile's JSON has it."""
        entry: dict[str, Any] = {
            "tensor": self.tensor.name,
            "shape": list(self.original.shape),
            "type": self.tensor.type_name,
            "files": [name for name, _ in self.files],
            "values": self.original.size,
            "computed_values": None if self.converted is None else int(self.computed.sum()),
            "different_values": None,
            "first_difference": None,
        }
        if self.converted is not None:
            wrong = differing(self.original, self.converted) & self.computed.reshape(-1)
            entry["different_values"] = int(wrong.sum())
            if wrong.any():
                place = int(np.flatnonzero(wrong)[0])
                entry["first_difference"] = {
                    "index": [int(i) for i in np.unravel_index(place, self.original.shape)],
                    "original": _number(self.original.reshape(-1)[place]),
                    "converted": _number(self.converted.reshape(-1)[place]),
                }
        return entry


class TensorDumper:
    """Reads tensors that users name from a model, or from an original and the model made from it."""

    def __init__(self, contents: Sequence[bytes], options: ProfileOptions) -> None:
        """Finds the tensors; runs nothing.

        Args:
          contents: of one model, or of the original and the converted one.

        Raises:
          UsageError: no such tensor in the original, or the original is not to be had.
        """
        self._options = options
        self.tensors: list[Tensor] = []
        if not options.tensors:
            return
        converted = load_model(contents[-1])
        self._converted = contents[-1] if len(contents) > 1 or is_converted(converted) else None
        original = load_model(contents[0]) if len(contents) > 1 else _original_of(converted)
        self._original = original
        self.tensors = [tensor for name in options.tensors for tensor in _named(original, name)]

    @property
    def file_names(self) -> list[str]:
        """Of everything that `run` gives."""
        return [name for t in self.tensors for name in _file_names(self._stem(t), self._converted is not None)]

    def _stem(self, tensor: Tensor) -> str:
        """By the op that writes a tensor, then its name."""
        graph = self._original.subgraphs[0]
        number = next((i for i, op in enumerate(graph.ops) if tensor in op.outputs), None)
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", tensor.name)[:_LONGEST_NAME]
        return f"{'input' if number is None else f'op{number}'}_{name}"

    def run(self) -> list[TensorDump]:
        """Runs the models on one sample: the first of the data, or a synthetic one."""
        if not self.tensors:
            return []
        sample = self._sample()
        kernels = None if self._converted is None else named_kernels(load_model(self._converted))
        originals = self._read_original(sample, kernels)
        found = [] if self._converted is None else self._read_converted(sample, kernels)
        dumps = []
        for number, tensor in enumerate(self.tensors):
            converted, computed = found[number] if found else (None, np.ones(originals[number].shape, bool))
            dumps.append(TensorDump(tensor, self._stem(tensor), originals[number], converted, computed))
        return dumps

    def _sample(self) -> Sample:
        if self._options.data is not None:
            return next(iter(open_data(self._original, self._options)))
        return next(iter(SyntheticDataset(input_specs_from_model(self._original), 1, self._options.seed or 0)))

    def _read_original(self, sample: Sample, kernels: str | None) -> list[np.ndarray]:
        copy = load_model(self._original.to_bytes())  # whose outputs may change
        same = dict(zip(_activations(self._original), _activations(copy), strict=True))
        own = [same[tensor] for tensor in self.tensors]
        runner = _runner(copy, own, kernels, self._options)
        runner.run(sample)
        return [runner.read(tensor) for tensor in own]

    def _read_converted(self, sample: Sample, kernels: str | None) -> list[tuple[np.ndarray, np.ndarray]]:
        assert self._converted is not None
        model = load_model(self._converted)
        hidden = inner_tensors(model, original_ops(model)) if region_ops(model) else {}
        places = [_place(model, self._original, tensor, hidden) for tensor in self.tensors]
        inner = [place for place in places if isinstance(place, InnerTensor)]
        outside = [place for place in places if isinstance(place, Tensor)]
        runner = _runner(model, [*outside, *region_inputs(each.region for each in inner)], kernels, self._options)
        runner.run(sample)
        values = InnerReader(runner, inner).read()
        found = []
        for tensor, place in zip(self.tensors, places, strict=True):
            x = values[place.tensor] if isinstance(place, InnerTensor) else runner.read(place)
            x = x.reshape(len(x), *tensor.shape[1:]) if tensor.shape else x
            computed = place.computed if isinstance(place, InnerTensor) else np.ones(x.shape[1:], bool)
            found.append((x, np.broadcast_to(computed.reshape(x.shape[1:]), x.shape)))
        return found


def _original_of(model: Model) -> Model:
    """The original of a converted model, or the model itself."""
    if not is_converted(model):
        return model
    try:
        return without_our_ops(model)
    except UnsupportedModelError as e:
        raise UsageError(f"--tensor: the file does not give its original back ({e}); name both with --compare") from e


def _activations(model: Model) -> list[Tensor]:
    """What a model's first graph is given and computes."""
    graph = model.subgraphs[0]
    return [*graph.inputs, *(tensor for op in graph.ops for tensor in op.outputs if tensor is not None)]


def _file_names(stem: str, pair: bool) -> list[str]:
    return [f"{stem}.{kind}.npy" for kind in ("original", "converted")[: 1 + pair]]


def _named(original: Model, name: str) -> list[Tensor]:
    """The tensors that users mean by a name or by op:NUMBER.

    Raises:
      UsageError: there is none, or several have the name.
    """
    graph = original.subgraphs[0]
    known = _activations(original)
    found = [tensor for tensor in known if tensor.name == name]
    if not found and (numbered := _NUMBERED.fullmatch(name)) is not None:
        if int(numbered[1]) >= len(graph.ops):
            raise UsageError(f"--tensor {name}: the original's ops are op:0 to op:{len(graph.ops) - 1}")
        return [tensor for tensor in graph.ops[int(numbered[1])].outputs if tensor is not None]
    if len(found) > 1:
        raise UsageError(f"--tensor {name!r}: {len(found)} tensors have this name; op:NUMBER says which op writes it")
    if not found:
        near = near_names(name, (tensor.name for tensor in known))
        raise UsageError(f"--tensor {name!r}: the original has no such tensor{near}")
    if found[0].dtype is None:
        raise UsageError(f"--tensor {name!r}: it is of type {found[0].type_name}, which has no values to compare")
    return found


def _place(model: Model, original: Model, tensor: Tensor, hidden: Mapping[str, InnerTensor]) -> Tensor | InnerTensor:
    """Where a tensor of the original is in the converted model."""
    maps = coded_maps(model.subgraphs[0])
    decoded = {m.name: m.decoded[0] for m in maps if m.decoded}
    decoded |= {name: copy for m in maps for name, copy in m.named_copies.items()}
    if tensor.name in decoded:
        return decoded[tensor.name]
    source: Tensor | None = tensor
    while source is not None:
        found = same_tensor(model, original, source) or hidden.get(source.name)
        if found is not None:
            return found
        writer = next((op for op in original.subgraphs[0].ops if source in op.outputs), None)
        source = writer.inputs[0] if writer is not None and is_reshape(writer) else None
    raise UsageError(f"--tensor {tensor.name!r}: nothing in the converted model computes it")


def _runner(model: Model, wanted: Sequence[Tensor], kernels: str | None, options: ProfileOptions) -> ModelRunner:
    """Runs a model whose tensors can be read: with built-in kernels any, with others those that are made outputs."""
    graph = model.subgraphs[0]
    if kernels is not None:
        known = {*graph.inputs, *graph.outputs}
        graph.outputs = [*graph.outputs, *(t for t in dict.fromkeys(wanted) if t not in known)]
    return ModelRunner(ModelFile.of(model), num_threads=options.num_threads, kernels=kernels)


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(array))
    return content.getvalue()


def _number(value: np.generic) -> float | None:
    number = value.item()
    return number if np.isfinite(number) else None
