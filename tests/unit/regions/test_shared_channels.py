"""Depthwise convolutions whose input channels serve several output channels each."""

from __future__ import annotations

import pytest

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.operators.constants import constant
from fmtc_tflite.regions.candidates import whole_group
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.restoration import restore_original
from fmtc_tflite.types import ConvertOptions, Kernels
from network_layers import Layers


def depthwise(channels: int, multiplier: int) -> bytes:
    net = Layers()
    x = net.separate(net.image(42, 18, channels), (10, 8), 2, "RELU", multiplier=multiplier)
    net.end(net.convolution(net.convolution(x, 24, 1), 4, 1))
    return net.done()


@pytest.mark.parametrize(("kernels", "kind"), [("xnnpack", "Conv"), ("builtin", "Depthwise"), ("reference", "Conv")])
def test_one_channel_that_all_outputs_see_makes_a_convolution_of_it(kernels: Kernels, kind: str) -> None:
    group = whole_group(load_model(depthwise(1, 8)).subgraphs[0], op_builder(KernelSet(kernels)))
    assert group is not None
    assert kind in [op.cost_kind for op in group.region.ops[:2]]


@pytest.mark.parametrize("kernels", ["xnnpack", "builtin", "reference"])
@pytest.mark.parametrize(("channels", "multiplier"), [(1, 8), (1, 17), (3, 2), (4, 9)])
def test_outputs_stay_the_same_and_weights_come_back(kernels: Kernels, channels: int, multiplier: int) -> None:
    content, options = depthwise(channels, multiplier), ConvertOptions(execution="regions", kernels=kernels)
    converted = convert_content(content, options).content  # which compares outputs
    restored = restore_original(load_model(converted)).subgraphs[0]
    for op, other in zip(load_model(content).subgraphs[0].ops, restored.ops, strict=True):
        for tensor, same in zip(op.inputs[1:], other.inputs[1:], strict=True):
            assert constant(tensor).tobytes() == constant(same).tobytes()
