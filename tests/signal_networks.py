"""Networks of sounds and other signals, with random weights."""

from __future__ import annotations

from collections.abc import Sequence

from network_blocks import classify
from network_layers import Layers, Pair


def ecg(length: int = 1000, channels: Sequence[int] = (16, 32, 64, 64), kernel: int = 7, inputs: int = 1) -> bytes:
    """Convolutions over time: height 1."""
    net = Layers()
    x = net.image(1, length, inputs)
    for count in channels:
        x = net.convolution(x, count, (1, kernel), (1, 2))
        x = net.graph.add(x, net.convolution(x, count, (1, kernel), activation="NONE"), "RELU")
    return classify(net, x, 5)


def temporal(length: int = 512, channels: int = 24, tall: bool = False) -> bytes:
    """A temporal convolutional network, dilated; time along the width or the height."""
    net = Layers()
    x = net.image(length, 1, 13) if tall else net.image(1, length, 13)

    def turned(a: int, b: int) -> Pair:
        return (b, a) if tall else (a, b)

    for level in range(5):
        y = net.convolution(x, channels, turned(1, 3), dilation=turned(1, 1 << level))
        y = net.convolution(y, channels, turned(1, 3), dilation=turned(1, 1 << level), activation="NONE")
        x = net.graph.add(x, y, "RELU") if x.shape[3] == channels else y
    return classify(net, x, 12)


def tc_resnet(length: int = 98) -> bytes:
    """TC-ResNet8 for keywords: MFCC as channels."""
    net = Layers()
    x = net.convolution(net.image(1, length, 40), 16, (1, 3))
    for channels in (24, 32, 48):
        y = net.convolution(net.convolution(x, channels, (1, 9), (1, 2)), channels, (1, 9), activation="NONE")
        x = net.graph.add(net.convolution(x, channels, 1, (1, 2)), y, "RELU")
    return classify(net, x, 12)


def separable_audio(length: int = 96, bands: int = 64) -> bytes:
    """YAMNet, narrow."""
    net = Layers()
    x = net.convolution(net.image(length, bands, 1), 16, 3, 2)
    for channels, stride in ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        x = net.convolution(net.separate(x, 3, stride, "RELU"), channels, 1)
    x = net.dense(net.mean(x, keep=False), 521)
    net.end(net.pointwise("LOGISTIC", x), floats=True)
    return net.done()


def micro_speech() -> bytes:
    """Of TensorFlow Lite Micro's examples."""
    net = Layers()
    net.end(net.dense(net.separate(net.image(49, 40, 1), (10, 8), 2, "RELU", multiplier=8), 4), softmax=True)
    return net.done()


def magic_wand() -> bytes:
    """Of TensorFlow Lite Micro's examples: 128 times 3 accelerations."""
    net = Layers()
    x = net.pool(net.separate(net.image(128, 3, 1), (4, 3), multiplier=8), "MAX_POOL_2D", 3, 3, True)
    net.end(net.dense(net.dense(net.convolution(x, 16, (4, 1)), 16, "RELU"), 4), softmax=True)
    return net.done()


def keyword_cnn() -> bytes:
    """Zhang et al. 2017."""
    net = Layers()
    x = net.convolution(net.convolution(net.image(49, 10, 1), 28, (10, 4)), 30, (10, 4), (2, 1))
    net.end(net.dense(net.dense(net.dense(x, 16), 128, "RELU"), 12), softmax=True)
    return net.done()
