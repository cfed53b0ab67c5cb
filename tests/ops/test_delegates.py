"""XNNPACK beside regions: it takes the ops around them, and leaves the regions to this package."""

from __future__ import annotations

import importlib.resources
from typing import Any

import pytest

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.runtime.interpreter import available_runtimes, load_interpreter
from fmtc_tflite.types import ConvertOptions

DEMO = (importlib.resources.files("fmtc_tflite") / "demo" / "demo_int8.tflite").read_bytes()
LITERT = "ai_edge_litert"


def nodes(content: bytes, kernels: str) -> list[dict[str, Any]]:
    """The interpreter's nodes, those of delegates behind the model's own: what each reads and writes by number."""
    interpreter = load_interpreter(model_content=content, runtime=LITERT, kernels=kernels)
    interpreter.allocate_tensors()
    interpreter.invoke()
    return [
        {"op": node["op_name"], "inputs": set(map(int, node["inputs"])), "outputs": set(map(int, node["outputs"]))}
        for node in interpreter._get_ops_details()
    ]


@pytest.mark.skipif(LITERT not in available_runtimes(), reason="needs LiteRT, whose default delegate is XNNPACK")
def test_xnnpack_takes_what_is_around_regions() -> None:
    options = ConvertOptions(execution="regions", kernels="xnnpack", runtime=LITERT, exclude="conv2d_[67]")
    content = convert_content(DEMO, options).content
    found = nodes(content, "xnnpack")
    regions = [node for node in found if node["op"] == "FMTC_REGION"]
    around = [node for node in found if node["op"] in ("CONV_2D", "ADD")]
    delegates = [node for node in found if node["op"] == "DELEGATE"]
    assert len(regions) >= 2
    assert len(around) == 3
    # The delegate's partitions read what the ops around read, no region's program, and write what they write.
    read, written = (set[int]().union(*(node[side] for node in around)) for side in ("inputs", "outputs"))
    taken, given = (set[int]().union(*(node[side] for node in delegates)) for side in ("inputs", "outputs"))
    assert taken - written == read - written
    assert given <= written
    assert all(not region["outputs"] & given for region in regions)
    assert [node for node in nodes(content, "builtin") if node["op"] == "DELEGATE"] == []
