"""Sizes of the peers against what can be counted by hand."""

from __future__ import annotations

import importlib.resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmtc_tflite.comparison import peers
from fmtc_tflite.comparison.peers import measure_peers, run_length_bits
from fmtc_tflite.graph.coded_maps import candidate_maps
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.profiling.measured_sizes import measure

pytestmark = pytest.mark.extras

CONTENT = (importlib.resources.files("fmtc_tflite") / "demo" / "demo_int8.tflite").read_bytes()


def by_hand(is_zero: list[bool]) -> int:
    tokens = run = 0
    for zero in is_zero:
        if zero and run < 31:
            run += 1
        else:
            tokens, run = tokens + 1, 0
    return 13 * (tokens + (run > 0))


@given(st.lists(st.booleans(), max_size=200) | st.integers(0, 200).map(lambda n: [True] * n))
def test_run_lengths(is_zero: list[bool]) -> None:
    assert run_length_bits(np.array(is_zero, bool)) == by_hand(is_zero)


def test_peers_on_the_maps_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(CONTENT)
    image = np.random.default_rng(0).integers(-128, 128, (1, 32, 32, 1)).astype(np.int8)
    samples = [{model.subgraphs[0].inputs[0].name: image}]
    found = {p["scheme"]: p for p in measure_peers(ModelFile(model, CONTENT), samples)}
    profiled = measure(ModelFile(model, CONTENT), [], samples)
    maps = candidate_maps(model).values()
    zero_value = sum(profiled.baseline_bytes(tensor)["zero_value"] for tensor in maps)
    values = sum(int(np.prod(tensor.shape)) for tensor in maps)
    assert found["zero_value"]["bits_per_value"] == pytest.approx(8 * zero_value / values)
    assert all(p["num_samples"] == 1 for p in found.values())

    monkeypatch.setattr(peers, "_zstd", lambda: None)
    missing = measure_peers(ModelFile(model, CONTENT), samples)[0]
    assert missing["bits_per_value"] is None
    assert "pip install zstandard" in missing["missing"]


def test_zstd_makes_maps_smaller() -> None:
    pytest.importorskip("zstandard")
    model = load_model(CONTENT)
    samples = [{model.subgraphs[0].inputs[0].name: np.zeros((1, 32, 32, 1), np.int8)}]
    assert 0 < measure_peers(ModelFile(model, CONTENT), samples)[0]["bits_per_value"] < 4
