"""FMTC_ENCODE and FMTC_DECODE in every installed runtime, attached by the delegate."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fmtc_tflite.coding import reference
from fmtc_tflite.coding.side_info import AffineTransform
from fmtc_tflite.runtime.interpreter import _load_delegate, delegate_path, load_interpreter
from model_builder import ModelBuilder
from ops.op_models import OpModel, make_side_information, natural_map

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")

SHAPES = [(1, 1, 1, 1), (1, 9, 7, 5), (2, 1, 13, 3), (3, 33, 17, 24), (1, 64, 64, 1)]


def run(interpreter: Any, x: np.ndarray) -> np.ndarray:
    """One inference on a batch of any size."""
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def tensor(interpreter: Any, name: str) -> np.ndarray:
    """A tensor by name, after an inference that preserved all tensors."""
    index = next(d["index"] for d in interpreter.get_tensor_details() if d["name"] == name)
    return interpreter.get_tensor(index)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_lossless_and_coded_as_the_reference(runtime: str, shape: tuple, dtype: str) -> None:
    model = OpModel(shape=shape, dtype=dtype).to_bytes()
    interpreter = load_interpreter(model_content=model, runtime=runtime, preserve_all_tensors=True)
    x = natural_map(shape, dtype)
    np.testing.assert_array_equal(run(interpreter, x), x)
    expected = reference.encode(make_side_information(shape[3]), x)
    assert tensor(interpreter, "coded").tobytes()[: len(expected)] == expected


@pytest.mark.parametrize("builtin_kernels_only", [False, True])
def test_beside_other_kernels(runtime: str, builtin_kernels_only: bool) -> None:
    shape = (1, 16, 16, 8)
    model = OpModel(shape=shape, surrounded=True).to_bytes()
    interpreter = load_interpreter(
        model_content=model, runtime=runtime, num_threads=2, builtin_kernels_only=builtin_kernels_only
    )
    x = natural_map(shape) // 4
    for _ in range(2):
        np.testing.assert_array_equal(run(interpreter, x), 4 * x)


@pytest.mark.parametrize("builtin_kernels_only", [False, True])
def test_batch_is_followed(runtime: str, builtin_kernels_only: bool) -> None:
    model = OpModel(surrounded=True).to_bytes()
    interpreter = load_interpreter(model_content=model, runtime=runtime, builtin_kernels_only=builtin_kernels_only)
    num_tensors = len(interpreter.get_tensor_details())
    for batch in (1, 2, 3, 1, 3, 8):
        x = natural_map((batch, 9, 7, 5), seed=batch) // 4
        np.testing.assert_array_equal(run(interpreter, x), 4 * x)
        # Two workspaces, however often Prepare ran.
        assert len(interpreter.get_tensor_details()) == num_tensors + 2


def test_empty_batch(runtime: str) -> None:
    interpreter = load_interpreter(model_content=OpModel().to_bytes(), runtime=runtime)
    assert run(interpreter, np.zeros((0, 9, 7, 5), np.int8)).shape == (0, 9, 7, 5)


def test_signatures_of_several_subgraphs(runtime: str) -> None:
    model = OpModel()
    builder = ModelBuilder()
    for key in ("first", "second"):
        graph = builder.graph(key)
        x = graph.input("x", model.shape)
        side = graph.tensor("side", (len(model.side_information),), "UINT8", data=model.side_information)
        coded = graph.tensor("coded", (1, model.item_capacity), "UINT8")
        decoded = graph.tensor("decoded", model.shape)
        graph.op("FMTC_ENCODE", [x, side], [coded], custom_options=model.op_options())
        graph.op("FMTC_DECODE", [coded, side], [decoded], custom_options=model.op_options())
        y = graph.output(graph.add(decoded, decoded, name="y"))
        builder.signature(key, graph, {"x": x}, {"y": y})
    interpreter = load_interpreter(model_content=builder.build(), runtime=runtime)
    for key, batch in (("first", 1), ("second", 3), ("first", 2), ("second", 1)):
        x = natural_map((batch, *model.shape[1:])) // 2
        np.testing.assert_array_equal(interpreter.get_signature_runner(key)(x=x)["y"], 2 * x)


def test_repeated_allocation(runtime: str) -> None:
    interpreter = load_interpreter(model_content=OpModel().to_bytes(), runtime=runtime)
    for _ in range(5):
        interpreter.allocate_tensors()
    x = natural_map((1, 9, 7, 5))
    np.testing.assert_array_equal(run(interpreter, x), x)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_steps_and_activation_range(runtime: str, dtype: str) -> None:
    centres = np.array([-128, -3, 0, 7, 127], np.int8)
    info = make_side_information(5, step=np.array([16, 20, 34, 104, 3968], np.uint16), centre=centres, lo=-50, hi=90)
    interpreter = load_interpreter(
        model_content=OpModel(dtype=dtype, side_information=info.to_bytes()).to_bytes(), runtime=runtime
    )
    x = natural_map((1, 9, 7, 5), dtype)
    expected = reference.decode(info, reference.encode(info, x), (1, 9, 7), x.dtype.type)
    np.testing.assert_array_equal(run(interpreter, x), expected)


def test_folded_transform(runtime: str) -> None:
    matrix = np.random.default_rng(0).integers(-90, 90, (5, 3)).astype(np.int16)
    synthesis = AffineTransform(matrix, np.arange(5, dtype=np.int32), 7)
    info = make_side_information(3, channels=5, synthesis=synthesis)
    model = OpModel(shape=(2, 9, 7, 5), components=3, side_information=info.to_bytes())
    interpreter = load_interpreter(model_content=model.to_bytes(), runtime=runtime)
    x = natural_map((2, 9, 7, 3))
    expected = reference.decode(info, reference.encode(info, x), (2, 9, 7), np.int8)
    np.testing.assert_array_equal(run(interpreter, x), expected)


def test_capacity_below_the_map(runtime: str) -> None:
    info = make_side_information(5, constant_level=5)
    model = OpModel(side_information=info.to_bytes(), item_capacity=160).to_bytes()
    interpreter = load_interpreter(model_content=model, runtime=runtime)
    x = natural_map((1, 9, 7, 5))
    expected = reference.decode(info, reference.encode(info, x, 160), (1, 9, 7), np.int8)
    np.testing.assert_array_equal(run(interpreter, x), expected)


def test_without_delegate(runtime: str) -> None:
    interpreter = load_interpreter(model_content=OpModel().to_bytes(), runtime=runtime, attach_delegate=False)
    with pytest.raises(RuntimeError, match="Encountered unresolved custom op: FMTC_ENCODE"):
        interpreter.allocate_tensors()


def damaged(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


DAMAGED = "side information is .*; convert the model again"
NEWER = r"written by a newer version of fmtc-tflite \(format 3, this library reads up to 2\); update fmtc-tflite"
DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "magic": (lambda s: damaged(s, 0), DAMAGED),
    "table": (lambda s: damaged(s, 40), DAMAGED),
    "last byte": (lambda s: damaged(s, len(s) - 1), DAMAGED),
    "truncated": (lambda s: s[:-16], DAMAGED),
    "only a header": (lambda s: s[:32], DAMAGED),
    "a byte": (lambda s: s[:1], DAMAGED),
    "newer": (lambda s: s[:4] + b"\3" + s[5:], NEWER),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("op", ["encode", "decode"])
def test_damaged_side_information(runtime: str, op: str, damage: Callable[[bytes], bytes], message: str) -> None:
    side = damage(make_side_information(5).to_bytes())
    interpreter = load_interpreter(model_content=OpModel(side_information=side, ops=(op,)).to_bytes(), runtime=runtime)
    with pytest.raises(RuntimeError, match=f"FMTC_{op.upper()} 'block_1/relu': {message}"):
        interpreter.allocate_tensors()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"format_version": 3}}, r"'block_1/relu': written by a newer version .*format 3"),
        ({"options": {"format_version": 0}}, "option 'format_version' is missing or not positive; convert"),
        ({"options": {"type": "int16"}}, "option 'type' is neither 'int8' nor 'uint8'; convert"),
        ({"options": {"height": None}}, "option 'height', 'width' or 'channels' is missing or out of range; convert"),
        ({"options": {"channels": 4}}, "options say 4 channels, its side information 5; convert"),
        ({"options": {"width": 8}}, r"converted for \[\*,9,8,5\], got \[1,9,7,5\]; reconvert the model for this size"),
        ({"options": {"type": "uint8"}}, "converted for uint8, got int8; reconvert the model for this type"),
        ({"raw_options": b""}, "'coded': its options are missing; convert"),
        ({"raw_options": b"\xff" * 40}, "'coded': its options are not a flexbuffer map; convert"),
        ({"tensor_name": "caf\xe9\n" + 300 * "x", "options": {"type": ""}}, r"'caf\?\?\?x+': its option 'type'"),
        ({"item_capacity": 328}, "coded tensor has 328 bytes per item, needs 336; convert"),
        ({"constant_side_information": False}, "side information must be a constant uint8 tensor; convert"),
    ],
    ids=str,
)
def test_refused_in_prepare(runtime: str, changes: dict[str, Any], message: str) -> None:
    interpreter = load_interpreter(model_content=OpModel(**changes).to_bytes(), runtime=runtime)
    with pytest.raises(RuntimeError, match=message):
        interpreter.allocate_tensors()


def test_wrong_output_type(runtime: str) -> None:
    model = OpModel(output_type="uint8").to_bytes()
    with pytest.raises(RuntimeError, match="FMTC_DECODE 'block_1/relu': converted for int8, got uint8; reconvert"):
        load_interpreter(model_content=model, runtime=runtime).allocate_tensors()


def test_another_size_is_refused_and_forgiven(runtime: str) -> None:
    interpreter = load_interpreter(model_content=OpModel().to_bytes(), runtime=runtime)
    message = r"FMTC_ENCODE .*: converted for \[\*,9,7,5\], got \[1,9,8,5\]; reconvert the model for this size\n"
    with pytest.raises(RuntimeError, match=message):
        run(interpreter, np.zeros((1, 9, 8, 5), np.int8))
    x = natural_map((2, 9, 7, 5))
    np.testing.assert_array_equal(run(interpreter, x), x)


def test_corrupt_coded_bytes(runtime: str) -> None:
    model = OpModel(ops=("decode",))
    interpreter = load_interpreter(model_content=model.to_bytes(), runtime=runtime)
    x = natural_map((1, 9, 7, 5))
    coded = reference.encode(make_side_information(5), x)
    good = np.frombuffer(coded.ljust(model.item_capacity, b"\xee"), np.uint8)[None]
    np.testing.assert_array_equal(run(interpreter, good), x)
    for position in [*range(24), len(coded) - 1]:
        bad = good.copy()
        bad[0, position] ^= 0x81
        with pytest.raises(RuntimeError, match="FMTC_DECODE 'block_1/relu': cannot decode: coded tensor"):
            run(interpreter, bad)
    for bad in (np.zeros_like(good), np.full_like(good, 255), np.random.default_rng(0).permuted(good)):
        with pytest.raises(RuntimeError, match="cannot decode: coded tensor is damaged"):
            run(interpreter, bad)
    np.testing.assert_array_equal(run(interpreter, good), x)


def test_interpreters_in_threads(runtime: str) -> None:
    model = OpModel(shape=(1, 40, 40, 16)).to_bytes()
    failures: list[str] = []

    def work(seed: int) -> None:
        interpreter = load_interpreter(model_content=model, runtime=runtime)
        for i in range(20):
            x = natural_map((1 + i % 2, 40, 40, 16), seed=100 * seed + i)
            if not np.array_equal(run(interpreter, x), x):
                failures.append(f"thread {seed}, run {i}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_interpreters_come_and_go(runtime: str) -> None:
    model = OpModel().to_bytes()
    x = natural_map((1, 9, 7, 5))
    alive = load_interpreter(model_content=model, runtime=runtime)
    for _ in range(10):
        other = load_interpreter(model_content=model, runtime=runtime)
        np.testing.assert_array_equal(run(other, x), x)
        del other  # with its delegate; `alive` must not mind
        gc.collect()
        np.testing.assert_array_equal(run(alive, x), x)


def test_delegate_destroyed_first(runtime: str) -> None:
    interpreter = load_interpreter(model_content=OpModel().to_bytes(), runtime=runtime)
    interpreter._delegates = None  # the runtime's own reference
    _load_delegate.cache_clear()  # the last
    gc.collect()
    for batch in (1, 2):
        x = natural_map((batch, 9, 7, 5))
        np.testing.assert_array_equal(run(interpreter, x), x)


def test_load_delegate_by_hand() -> None:
    """As the README tells people who have their own loading code."""
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    delegate = litert.load_delegate(delegate_path())
    interpreters = [
        litert.Interpreter(model_content=OpModel().to_bytes(), experimental_delegates=[delegate]) for _ in range(2)
    ]
    for seed, interpreter in enumerate(interpreters):
        x = natural_map((1, 9, 7, 5), seed=seed)
        np.testing.assert_array_equal(run(interpreter, x), x)


def test_delegate_takes_no_options() -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    with pytest.raises(ValueError, match="fmtc-tflite delegate: unknown option 'threads'; it takes no options"):
        litert.load_delegate(delegate_path(), {"threads": 4})
