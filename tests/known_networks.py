"""Networks of public architectures with random weights: the shapes and the op order of their published files.

content = mobilenet_v1(0.75, 192)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import ACTIVATION, GraphBuilder, ModelBuilder, Ref

# Channels, how often, and the first one's stride.
_MOBILENET_V2 = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
_MOBILENET_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


class Network:
    """A graph under construction, whose activations all have one scale."""

    def __init__(self, dtype: str = "INT8") -> None:
        self.builder = ModelBuilder()
        self.graph: GraphBuilder = self.builder.graph()
        self.dtype = dtype
        self.zero_point = 128 if dtype == "UINT8" else 0

    def input(self, size: int, channels: int = 3) -> Ref:
        return self.graph.input("input", [1, size, size, channels], self.dtype, zero_point=self.zero_point)

    def finish(self, x: Ref) -> bytes:
        self.graph.output(x)
        return self.builder.build()

    def conv(
        self,
        x: Ref,
        channels: int,
        kernel: tuple[int, int],
        stride: int = 1,
        valid: bool = False,
        activation: int = ACTIVATION.RELU6,
    ) -> Ref:
        """CONV_2D, with ReLU6 if not told otherwise."""
        size = self._size(x, kernel, stride, valid)
        result = self._result("conv", (1, *size, channels), x)
        weights = self._weights((channels, *kernel, x.shape[3]), channels, x)
        options = self._options(stride, valid) | {"fusedActivationFunction": activation}
        self.graph.op("CONV_2D", [x, *weights], [result], schema.Conv2DOptionsT(**options), version=3)
        return result

    def depthwise(self, x: Ref, stride: int = 1) -> Ref:
        """3x3 with ReLU6."""
        size, channels = self._size(x, (3, 3), stride, False), x.shape[3]
        result = self._result("depthwise", (1, *size, channels), x)
        weights = self._weights((1, 3, 3, channels), channels, x)
        options = schema.DepthwiseConv2DOptionsT(**self._options(stride, False), depthMultiplier=1)
        self.graph.op("DEPTHWISE_CONV_2D", [x, *weights], [result], options, version=3)
        return result

    def pool(self, x: Ref, opcode: str, kernel: int, stride: int, valid: bool) -> Ref:
        result = self._result("pool", (1, *self._size(x, (kernel, kernel), stride, valid), x.shape[3]), x)
        options = self._options(stride, valid) | {"filterHeight": kernel, "filterWidth": kernel}
        options["fusedActivationFunction"] = ACTIVATION.NONE
        self.graph.op(opcode, [x], [result], schema.Pool2DOptionsT(**options), version=2)
        return result

    def concatenate(self, parts: list[Ref]) -> Ref:
        shape = (*parts[0].shape[:3], sum(part.shape[3] for part in parts))
        result = self._result("concatenation", shape, parts[0])
        self.graph.op("CONCATENATION", parts, [result], schema.ConcatenationOptionsT(axis=3), version=2)
        return result

    def upsample(self, x: Ref) -> Ref:
        """Twice the size."""
        size = np.array([2 * n for n in x.shape[1:3]], np.int32)
        result = self._result("resize", (1, *(int(n) for n in size), x.shape[3]), x)
        constant = self.graph.tensor(f"size_{result.index}", (2,), "INT32", scale=0, data=size)
        options = schema.ResizeNearestNeighborOptionsT()
        self.graph.op("RESIZE_NEAREST_NEIGHBOR", [x, constant], [result], options, version=3)
        return result

    def classifier(self, x: Ref, classes: int) -> bytes:
        """A mean of all pixels, a 1x1 convolution."""
        pooled = self.pool(x, "AVERAGE_POOL_2D", x.shape[1], x.shape[1], True)
        return self.finish(self.conv(pooled, classes, (1, 1)))

    def _result(self, kind: str, shape: tuple[int, ...], x: Ref) -> Ref:
        name = f"{kind}_{len(self.graph.subgraph.operators)}"
        return self.graph.tensor(name, shape, x.dtype, scale=x.scale, zero_point=x.zero_point)

    def _size(self, x: Ref, kernel: tuple[int, int], stride: int, valid: bool) -> tuple[int, ...]:
        lost = [k - 1 if valid else 0 for k in kernel]
        return tuple(-(-(n - k) // stride) for n, k in zip(x.shape[1:3], lost, strict=True))

    def _options(self, stride: int, valid: bool) -> dict[str, Any]:
        padding = schema.Padding.VALID if valid else schema.Padding.SAME
        return {"padding": padding, "strideH": stride, "strideW": stride, "fusedActivationFunction": ACTIVATION.RELU6}

    def _weights(self, shape: tuple[int, ...], channels: int, x: Ref) -> list[Ref]:
        rng, prefix = self.builder.rng, f"weights_{len(self.graph.subgraph.tensors)}"
        low, high, zero = (0, 256, 128) if self.dtype == "UINT8" else (-127, 128, 0)
        values = rng.integers(low, high, shape, np.int16).astype(self.dtype.lower())
        scale = float(np.float32(1 / (60 * np.prod(shape[1:-1] if shape[0] == 1 else shape[1:]) ** 0.5)))
        filters = self.graph.tensor(prefix, shape, self.dtype, scale=scale, zero_point=zero, data=values)
        bias = rng.integers(-100, 100, channels).astype(np.int32)
        return [filters, self.graph.constant(f"{prefix}/bias", bias, x.scale * filters.scale)]


def mobilenet_v1(width: float, size: int, channels: int = 3, classes: int = 1001, dtype: str = "UINT8") -> bytes:
    """Howard et al. 2017. Person detection of TensorFlow Lite Micro is mobilenet_v1(0.25, 96, 1, 2, "INT8")."""
    net = Network(dtype)
    x = net.conv(net.input(size, channels), int(32 * width), (3, 3), 2)
    for count, stride in _MOBILENET_V1:
        x = net.conv(net.depthwise(x, stride), int(count * width), (1, 1))
    return net.classifier(x, classes)


def mobilenet_v2(width: float, size: int, classes: int = 1000, dtype: str = "INT8") -> bytes:
    """Sandler et al. 2018. MBV2-w0.35-144 of the MCUNet papers is mobilenet_v2(0.35, 144)."""
    net = Network(dtype)
    x = net.conv(net.input(size), _divisible(32 * width), (3, 3), 2)
    for block, (count, repeats, first_stride) in enumerate(_MOBILENET_V2):
        for number in range(repeats):
            stride = 1 if number else first_stride
            wide = net.conv(x, 6 * x.shape[3], (1, 1)) if block else x
            channels = _divisible(count * width)
            narrow = net.conv(net.depthwise(wide, stride), channels, (1, 1), activation=ACTIVATION.NONE)
            joins = stride == 1 and x.shape[3] == channels
            x = net.graph.add(x, narrow) if joins else narrow
    return net.classifier(net.conv(x, max(1280, _divisible(1280 * width)), (1, 1)), classes)


def _divisible(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and nine tenths."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def inception_v3(size: int = 299, classes: int = 1001, dtype: str = "UINT8") -> bytes:
    """Szegedy et al. 2015, without auxiliary head."""
    net = Network(dtype)
    x = net.conv(net.input(size), 32, (3, 3), 2, valid=True)
    x = net.conv(net.conv(x, 32, (3, 3), valid=True), 64, (3, 3))
    x = net.pool(x, "MAX_POOL_2D", 3, 2, True)
    x = net.conv(net.conv(x, 80, (1, 1)), 192, (3, 3), valid=True)
    x = net.pool(x, "MAX_POOL_2D", 3, 2, True)
    for pooled in (32, 64, 64):
        x = _inception_a(net, x, pooled)
    x = _reduction(net, x, [[(384, (3, 3))], [(64, (1, 1)), (96, (3, 3)), (96, (3, 3))]])
    for count in (128, 160, 160, 192):
        x = _inception_b(net, x, count)
    x = _reduction(net, x, [[(192, (1, 1)), (320, (3, 3))],
                            [(192, (1, 1)), (192, (1, 7)), (192, (7, 1)), (192, (3, 3))]])  # fmt: skip
    for _ in range(2):
        x = _inception_c(net, x)
    return net.classifier(x, classes)


def inception_module(modules: int, size: int = 24) -> bytes:
    """A few of its modules alone, on small maps."""
    net = Network()
    x = net.input(size, 8)
    for _ in range(modules):
        x = _branches(net, x, [[(8, (1, 1))], [(4, (1, 1)), (12, (3, 3))], [(4, (1, 1)), (8, (3, 3)), (8, (3, 3))]])
    return net.finish(x)


def unet(size: int = 64, channels: int = 8, levels: int = 3) -> bytes:
    """Ronneberger et al. 2015, small."""
    net = Network()
    x, skips = net.input(size, 1), []
    for level in range(levels):
        x = net.conv(net.conv(x, channels << level, (3, 3)), channels << level, (3, 3))
        skips.append(x)
        x = net.pool(x, "MAX_POOL_2D", 2, 2, True)
    x = net.conv(x, channels << levels, (3, 3))
    for level in reversed(range(levels)):
        x = net.concatenate([net.conv(net.upsample(x), channels << level, (1, 1)), skips[level]])
        x = net.conv(net.conv(x, channels << level, (3, 3)), channels << level, (3, 3))
    return net.finish(net.conv(x, 2, (1, 1)))


def feature_pyramid(size: int = 64, channels: int = 8, levels: int = 4, late: bool = True) -> bytes:
    """Lin et al. 2016: laterals of each level added from the top down, heads on each.

    Args:
      late: whether heads come last in the file.
    """
    net = Network()
    x, maps = net.conv(net.input(size), channels, (3, 3), 2), []
    for level in range(levels):
        x = net.conv(net.depthwise(x, 1 if level == 0 else 2), channels << level, (1, 1))
        maps.append(x)
    laterals = [net.conv(each, channels, (1, 1)) for each in maps]
    top, merged = laterals[-1], [laterals[-1]]
    for lateral in reversed(laterals[:-1]):
        top = net.graph.add(net.upsample(top), lateral, name=f"merged_{lateral.index}")
        merged.append(top)
    for each in merged if late else reversed(merged):
        net.graph.output(net.conv(net.depthwise(each), 4, (1, 1)))
    return net.builder.build()


def heads(count: int = 4, size: int = 64) -> bytes:
    """Several heads on one map, their layers interleaved as a breadth-first export writes them."""
    net = Network()
    x = net.input(size)
    for channels, stride in ((16, 2), (24, 1), (32, 1)):
        x = net.conv(x, channels, (3, 3), stride)
    ends = [x] * count
    for _ in range(3):
        ends = [net.conv(each, 48, (3, 3)) for each in ends]
    for each in ends:
        net.graph.output(net.conv(net.pool(each, "MAX_POOL_2D", 4, 4, True), 2, (1, 1)))
    return net.builder.build()


def _branches(net: Network, x: Ref, branches: list[list[tuple[int, tuple[int, int]]]]) -> Ref:
    results = []
    for branch in branches:
        y = x
        for channels, kernel in branch:
            y = net.conv(y, channels, kernel)
        results.append(y)
    return net.concatenate(results)


def _inception_a(net: Network, x: Ref, pooled: int) -> Ref:
    one = net.conv(x, 64, (1, 1))
    five = net.conv(net.conv(x, 48, (1, 1)), 64, (5, 5))
    three = net.conv(net.conv(net.conv(x, 64, (1, 1)), 96, (3, 3)), 96, (3, 3))
    return net.concatenate([one, five, three, net.conv(net.pool(x, "AVERAGE_POOL_2D", 3, 1, False), pooled, (1, 1))])


def _inception_b(net: Network, x: Ref, count: int) -> Ref:
    one = net.conv(x, 192, (1, 1))
    y = net.conv(net.conv(net.conv(x, count, (1, 1)), count, (1, 7)), 192, (7, 1))
    z = net.conv(x, count, (1, 1))
    for channels, kernel in ((count, (7, 1)), (count, (1, 7)), (count, (7, 1)), (192, (1, 7))):
        z = net.conv(z, channels, kernel)
    return net.concatenate([one, y, z, net.conv(net.pool(x, "AVERAGE_POOL_2D", 3, 1, False), 192, (1, 1))])


def _inception_c(net: Network, x: Ref) -> Ref:
    one = net.conv(x, 320, (1, 1))
    y = net.conv(x, 384, (1, 1))
    y = net.concatenate([net.conv(y, 384, (1, 3)), net.conv(y, 384, (3, 1))])
    z = net.conv(net.conv(x, 448, (1, 1)), 384, (3, 3))
    z = net.concatenate([net.conv(z, 384, (1, 3)), net.conv(z, 384, (3, 1))])
    return net.concatenate([one, y, z, net.conv(net.pool(x, "AVERAGE_POOL_2D", 3, 1, False), 192, (1, 1))])


def _reduction(net: Network, x: Ref, branches: list[list[tuple[int, tuple[int, int]]]]) -> Ref:
    """Branches whose last op halves the size, and a pool."""
    results = []
    for branch in branches:
        y = x
        for channels, kernel in branch[:-1]:
            y = net.conv(y, channels, kernel)
        results.append(net.conv(y, *branch[-1], 2, valid=True))
    return net.concatenate([*results, net.pool(x, "MAX_POOL_2D", 3, 2, True)])
