"""A Keras model's layers as a graph: copies with other layers, and which layers' outputs become feature maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from fmtc_tflite.keras.extra import keras

_layers = keras.layers
_CONVOLUTIONS = (_layers.Conv2D, _layers.DepthwiseConv2D, _layers.SeparableConv2D, _layers.Conv2DTranspose)
_BEFORE_RELU = (*_CONVOLUTIONS, _layers.BatchNormalization, _layers.Add)
_NO_OPERATION = (
    _layers.Dropout, _layers.SpatialDropout2D, _layers.GaussianNoise, _layers.GaussianDropout, _layers.AlphaDropout,
    _layers.ActivityRegularization, _layers.Flatten, _layers.Reshape, _layers.InputLayer,
)  # fmt: skip


def inner(layer: Any) -> Any:
    """The layer itself without the wrappers around it (this package's and TF-MOT's)."""
    while isinstance(layer, _layers.Wrapper):
        layer = layer.layer
    return layer


def all_layers(model: Any) -> Iterator[Any]:
    """The layers of a model and of the models in it, without their wrappers' contents."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)


def copy_layer(layer: Any) -> Any:
    """A new layer of the same configuration, with no weights yet."""
    return type(layer).from_config(layer.get_config())


def rebuild(model: Any, replace: Callable[[Any], Any], unwrap: Callable[[Any], Any]) -> Any:
    """A copy of a functional or sequential model, with weights.

    Args:
      model: the model; it is left as it is.
      replace: makes the new layer for a layer; it may be a wrapper around a copy.
      unwrap: takes away what `replace` adds or removes, so that what is left has the same weights before and after.
    """
    pairs = []

    def clone(layer: Any) -> Any:
        pairs.append((layer, replace(layer)))
        return pairs[-1][1]

    copy = keras.models.clone_model(model, clone_function=clone)
    for old, new in pairs:
        unwrap(new).set_weights(unwrap(old).get_weights())
    return copy


class LayerGraph:
    """Who reads what in a functional or sequential model."""

    def __init__(self, model: Any) -> None:
        nodes = [node for depth in model._nodes_by_depth.values() for node in depth]
        self._calls = Counter(id(node.layer) for node in nodes)
        self._outputs = {id(node.layer): node.outputs for node in nodes}
        self._results = {id(tensor) for tensor in model.outputs}
        self._readers: dict[int, list[Any]] = {}
        self._parents: dict[int, list[Any]] = {}
        for node in nodes:
            for parent in node.parent_nodes:
                self._readers.setdefault(id(parent.layer), []).append(node.layer)
                self._parents.setdefault(id(node.layer), []).append(parent.layer)

    def output(self, layer: Any) -> Any:
        """The Keras tensor that a layer with one output writes."""
        return self._outputs[id(layer)]

    def reason_against(self, layer: Any) -> str | None:
        """Why the output of a layer is no feature map of the quantized model; None if it is one."""
        kind = inner(layer)
        if isinstance(kind, keras.Model):
            return "it is a model; annotate layers in it before it becomes part of another"
        if self._calls[id(layer)] != 1:
            return f"it is called {self._calls[id(layer)]} times, expected once"
        output = self.output(layer)
        if isinstance(output, list | tuple | dict):
            return "it has several outputs, expected one"
        if isinstance(kind, _NO_OPERATION) or type(kind).__name__ == "QuantizeLayer":
            return "no map is computed for it"
        shape = tuple(output.shape)
        if len(shape) != 4 or None in shape[1:] or shape[1] * shape[2] == 1:
            return f"its output has the shape {list(shape)}, expected [batch, height, width, channels], not 1x1"
        if id(output) in self._results:
            return "its output is one of the model's"
        readers = self._readers.get(id(layer), [])
        if len(readers) == 1 and _is_fused(kind, inner(readers[0])):
            return f"'{inner(readers[0]).name}' is computed together with it; annotate that layer"
        if self._is_folded(layer):
            return (
                "it writes what a 1x1 convolution computes from a coded map, which a decoder can do: nothing is stored"
            )
        return None

    def _is_folded(self, layer: Any) -> bool:
        """Whether a pointwise convolution that does not narrow computes the map; see fmtc_tflite.conversion.folding."""
        parents = self._parents.get(id(layer), [])
        while len(parents) == 1 and _is_fused(inner(parents[0]), inner(layer)):
            layer, parents = parents[0], self._parents.get(id(parents[0]), [])
        kind = inner(layer)
        if type(kind) is not _layers.Conv2D or kind.kernel_size != (1, 1) or len(parents) != 1:
            return False
        source = self._outputs[id(parents[0])]
        return not isinstance(parents[0], _layers.InputLayer) and kind.groups == 1 and source.shape[-1] <= kind.filters


def _is_fused(layer: Any, reader: Any) -> bool:
    """Whether the TFLiteConverter makes one op of the two, so that the map between them is never stored."""
    if isinstance(reader, _layers.BatchNormalization):
        return isinstance(layer, _CONVOLUTIONS)
    if isinstance(reader, _layers.ReLU):
        is_relu = not reader.negative_slope and not reader.threshold
    else:
        name = getattr(getattr(reader, "activation", None), "__name__", None)
        is_relu = isinstance(reader, _layers.Activation) and name in ("relu", "relu6")
    return is_relu and isinstance(layer, _BEFORE_RELU)
