"""Networks of many kinds by default: they convert, which compares outputs, or are left as they are for a reason."""

from __future__ import annotations

import pytest

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import region_ops
from fmtc_tflite.types import ConvertOptions
from surveyed_networks import NETWORKS

_CONVERTED = (
    "abpn", "batch_4", "blazeface", "convnext", "depth_multiplier_2", "enet", "espcn", "face_landmarks", "fsrcnn",
    "lenet_average_float", "mcunet_small", "micro_speech", "resnext_small", "se_resnet", "segmentation",
    "shufflenet_v2", "tanh_gates", "yolo_neck_hswish",
)  # fmt: skip


@pytest.mark.parametrize("name", _CONVERTED)
def test_regions_give_the_same_outputs(name: str) -> None:
    converted = convert_content(NETWORKS[name](), ConvertOptions(kernels="xnnpack")).content
    assert region_ops(load_model(converted))


@pytest.mark.parametrize("name", ["magic_wand", "temporal_tall"])
def test_rows_of_a_pixel_or_three_are_left_alone(name: str) -> None:
    with pytest.raises(NothingToDoError, match="slower in a region, as predicted for avx2"):
        convert_content(NETWORKS[name](), ConvertOptions(kernels="xnnpack"))
