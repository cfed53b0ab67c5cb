"""Networks for phones and accelerators, with random weights: classifiers, detectors, poses, segmentation."""

from __future__ import annotations

from collections.abc import Sequence

from model_builder import Ref
from network_blocks import classify, inverted, stack, stages
from network_layers import Layers

_V3_SMALL = (
    (16, 1, 3, 2, "RELU", 8), (24, 4.5, 3, 2, "RELU", 0), (24, 88 / 24, 3, 1, "RELU", 0),
    (40, 4, 5, 2, "HARD_SWISH", 24), (40, 6, 5, 1, "HARD_SWISH", 64), (40, 6, 5, 1, "HARD_SWISH", 64),
    (48, 3, 5, 1, "HARD_SWISH", 32), (48, 3, 5, 1, "HARD_SWISH", 40), (96, 6, 5, 2, "HARD_SWISH", 72),
    (96, 6, 5, 1, "HARD_SWISH", 144), (96, 6, 5, 1, "HARD_SWISH", 144),
)  # fmt: skip


def mobilenet_v3_small(size: int = 224) -> bytes:
    net = Layers()
    x = net.pointwise("HARD_SWISH", net.convolution(net.float_image(size), 16, 3, 2, "NONE"))
    for channels, expansion, kernel, stride, activation, squeeze in _V3_SMALL:
        x = inverted(net, x, channels, expansion, kernel, stride, activation, squeeze)
    x = net.pointwise("HARD_SWISH", net.convolution(x, 576, 1, activation="NONE"))
    x = net.pointwise("HARD_SWISH", net.convolution(net.mean(x), 1024, 1, activation="NONE"))
    net.end(net.dense(x, 1000), softmax=True, floats=True)
    return net.done()


def mobilenet_v3_edgetpu() -> bytes:
    """Minimalistic: no gates, no swish."""
    net = Layers("UINT8")
    x = net.convolution(net.image(224, 224), 16, 3, 2)
    for channels, expansion, _, stride, _, _ in _V3_SMALL:
        x = inverted(net, x, channels, expansion, 3, stride, "RELU")
    return classify(net, net.convolution(x, 576, 1), 1001)


def efficientnet_edgetpu_s(size: int = 224) -> bytes:
    net = Layers()
    x = net.convolution(net.float_image(size), 32, 3, 2)
    for channels, expansion, stride, fused in (
        (24, 4, 1, 1), (32, 8, 2, 1), (32, 4, 1, 1), (32, 4, 1, 1), (32, 4, 1, 1), (48, 8, 2, 1), (48, 4, 1, 1),
        (48, 4, 1, 1), (48, 4, 1, 1), (96, 8, 2, 0), (96, 4, 1, 0), (96, 4, 1, 0), (96, 4, 1, 0), (96, 4, 1, 0),
        (144, 8, 1, 0), (144, 4, 1, 0), (144, 4, 1, 0), (144, 4, 1, 0), (192, 8, 2, 0), (192, 4, 1, 0),
    ):  # fmt: skip
        x = inverted(net, x, channels, expansion, 3, stride, "RELU", fused=bool(fused))
    return classify(net, net.convolution(x, 1280, 1), 1000, floats=True)


def efficientnet_lite0(size: int = 224) -> bytes:
    net = Layers()
    x = net.convolution(net.image(size, size), 32, 3, 2, "RELU6")
    x = stack(net, x, stages(((1, 16, 1, 3, 1), (2, 24, 6, 3, 2), (2, 40, 6, 5, 2), (3, 80, 6, 3, 2),
                                 (3, 112, 6, 5, 1), (4, 192, 6, 5, 2), (1, 320, 6, 3, 1))))  # fmt: skip
    return classify(net, net.convolution(x, 1280, 1, activation="RELU6"), 1000)


def mnasnet(size: int = 224) -> bytes:
    net = Layers("UINT8")
    x = net.separate(net.convolution(net.image(size, size), 32, 3, 2), 3, activation="RELU")
    x = net.convolution(x, 16, 1, activation="NONE")
    x = stack(net, x, stages(((3, 24, 3, 3, 2), (3, 40, 3, 5, 2), (3, 80, 6, 5, 2), (2, 96, 6, 3, 1),
                                 (4, 192, 6, 5, 2), (1, 320, 6, 3, 1))), "RELU")  # fmt: skip
    return classify(net, net.convolution(x, 1280, 1), 1001)


_MCUNET = (  # MCUNet in-5: ProxylessNAS blocks of kernels 3 to 7
    (16, 1, 3, 1), (24, 6, 7, 2), (24, 4, 5, 1), (24, 4, 5, 1), (40, 5, 7, 2), (40, 5, 3, 1), (40, 4, 7, 1),
    (48, 5, 5, 2), (48, 4, 5, 1), (48, 4, 7, 1), (48, 5, 5, 1), (96, 5, 5, 2), (96, 5, 5, 1), (96, 4, 7, 1),
    (160, 6, 7, 1),
)  # fmt: skip


def mcunet(size: int = 160, width: float = 1.0, classes: int = 1000) -> bytes:
    net = Layers()
    x = net.convolution(net.image(size, size), int(16 * width), 3, 2, "RELU6")
    x = stack(net, x, [(max(8, int(c * width) // 8 * 8), e, k, s) for c, e, k, s in _MCUNET])
    return classify(net, x, classes, softmax=False)


def inception_v1(size: int = 224) -> bytes:
    net = Layers("UINT8")
    x = net.pool(net.convolution(net.image(size, size), 64, 7, 2), "MAX_POOL_2D", 3, 2, False)
    x = net.pool(net.convolution(net.convolution(x, 64, 1), 192), "MAX_POOL_2D", 3, 2, False)
    for one, small, three, tiny, five, pooled in (
        (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (0,) * 6, (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64), (256, 160, 320, 32, 128, 128), (0,) * 6, (384, 192, 384, 48, 128, 128),
    ):  # fmt: skip
        if one == 0:
            x = net.pool(x, "MAX_POOL_2D", 3, 2, False)
            continue
        parts = [net.convolution(x, one, 1), net.convolution(net.convolution(x, small, 1), three)]
        parts.append(net.convolution(net.convolution(x, tiny, 1), five))
        parts.append(net.convolution(net.pool(x, "MAX_POOL_2D", 3, 1, False), pooled, 1))
        x = net.concatenate(parts)
    return classify(net, x, 1001)


def resnet(blocks: Sequence[int], width: int = 64, size: int = 224, groups: int = 1, pads: bool = True) -> bytes:
    """Bottlenecks; ResNet-50 is (3, 4, 6, 3)."""
    net = Layers()
    x = net.image(size, size)
    x = net.convolution(net.pad(x, 3, 3), width, 7, 2, valid=True) if pads else net.convolution(x, width, 3)
    x = net.pool(net.pad(x, 1, 1), "MAX_POOL_2D", 3, 2, True) if pads else x
    for stage, count in enumerate(blocks):
        for number in range(count):
            stride = 2 if stage and not number else 1
            inner, outer = width << stage, width << (stage + 2)
            y = net.convolution(net.convolution(x, inner, 1), inner, 3, stride, groups=groups)
            y = net.convolution(y, outer, 1, activation="NONE")
            skip = x if number else net.convolution(x, outer, 1, stride, "NONE")
            x = net.graph.add(skip, y, "RELU")
    return classify(net, x, 1000)


def _heads(net: Layers, maps: Sequence[Ref], classes: int, boxes: Sequence[int], lite: bool) -> bytes:
    """Boxes and scores of each map, joined."""
    places, scores = [], []
    for x, count in zip(maps, boxes, strict=True):
        for found, each in ((places, 4), (scores, classes)):
            y = net.separate(x) if lite else x
            y = net.convolution(y, count * each, 1, activation="NONE")
            found.append(net.graph.reshape(y, [1, y.shape[1] * y.shape[2] * count, each]))
    net.end(net.join_rows(places))
    net.end(net.pointwise("LOGISTIC", net.join_rows(scores)))
    return net.done()


_V2 = ((1, 16, 1, 3, 1), (2, 24, 6, 3, 2), (3, 32, 6, 3, 2), (4, 64, 6, 3, 2), (3, 96, 6, 3, 1))


def ssd_mobilenet_v1(size: int = 300) -> bytes:
    net = Layers("UINT8")
    x = net.convolution(net.image(size, size), 32, 3, 2, "RELU6")
    maps = []
    for number, (channels, stride) in enumerate(((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
                                                *[(512, 1)] * 5, (1024, 2), (1024, 1))):  # fmt: skip
        x = net.convolution(net.separate(x, 3, stride), channels, 1, activation="RELU6")
        maps += [x] if number in (10, 12) else []
    for inner, channels in ((256, 512), (128, 256), (128, 256), (64, 128)):
        x = net.convolution(net.convolution(x, inner, 1, activation="RELU6"), channels, 3, 2, "RELU6")
        maps.append(x)
    return _heads(net, maps, 91, (3, 6, 6, 6, 6, 6), False)


def ssd_mobilenet_v2(size: int = 300, lite: bool = False, dtype: str = "UINT8") -> bytes:
    net = Layers(dtype)
    x = net.convolution(net.image(size, size), 32, 3, 2, "RELU6")
    x = stack(net, x, stages(_V2))
    first = net.convolution(x, 576, 1, activation="RELU6")
    x = net.convolution(net.separate(first, 3, 2), 160, 1, activation="NONE")
    x = stack(net, x, stages(((2, 160, 6, 3, 1), (1, 320, 6, 3, 1))))
    x = net.convolution(x, 1280, 1, activation="RELU6")
    maps = [first, x]
    for inner, channels in ((256, 512), (128, 256), (128, 256), (64, 128)):
        y = net.convolution(x, inner, 1, activation="RELU6")
        x = net.convolution(net.separate(y, 3, 2), channels, 1) if lite else net.convolution(y, channels, 3, 2, "RELU6")
        maps.append(x)
    return _heads(net, maps, 91, (3, 6, 6, 6, 6, 6), lite)


def movenet(size: int = 192) -> bytes:
    """MobileNetV2 with a feature pyramid and four heads, without the decoding behind them."""
    net = Layers()
    x = net.convolution(net.image(size, size), 32, 3, 2, "RELU6")
    taps = []
    for stage in (((1, 16, 1, 3, 1), (2, 24, 6, 3, 2)), ((3, 32, 6, 3, 2),), ((4, 64, 6, 3, 2), (3, 96, 6, 3, 1)),
                  ((3, 160, 6, 3, 2), (1, 320, 6, 3, 1))):  # fmt: skip
        x = stack(net, x, stages(stage))
        taps.append(x)
    y = net.convolution(taps[-1], 64, 1)
    for tap, channels in zip(reversed(taps[:-1]), (64, 32, 24), strict=True):
        up = net.bilinear(y, tap.shape[1], tap.shape[2], True)
        y = net.graph.add(up, net.convolution(tap, y.shape[3], 1, activation="NONE"))
        y = net.convolution(net.separate(y, activation="NONE"), channels, 1)
    for channels in (1, 17, 34, 34):
        z = net.convolution(net.convolution(net.separate(y, activation="NONE"), 96, 1), channels, 1, activation="NONE")
        net.end(net.pointwise("LOGISTIC", z) if channels < 20 else z, floats=True)
    return net.done()


def posenet(size: int = 257) -> bytes:
    """MobileNetV1 0.75 at stride 16, its last blocks dilated."""
    net = Layers("UINT8")
    x = net.convolution(net.image(size, size), 24, 3, 2, "RELU6")
    for channels, stride, dilation in ((48, 1, 1), (96, 2, 1), (96, 1, 1), (192, 2, 1), (192, 1, 1), (384, 2, 1),
                                       *[(384, 1, 1)] * 5, (768, 1, 1), (768, 1, 2)):  # fmt: skip
        x = net.convolution(net.separate(x, 3, stride, dilation=dilation), channels, 1, activation="RELU6")
    for channels in (17, 34, 64):
        net.end(net.convolution(x, channels, 1, activation="NONE"), floats=True)
    return net.done()


def unet_mobilenet_v2(size: int = 128) -> bytes:
    """TensorFlow's segmentation tutorial: upsampling by transposed convolutions."""
    net = Layers()
    x = net.convolution(net.image(size, size), 32, 3, 2, "RELU6")
    x = stack(net, x, ((16, 1, 3, 1),))
    skips = [net.convolution(x, 96, 1, activation="RELU6")]
    for stage in (((2, 24, 6, 3, 2),), ((3, 32, 6, 3, 2),), ((4, 64, 6, 3, 2), (3, 96, 6, 3, 1))):
        x = stack(net, x, stages(stage))
        skips.append(net.convolution(x, 6 * x.shape[3], 1, activation="RELU6"))
    x = stack(net, x, stages(((3, 160, 6, 3, 2), (1, 320, 6, 3, 1))))
    for skip, channels in zip(reversed(skips), (512, 256, 128, 64), strict=True):
        x = net.concatenate([net.pointwise("RELU", net.transposed(x, channels)), skip])
    net.end(net.transposed(x, 3))
    return net.done()


def deeplab(size: int = 257) -> bytes:
    net = Layers()
    x = stack(net, net.convolution(net.image(size, size), 32, 3, 2, "RELU6"), stages(_V2))
    for channels in (160, 160, 160, 320):
        y = net.separate(net.convolution(x, 6 * x.shape[3], 1, activation="RELU6"), dilation=2)
        y = net.convolution(y, channels, 1, activation="NONE")
        x = net.graph.add(x, y) if x.shape[3] == channels else y
    side = x.shape[1]
    pooled = net.bilinear(net.convolution(net.mean(x), 256, 1), side, side)
    x = net.convolution(net.concatenate([pooled, net.convolution(x, 256, 1)]), 256, 1)
    x = net.bilinear(net.convolution(x, 21, 1, activation="NONE"), size, size)
    net.end(x)
    return net.done()
