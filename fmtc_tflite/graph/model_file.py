"""A model together with its bytes: what is looked at, and what a runtime is given."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from fmtc_tflite.graph.model import Model
from fmtc_tflite.graph.model_io import load_model


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A model and the `.tflite` file that it is.

    Attributes:
      model: its tensor objects are what runs of the file are asked for.
      content: the file's bytes.
    """

    model: Model
    content: bytes

    @classmethod
    def parse(cls, content: bytes) -> ModelFile:
        """Reads a file's bytes. Raises ModelFormatError; see load_model."""
        return cls(load_model(content), content)

    @classmethod
    def of(cls, model: Model) -> ModelFile:
        """Saves a model that was changed."""
        return cls(model, model.to_bytes())

    @cached_property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.content).hexdigest()
