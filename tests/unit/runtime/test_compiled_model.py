"""Converted models under LiteRT's CompiledModel."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fmtc_tflite
from fmtc_tflite.errors import RuntimeLibraryError
from fmtc_tflite.runtime import compiled_model

PACKAGE = importlib.resources.files("fmtc_tflite")
# In a process of its own: LiteRT keeps what it loads, and writes to stderr.
RUN = """
import sys
import numpy as np
import fmtc_tflite

kind, path, threads = sys.argv[1:]
x = np.load("x.npy")
if kind == "interpreter":
    interpreter = fmtc_tflite.load_interpreter(path)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    outputs = [interpreter.get_tensor(d["index"]).tobytes().hex() for d in interpreter.get_output_details()]
else:
    model = fmtc_tflite.load_compiled_model(path, int(threads))
    inputs, buffers = model.create_input_buffers(0), model.create_output_buffers(0)
    inputs[0].write(x)
    model.run_by_index(0, inputs, buffers)
    outputs = [buffers[0].read(10, np.int8).tobytes().hex()]
print("OUTPUTS", *outputs)
"""


def outputs(kind: str, path: str, threads: int = 1) -> str:
    done = subprocess.run([sys.executable, "-c", RUN, kind, path, str(threads)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("OUTPUTS ")]
    return line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, as it is, with regions and with coded feature maps, and an input."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "m.tflite").write_bytes((PACKAGE / "demo" / "demo_int8.tflite").read_bytes())
    fmtc_tflite.convert(folder / "m.tflite", folder / "regions.tflite")
    options = fmtc_tflite.ConvertOptions(execution="ops")
    fmtc_tflite.convert(folder / "m.tflite", folder / "ops.tflite", options=options)
    shape = fmtc_tflite.load_interpreter(folder / "m.tflite").get_input_details()[0]["shape"]
    np.save(folder / "x.npy", np.random.default_rng(0).integers(-128, 128, shape, np.int8))
    return folder


def is_tested() -> bool:
    try:
        compiled_model.check_version()
    except RuntimeLibraryError:
        return False
    return True


@pytest.mark.skipif(not is_tested(), reason="no ai-edge-litert whose CompiledModel is known")
@pytest.mark.parametrize("name", ["ops.tflite", "regions.tflite"])
def test_outputs_are_those_of_the_original(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    expected = outputs("interpreter", "m.tflite")
    assert outputs("compiled", "m.tflite") == expected
    for threads in (1, 2):
        assert outputs("compiled", name, threads) == expected


@pytest.mark.parametrize("version", ["2.1.6", "2.4.0", "3.0", "2.30.1", "strange"])
def test_other_versions_are_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    with pytest.raises(
        RuntimeLibraryError, match=rf"{version}: its CompiledModel .* tested are 2.2 and 2.3; install one"
    ):
        compiled_model.load_compiled_model("m.tflite")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(RuntimeLibraryError, match="run `pip install ai-edge-litert`"):
        compiled_model.load_compiled_model("m.tflite")
