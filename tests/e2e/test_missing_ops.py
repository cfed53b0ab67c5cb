"""Models with ops that the runtime lacks: what is said, and how users bring them."""

from __future__ import annotations

import importlib.resources
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fmtc_tflite
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.runtime.extensions import attached
from fmtc_tflite.types import Extensions
from model_builder import ModelBuilder

BIN = Path(sys.executable).parent
TESTS = Path(__file__).resolve().parent.parent
GENAI_OPS = Path(str(importlib.resources.files("ai_edge_litert"))) / "pywrap_genai_ops.so"


def vendor_model(op: str = "VENDOR_NEGATE") -> bytes:
    """Convolutions before and behind a custom op."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 32, 32, 3])
    x = graph.conv(x, 16, 3, activation="RELU", name="stem", scale=2.0, zero_point=-128)
    before = graph.conv(x, 16, 3, activation="RELU", name="before", scale=50.0, zero_point=-128)
    vendor = graph.tensor("vendor", before.shape, scale=50.0, zero_point=127)
    graph.op(op, [before], [vendor], custom_options=b"")
    x = graph.conv(vendor, 8, 3, name="behind", scale=1000.0)
    graph.output(graph.conv(x, 8, 3, name="head", scale=20000.0))
    return builder.build()


def attention_model() -> bytes:
    """A convolution, and behind it an op of the runtime's own library of custom ops, in floating point."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 32, 32, 3]), 16, 3, name="wide", scale=2.0)
    x = graph.dequantize(graph.conv(x, 8, 3, stride=4, name="narrow", scale=50.0))
    mask = graph.tensor("mask", [1, 1, 8, 8], "FLOAT32", data=np.zeros((1, 1, 8, 8), np.float32))
    y = graph.tensor("y", [1, 8, 8, 8], "FLOAT32")
    graph.op("odml.scaled_dot_product_attention", [x, x, x, mask], [y], custom_options=b"")
    graph.output(y)
    return builder.build()


@pytest.fixture(scope="session")
def delegate(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The vendor's delegate, compiled."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    library = tmp_path_factory.mktemp("vendor") / "libvendor.so"
    source = repository / "tests" / "vendor_delegate.cc"
    command = [compiler, "-std=c++17", "-shared", "-fPIC", f"-I{repository / 'custom_ops'}", source, "-o", library]
    subprocess.run(command, check=True)
    return library


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / name, *map(str, arguments)], capture_output=True, text=True)


def succeeds(name: str, *arguments: object) -> str:
    done = tool(name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fails(text: str, name: str, *arguments: object) -> None:
    done = tool(name, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert text in errors[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("execution", ["ops", "regions"])
def test_an_unknown_op_is_named(execution: str) -> None:
    Path("m.tflite").write_bytes(vendor_model())
    missing = (
        "lacks the custom op VENDOR_NEGATE (op 2, writes 'vendor'); its implementation is its maker's: give it with"
    )
    fails(missing, "fmtc-convert", "m.tflite", "--execution", execution)
    assert not Path("m_fmtc.tflite").exists()


def test_an_unknown_op_is_named_by_the_other_tools() -> None:
    Path("m.tflite").write_bytes(vendor_model())
    np.save("x.npy", np.zeros((2, 32, 32, 3), np.int8))
    fails("lacks the custom op VENDOR_NEGATE", "fmtc-eval", "--model_file", "m.tflite", "--data", "x.npy")
    fails("lacks the custom op VENDOR_NEGATE", "fmtc-profile", "m.tflite", "--data", "x.npy")
    assert "not measured: the runtime ai_edge_litert lacks the custom op" in succeeds("fmtc-profile", "m.tflite")


def test_ops_of_tensorflow_are_told_from_those_of_vendors() -> None:
    Path("m.tflite").write_bytes(vendor_model("FlexErf"))
    fails("lacks the custom op FlexErf (op 2, writes 'vendor'); it is TensorFlow's Erf", "fmtc-convert", "m.tflite")


def test_ops_of_a_newer_runtime_are_named() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 32, 32, 3]), 16, 3, name="conv")
    y = graph.tensor("y", x.shape)
    graph.op("RELU", [x], [y], version=99)
    graph.output(y)
    Path("m.tflite").write_bytes(builder.build())
    fails(
        "lacks the op RELU in version 99, which the model was written for; update the runtime",
        "fmtc-convert",
        "m.tflite",
    )


def test_a_delegate_brings_the_op(delegate: Path) -> None:
    Path("m.tflite").write_bytes(vendor_model())
    np.save("x.npy", np.random.default_rng(0).integers(-128, 128, (40, 32, 32, 3)).astype(np.int8))
    succeeds("fmtc-convert", "m.tflite", "--delegate", delegate)
    report = json.loads(Path("m_fmtc.json").read_text())
    assert report["fidelity"]["bit_exact"]
    assert {site["tensor"]: site["decision"] for site in report["sites"]} == dict.fromkeys(
        ("stem", "before", "vendor", "behind"), "coded"
    )

    # What the ops mean is the vendor's: the values that it gives, not some.
    with attached(Extensions(delegates=(str(delegate),))):
        interpreter = fmtc_tflite.load_interpreter("m.tflite", preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.load("x.npy")[:1])
    interpreter.invoke()
    names = [tensor.name for tensor in load_model("m.tflite").subgraphs[0].tensors]
    before, vendor = (interpreter.get_tensor(names.index(name)) for name in ("before", "vendor"))
    np.testing.assert_array_equal(vendor, -1 - before)
    assert before.std() > 1

    data = ("--data", "x.npy", "--delegate", delegate)
    models = ("--model_file", "m_fmtc.tflite", "--reference_model_file", "m.tflite")
    for workers in (1, 2):  # which are processes of their own
        json_file = f"{workers}.json"
        succeeds("fmtc-eval", *models, *data, "--num_workers", workers, "--json", json_file)
        assert json.loads(Path(json_file).read_text())["comparison"]["fidelity"]["relative_mse_mean"] == 0.0
    profile = succeeds("fmtc-profile", "m.tflite", "--compare", "m_fmtc.tflite", *data)
    assert "bytes (measured, ai_edge_litert, built-in kernels)" in profile


def test_regions_leave_the_op_alone_that_a_delegate_brings(delegate: Path) -> None:
    Path("m.tflite").write_bytes(vendor_model())
    succeeds("fmtc-convert", "m.tflite", "--delegate", delegate, "--execution", "regions")
    report = json.loads(Path("m_fmtc.json").read_text())
    assert report["fidelity"]["bit_exact"]
    assert [region["ops"] for region in report["regions"]] == [["CONV_2D", "CONV_2D"]] * 2
    assert [entry["op"] for entry in report["left_out"]] == ["VENDOR_NEGATE"]


def test_an_op_library_brings_the_op() -> None:
    if not GENAI_OPS.exists():
        pytest.skip("this runtime's package has no library of custom ops")
    Path("m.tflite").write_bytes(attention_model())
    np.save("x.npy", np.random.default_rng(0).integers(-128, 128, (8, 32, 32, 3)).astype(np.int8))
    fails("lacks the custom op odml.scaled_dot_product_attention (op 3", "fmtc-convert", "m.tflite")
    for library in (GENAI_OPS, f"{GENAI_OPS}:GenAIOpsRegisterer"):
        succeeds("fmtc-convert", "m.tflite", "--op_library", library, "--overwrite")
        assert json.loads(Path("m_fmtc.json").read_text())["fidelity"]["bit_exact"]
    models = ("--model_file", "m_fmtc.tflite", "--reference_model_file", "m.tflite")
    succeeds("fmtc-eval", *models, "--data", "x.npy", "--op_library", GENAI_OPS, "--json", "e.json")
    assert json.loads(Path("e.json").read_text())["comparison"]["fidelity"]["relative_mse_mean"] == 0.0
    assert "bytes (measured" in succeeds("fmtc-profile", "m.tflite", "--op_library", GENAI_OPS)


def test_files_that_are_no_libraries(delegate: Path) -> None:
    Path("m.tflite").write_bytes(vendor_model())
    Path("text.so").write_text("no library")
    for flag in ("--op_library", "--delegate"):
        fails("text.so does not load", "fmtc-convert", "m.tflite", flag, "text.so")
        fails(f"{flag} absent.so: there is no such file", "fmtc-convert", "m.tflite", flag, "absent.so")
    fails("it has no function RegisterSelectedOps; name the one", "fmtc-convert", "m.tflite", "--op_library", delegate)
    fails("it has no function Own", "fmtc-convert", "m.tflite", "--op_library", f"{delegate}:Own")
    if GENAI_OPS.exists():
        fails("it has GenAIOpsRegisterer", "fmtc-convert", "m.tflite", "--op_library", f"{GENAI_OPS}:Absent")
        missing = "it has no function tflite_plugin_create_delegate"
        fails(missing, "fmtc-convert", "m.tflite", "--delegate", GENAI_OPS)
