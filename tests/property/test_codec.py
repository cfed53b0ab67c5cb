"""The C++ core and the numpy reference write the same bytes and read them alike, whatever the map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmtc_tflite.coding import entropy_model, reference, transform
from fmtc_tflite.coding.convolution import SCALE_TYPES, Convolution
from fmtc_tflite.coding.rounding import Requantization, Rule
from fmtc_tflite.coding.side_info import CODED_STEPS, SideInformation
from fmtc_tflite.coding.token_classes import NUM_CONTEXTS, Contexts
from fmtc_tflite.errors import BitstreamError
from fmtc_tflite.runtime.library import NativeCodec

SHAPES = [(1, 1, 1, 1), (2, 3, 5, 3), (1, 9, 20, 33), (1, 1, 64, 2), (1, 30, 19, 16), (3, 2, 2, 70), (1, 17, 13, 65)]


@st.composite
def coded_maps(draw: st.DrawFn) -> tuple[SideInformation, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from(SHAPES))
    spread = draw(st.sampled_from([0.0, 0.3, 2.0, 10.0, 80.0]))
    x = np.clip(rng.normal(rng.integers(-100, 100), spread, shape), -128, 127).astype(np.int8)
    if draw(st.booleans()):
        x = np.maximum(x, np.int8(-3))
    if draw(st.booleans()):
        x[..., 0] = 5
    kind = draw(st.sampled_from(["lossless", "step", "klt", "convolution"]))
    level = draw(st.sampled_from([0, 0, 1, 3, 5]))
    info = _side_information(rng, x, kind, level, draw(st.booleans()))
    return info, (x.view(np.uint8) ^ 0x80) if draw(st.booleans()) else x


def _convolution(rng: np.random.Generator, inputs: int) -> Convolution:
    """By any rule, with sums that wrap around among others."""
    outputs = inputs + int(rng.integers(0, 20))
    rule = Rule(int(rng.integers(1, 6)))
    scales, shifts = rng.integers(1 << 30, 1 << 31, outputs).astype(np.int32), rng.integers(-14, -4, outputs)
    shifts[rng.random(outputs) < 0.1] = rng.integers(-31, 31)
    if rule.in_floats:
        scales = np.ldexp(scales / 2.0**31, shifts).astype(SCALE_TYPES[rule])
    low, high = np.sort(rng.integers(0, 256, 2)).tolist()
    how = Requantization(rule, scales, None if rule.in_floats else shifts.astype(np.int8), 128, low, high)
    biases = rng.integers(-(1 << 31), 1 << 31, outputs) >> rng.integers(0, 20, outputs)
    weights = rng.integers(-128, 128, (outputs, inputs)).astype(np.int8)
    return Convolution(weights, int(rng.choice([0, -5, 127])), biases.astype(np.int32), how)


def _side_information(
    rng: np.random.Generator, x: np.ndarray, kind: str, level: int, checksum: bool
) -> SideInformation:
    channels = x.shape[3]
    components = int(rng.integers(1, channels + 1)) if kind == "klt" else channels
    num_classes = int(rng.integers(1, min(8, components) + 1))
    classes = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, components - num_classes)])
    fields: dict[str, object] = {}
    if kind == "step":
        fields["centre"] = rng.integers(-128, 128, channels).astype(np.int8)
        fields["step"] = rng.choice(CODED_STEPS[:70], channels).astype(np.uint16)
        fields |= {"lo": -120, "hi": 100}
    elif kind == "klt":
        pixels = x.reshape(-1, channels).astype(float)
        covariance = pixels.T @ pixels / len(pixels) + np.eye(channels)
        analysis, synthesis = transform.klt(pixels.mean(0), covariance, components, 2.0, level)
        fields = {"analysis": analysis, "synthesis": synthesis}
    elif kind == "convolution":
        fields = {"convolution": _convolution(rng, channels), "step": int(rng.choice([16, 40])), "lo": -100}
    contexts, num_tables = None, num_classes
    if rng.integers(2):
        num_tables = int(rng.integers(1, 9))
        tables = rng.integers(0, num_tables, (num_classes, NUM_CONTEXTS)).astype(np.uint8)
        contexts = Contexts(rng.integers(0, 2, components).astype(bool), tables)
    return SideInformation(
        len(fields["convolution"].weights) if "convolution" in fields else channels,  # type: ignore[attr-defined]
        rng.permutation(classes).astype(np.uint8),
        rng.integers(0, 5, components).astype(np.uint8),
        tuple(entropy_model.fit_classes(rng.gamma(0.3, 1, (num_tables, 256)) ** 2)[0]),
        contexts=contexts,
        constant_level=level,
        checksum=checksum,
        segment_rows=int(rng.choice([0, 0, 1, 4, 20])),
        **fields,  # type: ignore[arg-type]
    )


@settings(max_examples=60)
@given(coded_maps(), st.floats(0, 1))
def test_native_equals_reference(case: tuple[SideInformation, np.ndarray], room: float) -> None:
    info, x = case
    with NativeCodec(info.to_bytes(), x.shape[:3], x.dtype) as codec:
        capacity = codec.capacity_bytes
        if info.constant_level:
            capacity = 16 + int(room * (capacity - 16))
        buffer = np.full(capacity, 0xA5, np.uint8)
        payload = codec.encode_into(x, buffer)
        coded = reference.encode(info, x, capacity)
        assert buffer[:payload].tobytes() == coded
        decoded = codec.decode(buffer)
        assert np.array_equal(decoded, reference.decode(info, coded, x.shape[:3], x.dtype))
        lossless = info.analysis is None and info.convolution is None and info.lo == -128 and (info.steps == 16).all()
        if lossless and coded[6] == 0:
            assert np.array_equal(decoded, x)


@settings(max_examples=40)
@given(coded_maps(), st.data())
def test_damaged_bytes_are_refused_alike(case: tuple[SideInformation, np.ndarray], data: st.DataObject) -> None:
    info, x = case
    coded = bytearray(reference.encode(info, x))
    if data.draw(st.booleans()):
        del coded[data.draw(st.integers(0, len(coded) - 1)) :]
    for _ in range(data.draw(st.integers(0, 4))):
        if coded:
            coded[data.draw(st.integers(0, len(coded) - 1))] ^= data.draw(st.integers(0, 255))
    with NativeCodec(info.to_bytes(), x.shape[:3], x.dtype) as codec:
        try:
            expected = reference.decode(info, bytes(coded), x.shape[:3], x.dtype)
        except BitstreamError:
            with pytest.raises(BitstreamError):
                codec.decode(np.frombuffer(bytes(coded), np.uint8))
        else:
            assert np.array_equal(codec.decode(np.frombuffer(bytes(coded), np.uint8)), expected)


@settings(max_examples=15)
@given(coded_maps().filter(lambda case: case[0].contexts is not None))
def test_context_histograms_equal_the_reference(case: tuple[SideInformation, np.ndarray]) -> None:
    info, x = case
    histograms = np.zeros((info.num_classes, NUM_CONTEXTS, 256), np.uint32)
    with NativeCodec(info.to_bytes(), x.shape[:3], x.dtype) as codec:
        codec.add_context_histograms(x, histograms)
    expected = np.zeros_like(histograms)
    cut = info.geometry(*x.shape[1:3])
    for item in x if x.dtype == np.int8 else (x ^ 0x80).view(np.int8):
        for group in np.split(reference.analyse(info, item, 0), np.cumsum(cut.group_rows)[:-1]):
            residual = reference.predict_group(info.predictor, group)
            for above, row in zip([None, *residual[:-1]], residual, strict=True):
                contexts = reference.contexts_of_row(info, above, x.shape[2])
                np.add.at(expected, (np.broadcast_to(info.component_class, row.shape), contexts, row), 1)
    assert np.array_equal(histograms, expected)


@settings(max_examples=25)
@given(coded_maps())
def test_residual_histograms_equal_the_reference(case: tuple[SideInformation, np.ndarray]) -> None:
    info, x = case
    histograms = np.zeros((info.components, 5, 256), np.uint32)
    with NativeCodec(info.to_bytes(), x.shape[:3], x.dtype) as codec:
        codec.add_residual_histograms(x, histograms)
    expected = np.zeros_like(histograms)
    cut = info.geometry(*x.shape[1:3])
    for item in x if x.dtype == np.int8 else (x ^ 0x80).view(np.int8):
        for group in np.split(reference.analyse(info, item, 0), np.cumsum(cut.group_rows)[:-1]):
            for p in range(5):
                residual = reference.predict_group(np.full(info.components, p), group)
                for c in range(info.components):
                    expected[c, p] += np.bincount(residual[..., c].ravel(), minlength=256).astype(np.uint32)
    assert np.array_equal(histograms, expected)
