"""Networks for microcontrollers, of a few layers, or of layers that mobile ones have not; with random weights."""

from __future__ import annotations

from collections.abc import Sequence

from model_builder import Ref
from network_blocks import classify, stack, stages
from network_layers import Layers


def lenet(size: int = 28, first: int = 6, second: int = 16, pool: str = "MAX_POOL_2D", floats: bool = False) -> bytes:
    net = Layers()
    x = net.float_image(size, 1) if floats else net.image(size, size, 1)
    x = net.pool(net.convolution(x, first, 5), pool, 2, 2, True)
    x = net.pool(net.convolution(x, second, 5, valid=True), pool, 2, 2, True)
    net.end(net.dense(net.dense(net.dense(x, 120, "RELU"), 84, "RELU"), 10), softmax=True, floats=floats)
    return net.done()


def small_cnn(size: int, inputs: int, channels: Sequence[int], classes: int = 10) -> bytes:
    """3x3 convolutions, a pool behind each, one dense layer."""
    net = Layers()
    x = net.image(size, size, inputs)
    for count in channels:
        x = net.pool(net.convolution(x, count), "MAX_POOL_2D", 2, 2, True)
    net.end(net.dense(x, classes), softmax=True)
    return net.done()


def plain(size: int, channels: Sequence[int], kernel: int = 3, separable: bool = False, dilation: int = 1) -> bytes:
    """Layers of one resolution."""
    net = Layers()
    x = net.image(size, size)
    for count in channels:
        if separable and x.shape[3] > 3:
            x = net.convolution(net.separate(x, kernel, dilation=dilation), count, 1)
        else:
            x = net.convolution(x, count, kernel, dilation=dilation)
    net.end(x)
    return net.done()


def fomo(size: int = 96, width: float = 0.35) -> bytes:
    """The beginning of MobileNetV2 and a head for each cell."""
    net = Layers()
    x = net.convolution(net.image(size, size), 16, 3, 2, "RELU6")
    x = stack(net, x, stages(((1, 8, 1, 3, 1), (2, 8, 6, 3, 2), (3, 16, 6, 3, 2))))
    x = net.convolution(net.convolution(x, 96, 1, activation="RELU6"), 32, 1)
    net.end(net.convolution(x, 3, 1, activation="NONE"), softmax=True)
    return net.done()


def yolo_tiny(size: int = 192, width: int = 16, activation: str = "LEAKY_RELU") -> bytes:
    net = Layers()
    x = net.image(size, size)
    for level in range(5):
        x = net.pointwise(activation, net.convolution(x, width << level, 3, activation="NONE"))
        x = net.pool(x, "MAX_POOL_2D", 2, 2, False)
    x = net.pointwise(activation, net.convolution(x, width << 5, 3, activation="NONE"))
    net.end(net.convolution(x, 125, 1, activation="NONE"))
    return net.done()


def yolo_neck(size: int = 160, width: int = 16) -> bytes:
    """Cross-stage blocks of YOLOv5 with hard swish."""
    net = Layers()

    def conv(x: Ref, channels: int, kernel: int = 3, stride: int = 1) -> Ref:
        return net.pointwise("HARD_SWISH", net.convolution(x, channels, kernel, stride, "NONE"))

    x = conv(net.image(size, size), width, 6, 2)
    for level in range(1, 4):
        channels = width << level
        x = conv(x, channels, 3, 2)
        y = conv(x, channels // 2, 1)
        y = net.graph.add(y, conv(conv(y, channels // 2, 1), channels // 2))
        x = conv(net.concatenate([y, conv(x, channels // 2, 1)]), channels, 1)
    pooled = [x]
    for _ in range(3):
        pooled.append(net.pool(pooled[-1], "MAX_POOL_2D", 5, 1, False))
    x = conv(net.concatenate(pooled), 128, 1)
    net.end(net.pointwise("LOGISTIC", net.convolution(x, 18, 1, activation="NONE")))
    return net.done()


def shufflenet_v2(size: int = 224, widths: Sequence[int] = (48, 96, 192)) -> bytes:
    net = Layers()
    x = net.pool(net.convolution(net.image(size, size), 24, 3, 2), "MAX_POOL_2D", 3, 2, False)
    for width, repeats in zip(widths, (4, 8, 4), strict=True):
        half = width // 2
        a = net.convolution(net.separate(x, 3, 2, "NONE"), half, 1)
        b = net.convolution(net.separate(net.convolution(x, half, 1), 3, 2, "NONE"), half, 1)
        x = net.shuffle(net.concatenate([a, b]), 2)
        for _ in range(repeats - 1):
            a, b = net.halves(x)
            b = net.convolution(net.separate(net.convolution(b, half, 1), 3, 1, "NONE"), half, 1)
            x = net.shuffle(net.concatenate([a, b]), 2)
    return classify(net, net.convolution(x, 512, 1), 1000)


def squeezenet(size: int = 224) -> bytes:
    net = Layers()
    x = net.pool(net.convolution(net.image(size, size), 64, 3, 2), "MAX_POOL_2D", 3, 2, True)
    for number, count in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        if number in (2, 4):
            x = net.pool(x, "MAX_POOL_2D", 3, 2, True)
        y = net.convolution(x, count, 1)
        x = net.concatenate([net.convolution(y, 4 * count, 1), net.convolution(y, 4 * count, 3)])
    x = net.convolution(x, 1000, 1)
    net.end(net.mean(x, keep=False), softmax=True)
    return net.done()


def densenet(size: int = 32, growth: int = 12, layers: int = 6) -> bytes:
    net = Layers()
    x = net.convolution(net.image(size, size), 2 * growth, 3)
    for block in range(3):
        for _ in range(layers):
            x = net.concatenate([x, net.convolution(net.convolution(x, 4 * growth, 1), growth, 3)])
        if block < 2:
            x = net.pool(net.convolution(x, x.shape[3] // 2, 1), "AVERAGE_POOL_2D", 2, 2, True)
    return classify(net, x, 10)


def espcn(size: int = 96, channels: int = 32, block: int = 3) -> bytes:
    net = Layers()
    x = net.convolution(net.image(size, size, 1), channels, 5)
    x = net.convolution(net.convolution(x, channels, 3), block**2, 3, activation="NONE")
    net.end(net.depth_to_space(x, block))
    return net.done()


def fsrcnn(size: int = 64) -> bytes:
    net = Layers()
    x = net.convolution(net.convolution(net.image(size, size, 1), 56, 5), 12, 1)
    for _ in range(4):
        x = net.convolution(x, 12, 3)
    net.end(net.transposed(net.convolution(x, 56, 1), 1, 9, 2))
    return net.done()


def abpn(size: int = 96, channels: int = 28) -> bytes:
    """Super-resolution of mobile AI challenges: 3x3 convolutions, DEPTH_TO_SPACE."""
    net = Layers()
    image = net.image(size, size)
    x = image
    for _ in range(6):
        x = net.convolution(x, channels, 3)
    x = net.graph.add(net.convolution(x, 27, 3, activation="NONE"), net.concatenate([image] * 9))
    net.end(net.depth_to_space(x, 3))
    return net.done()


def alexnet(size: int = 224, width: int = 1) -> bytes:
    net = Layers()
    x = net.pool(net.convolution(net.image(size, size), 64 // width, 11, 4), "MAX_POOL_2D", 3, 2, True)
    x = net.pool(net.convolution(x, 192 // width, 5), "MAX_POOL_2D", 3, 2, True)
    x = net.convolution(net.convolution(x, 384 // width, 3), 256 // width, 3)
    x = net.pool(net.convolution(x, 256 // width, 3), "MAX_POOL_2D", 3, 2, True)
    net.end(net.dense(net.dense(x, 256, "RELU"), 100), softmax=True)
    return net.done()


def convnext(size: int = 64, channels: int = 24) -> bytes:
    """7x7 depthwise blocks."""
    net = Layers()
    x = net.convolution(net.image(size, size), channels, 4, 4, "NONE")
    for _ in range(3):
        y = net.convolution(net.separate(x, 7, activation="NONE"), 4 * channels, 1)
        x = net.graph.add(x, net.convolution(y, channels, 1, activation="NONE"))
    return classify(net, x, 10)


def mobilefacenet(size: int = 112) -> bytes:
    net = Layers()
    x = net.prelu(net.convolution(net.image(size, size), 64, 3, 2, "NONE"))
    x = net.prelu(net.separate(x, activation="NONE"))
    for channels, stride in ((64, 2), (64, 1), (64, 1), (128, 2), (128, 1), (128, 1), (128, 2), (128, 1)):
        y = net.prelu(net.convolution(x, 2 * channels, 1, activation="NONE"))
        y = net.prelu(net.separate(y, 3, stride, "NONE"))
        y = net.convolution(y, channels, 1, activation="NONE")
        x = net.graph.add(x, y) if stride == 1 else y
    x = net.prelu(net.convolution(x, 512, 1, activation="NONE"))
    x = net.separate(x, x.shape[1], activation="NONE", valid=True)
    net.end(net.convolution(x, 128, 1, activation="NONE"), floats=True)
    return net.done()


def face_landmarks(size: int = 64) -> bytes:
    """BlazeFace-like: float ends, 5x5 depthwise, ADD of padded channels, pools in skips."""
    net = Layers()
    x = net.convolution(net.float_image(size), 24, 5, 2)
    for channels, stride in ((24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2), (56, 1), (64, 1)):
        y = net.convolution(net.separate(x, 3, stride, "NONE"), channels, 1, activation="NONE")
        skip = net.pool(x, "MAX_POOL_2D", 2, 2, False) if stride == 2 else x
        x = net.pointwise("RELU", net.graph.add(y, net.convolution(skip, channels, 1, activation="NONE")))
    net.end(net.dense(x, 136), floats=True)
    return net.done()


def se_resnet(size: int = 32, width: int = 16) -> bytes:
    net = Layers()
    x = net.convolution(net.image(size, size), width, 3)
    for stage in range(3):
        channels, stride = width << stage, 2 if stage else 1
        y = net.convolution(net.convolution(x, channels, 3, stride), channels, 3, activation="NONE")
        y = net.squeeze_excite(y, max(4, channels // 8))
        skip = x if stride == 1 else net.convolution(x, channels, 1, stride, "NONE")
        x = net.graph.add(skip, y, "RELU")
    return classify(net, x, 10)


def tanh_net(size: int = 48, channels: int = 16) -> bytes:
    """Gated convolutions: tanh times sigmoid."""
    net = Layers()
    x = net.convolution(net.image(size, size), channels, 3)
    for _ in range(3):
        a = net.pointwise("TANH", net.convolution(x, channels, 3, activation="NONE"))
        b = net.pointwise("LOGISTIC", net.convolution(x, channels, 3, activation="NONE"))
        gated = net.times(a, b)
        x = net.graph.add(x, gated)
    net.end(net.convolution(x, 2, 1, activation="NONE"))
    return net.done()


def segmentation(size: int = 96, channels: int = 16) -> bytes:
    """Fast-SCNN-like, small: separable layers, bilinear resizes, additions."""
    net = Layers()
    x = net.convolution(net.image(size, size), channels, 3, 2)
    low = net.convolution(net.separate(x, 3, 2), 2 * channels, 1)
    y = stack(net, low, stages(((2, 2 * channels, 4, 3, 2), (2, 3 * channels, 4, 3, 1))))
    y = net.bilinear(y, low.shape[1], low.shape[2])
    parts = [net.convolution(each, 2 * channels, 1, activation="NONE") for each in (y, low)]
    y = net.graph.add(*parts, "RELU")
    y = net.convolution(net.separate(y), 4, 1, activation="NONE")
    net.end(net.bilinear(y, size, size))
    return net.done()


def batched(batch: int = 4) -> bytes:
    net = Layers()
    x = net.convolution(net.image(48, 48, 3, batch), 16, 3, 2)
    for channels, stride in ((32, 1), (64, 2), (64, 1), (128, 2)):
        x = net.convolution(net.separate(x, 3, stride), channels, 1)
    return classify(net, x, 10)


def autoencoder(size: int = 32) -> bytes:
    net = Layers()
    x = net.image(size, size, 1)
    for channels in (8, 16, 32):
        x = net.convolution(x, channels, 3, 2)
    for channels in (16, 8, 1):
        x = net.pointwise("RELU", net.transposed(x, channels))
    net.end(x)
    return net.done()


def vgg(size: int = 64, width: int = 32) -> bytes:
    net = Layers()
    x = net.image(size, size)
    for level, count in enumerate((2, 2, 3, 3)):
        for _ in range(count):
            x = net.convolution(x, width << level, 3)
        x = net.pool(x, "MAX_POOL_2D", 2, 2, True)
    net.end(net.dense(net.dense(x, 128, "RELU"), 10), softmax=True)
    return net.done()


def plain_resnet(blocks: Sequence[int], width: int = 16, size: int = 32, imagenet: bool = False) -> bytes:
    """Pairs of 3x3 convolutions; ResNet-20 is (3, 3, 3), ResNet-18 (2, 2, 2, 2) of width 64."""
    net = Layers()
    x = net.convolution(net.image(size, size), width, 7 if imagenet else 3, 2 if imagenet else 1)
    x = net.pool(x, "MAX_POOL_2D", 3, 2, False) if imagenet else x
    for stage, count in enumerate(blocks):
        for number in range(count):
            channels, stride = width << stage, 2 if stage and not number else 1
            y = net.convolution(net.convolution(x, channels, 3, stride), channels, 3, activation="NONE")
            skip = x if stride == 1 else net.convolution(x, channels, 1, stride, "NONE")
            x = net.graph.add(skip, y, "RELU")
    return classify(net, x, 10)


def edsr(size: int = 64, channels: int = 16) -> bytes:
    net = Layers()
    first = x = net.convolution(net.image(size, size), channels, 3)
    for _ in range(4):
        x = net.graph.add(x, net.convolution(net.convolution(x, channels, 3), channels, 3, activation="NONE"))
    net.end(net.depth_to_space(net.convolution(net.graph.add(x, first), 12, 3, activation="NONE"), 2))
    return net.done()


def enet(size: int = 128) -> bytes:
    """Dilated and separable kernels, PRELU, transposed convolutions at the end."""
    net = Layers()
    x = net.convolution(net.prelu(net.convolution(net.image(size, size), 16, 3, 2, "NONE")), 64, 3, 2)
    for dilation in (1, 2, 4, 1, 2):
        y = net.prelu(net.convolution(x, 16, 1, activation="NONE"))
        if dilation > 1:
            y = net.prelu(net.convolution(y, 16, 3, activation="NONE", dilation=dilation))
        else:
            y = net.convolution(net.convolution(y, 16, (5, 1)), 16, (1, 5))
        x = net.graph.add(x, net.convolution(y, 64, 1, activation="NONE"), "RELU")
    net.end(net.transposed(net.transposed(x, 16), 4))
    return net.done()


def blazeface(size: int = 128) -> bytes:
    net = Layers()
    x = net.convolution(net.image(size, size), 24, 5, 2)
    for channels, stride in ((24, 1), (24, 1), (48, 2), (48, 1), (48, 1), (96, 2), (96, 1), (96, 1), (96, 2), (96, 1)):
        y = net.convolution(net.separate(x, 5, stride, "NONE"), channels, 1, activation="NONE")
        x = net.graph.add(x, y, "RELU") if stride == 1 and x.shape[3] == channels else net.pointwise("RELU", y)
    for count, values in ((6, 1), (6, 16)):
        y = net.convolution(x, count * values, 1, activation="NONE")
        net.end(net.graph.reshape(y, [1, y.shape[1] * y.shape[2] * count, values]))
    return net.done()


def multiplied(channels: int = 8, multiplier: int = 2) -> bytes:
    """Depthwise convolutions with several outputs a channel."""
    net = Layers()
    x = net.convolution(net.image(48, 48), channels, 3)
    for _ in range(2):
        x = net.convolution(net.separate(x, multiplier=multiplier), 2 * channels, 1)
    net.end(x)
    return net.done()
