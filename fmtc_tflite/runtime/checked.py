"""An interpreter of a model that nobody vouches for: whatever the runtime says against it becomes one error.

Runtimes refuse models when they open, prepare or run them, with RuntimeError, ValueError and others, and with messages
that need not be text. All parts of this package run models through `CheckedInterpreter`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.runtime.interpreter import available_runtimes, load_interpreter
from fmtc_tflite.supervision import foreign_code

_RUNTIME_ERRORS = (RuntimeError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError, SystemError)
_NODE = re.compile(r"Node number (\d+) \((.+?)\) failed to (?:prepare|invoke)\.?")
_UNRESOLVED = re.compile(r"Encountered unresolved custom op: ([^\s.]+(?:\.[^\s.]+)*)")
_UNKNOWN_BUILTIN = re.compile(r"Didn't find op for builtin opcode '(\w+)' version '(\d+)'")
_FLEX = "Flex"
_MOST_CHARACTERS = 400


class RefusedModelError(UnsupportedModelError):
    """A runtime refuses a model. Attributes: said: what it says, without advice."""

    def __init__(self, said: str, advice: str) -> None:
        super().__init__(f"{said}; {advice}")
        self.said = said


class CheckedInterpreter:
    """Runs a model. Every method raises UnsupportedModelError where the runtime refuses."""

    def __init__(
        self,
        content: bytes,
        ops: Sequence[tuple[str, str]] = (),
        *,
        runtime: str | None = None,
        input_shapes: Mapping[int, tuple[int, ...]] | None = None,
        **options: Any,
    ) -> None:
        """Opens the model and allocates its tensors.

        Args:
          content: the model's bytes.
          ops: what messages call the ops of the first subgraph, in execution order: opcode, and a tensor it writes.
          input_shapes: by tensor index, in the place of the file's.
          runtime, options: see load_interpreter.

        Raises:
          UnsupportedModelError: the runtime refuses the model.
          RuntimeLibraryError, UsageError: see load_interpreter.
        """
        self._runtime = runtime or next(iter(available_runtimes()), "")
        self._ops = ops
        with self._at("opening"):
            self._interpreter = load_interpreter(model_content=content, runtime=runtime, **options)
        with self._at("preparing"):
            for index, shape in (input_shapes or {}).items():
                self._interpreter.resize_tensor_input(index, shape)
            self._interpreter.allocate_tensors()

    def set_input(self, index: int, value: np.ndarray) -> None:
        """Sets the tensor of this index.

        Raises:
          ValueError: the value has another shape or type than the runtime's tensor.
        """
        self._interpreter.set_tensor(index, value)

    def invoke(self) -> None:
        """Runs the first subgraph."""
        with self._at("running"):
            self._interpreter.invoke()

    def signature(self, key: str) -> Callable[..., Any]:
        """The function of a signature, which takes its inputs by name."""
        with self._at("preparing"):
            runner = self._interpreter.get_signature_runner(key)

        def run(**inputs: np.ndarray) -> Any:
            with self._at("running"):
                return runner(**inputs)

        return run

    def read(self, index: int, subgraph: int = 0) -> np.ndarray:
        """A copy of a tensor's value."""
        with self._at("reading"):
            return self._interpreter.get_tensor(*((index, subgraph) if subgraph else (index,)))

    def view(self, index: int) -> np.ndarray | None:
        """A tensor's memory as long as the interpreter does not run; None while it has none."""
        try:
            return self._interpreter.tensor(index)()
        except _RUNTIME_ERRORS:
            return None

    def tensor_indices(self) -> list[int]:
        """The indices of all tensors, those that the runtime added included."""
        with self._at("reading"):
            return [detail["index"] for detail in self._interpreter.get_tensor_details()]

    def shapes(self) -> dict[int, tuple[int, ...]]:
        """The shape of each tensor, by index, as the runtime has inferred it."""
        with self._at("reading"):
            details = self._interpreter.get_tensor_details()
        return {detail["index"]: tuple(int(size) for size in detail["shape"]) for detail in details}

    @contextmanager
    def _at(self, doing: str) -> Iterator[None]:
        try:
            with foreign_code(self._runtime, doing):
                yield
        except _RUNTIME_ERRORS as error:
            lacking = self._lacking(_text(error))
            if lacking is not None:
                raise UnsupportedModelError(lacking) from error
            raise RefusedModelError(
                f"the runtime {self._runtime} refuses the model when {doing} it: {self._located(_text(error))}",
                "the model is damaged, or not made for this runtime: export it again, or update the runtime",
            ) from error

    def _lacking(self, message: str) -> str | None:
        """What to say of a message about an op that the runtime does not have; None for others."""
        custom, builtin, node = (each.search(message) for each in (_UNRESOLVED, _UNKNOWN_BUILTIN, _NODE))
        name = custom[1] if custom else node[2] if node and node[2].startswith(_FLEX) else None
        if name is not None:
            place = int(node[1]) if node else None
            written = f", writes '{self._ops[place][1]}'" if place is not None and place < len(self._ops) else ""
            where = "" if place is None else f" (op {place}{written})"
            help_ = "its implementation is its maker's: give it with --op_library FILE or --delegate FILE"
            if name.startswith(_FLEX):
                help_ = (
                    f"it is TensorFlow's {name.removeprefix(_FLEX)}: convert the model without SELECT_TF_OPS, or use "
                    "the runtime tensorflow"
                )
            return f"the runtime {self._runtime} lacks the custom op {name}{where}; {help_}"
        if builtin is not None:
            return (
                f"the runtime {self._runtime} lacks the op {builtin[1]} in version {builtin[2]}, which the model was "
                "written for; update the runtime"
            )
        return None

    def _located(self, message: str) -> str:
        """The message with the op that it is about at the front."""
        found = _NODE.search(message)
        if found is None:
            return message[:_MOST_CHARACTERS]
        number, opcode = int(found[1]), found[2]
        written = ""
        if number < len(self._ops) and self._ops[number][0] == opcode:
            written = f", writes '{self._ops[number][1]}'"
        said = " ".join((message[: found.start()] + message[found.end() :]).split())[:_MOST_CHARACTERS]
        return f"op {number} ({opcode}{written}): {said or 'it failed'}"


def _text(error: Exception) -> str:
    """What an error says in one line, also where the runtime's message was no text."""
    if isinstance(error, UnicodeDecodeError):
        message = error.object.decode("utf-8", "backslashreplace")
    elif isinstance(error, MemoryError):
        message = "it needs more memory than there is"
    else:
        message = str(error)
    return " ".join(message.split()) or type(error).__name__
