"""Blocks that mobile networks share."""

from __future__ import annotations

from collections.abc import Sequence

from model_builder import Ref
from network_layers import Layers


def inverted(
    net: Layers, x: Ref, channels: int, expansion: float, kernel: int, stride: int = 1, activation: str = "RELU6",
    squeeze: int = 0, fused: bool = False,
) -> Ref:  # fmt: skip
    """An inverted bottleneck; HARD_SWISH is an op of its own, squeeze the channels of its gate."""
    swish, inner = activation == "HARD_SWISH", "NONE" if activation == "HARD_SWISH" else activation

    def act(y: Ref) -> Ref:
        return net.pointwise("HARD_SWISH", y) if swish else y

    wide = int(x.shape[3] * expansion)
    if fused:
        y = act(net.convolution(x, wide, kernel, stride, inner))
    else:
        y = act(net.convolution(x, wide, 1, activation=inner)) if expansion != 1 else x
        y = act(net.separate(y, kernel, stride, inner))
    if squeeze:
        y = net.squeeze_excite(y, squeeze)
    y = net.convolution(y, channels, 1, activation="NONE")
    return net.graph.add(x, y) if stride == 1 and x.shape[3] == channels else y


Block = tuple[int, float, int, int]  # channels, expansion, kernel, stride


def stack(net: Layers, x: Ref, blocks: Sequence[Block], activation: str = "RELU6") -> Ref:
    for channels, expansion, kernel, stride in blocks:
        x = inverted(net, x, channels, expansion, kernel, stride, activation)
    return x


def classify(net: Layers, x: Ref, classes: int, softmax: bool = True, floats: bool = False) -> bytes:
    net.end(net.dense(net.mean(x, keep=False), classes), softmax=softmax, floats=floats)
    return net.done()


def stages(stages: Sequence[tuple[int, int, float, int, int]]) -> list[Block]:
    """Of (repeats, channels, expansion, kernel, first stride)."""
    return [(c, e, k, s if n == 0 else 1) for repeats, c, e, k, s in stages for n in range(repeats)]
