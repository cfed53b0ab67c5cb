"""load_interpreter: choice of the runtime, options, and what it says when something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.errors import RuntimeLibraryError, UsageError
from fmtc_tflite.runtime import interpreter as interpreter_module
from fmtc_tflite.runtime.interpreter import available_runtimes, delegate_path, load_interpreter
from fmtc_tflite.runtime.library import load_library
from ops.op_models import OpModel

pytestmark = pytest.mark.extras

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(OpModel().to_bytes())
    return path


def test_default_runtime_is_the_first(model_path: Path) -> None:
    names = available_runtimes()
    assert list(names) == [n for n in ("ai_edge_litert", "tflite_runtime", "tensorflow") if n in names]
    assert type(load_interpreter(model_path)).__module__.startswith(names[0])


def test_path_or_content(runtime: str, model_path: Path) -> None:
    for interpreter in (
        load_interpreter(model_path, runtime),
        load_interpreter(str(model_path), runtime, 2),
        load_interpreter(model_content=model_path.read_bytes(), runtime=runtime),
    ):
        interpreter.allocate_tensors()
        assert interpreter.get_input_details()[0]["shape"].tolist() == [1, 9, 7, 5]


@pytest.mark.parametrize("arguments", [{}, {"model_path": "a", "model_content": b"b"}], ids=["neither", "both"])
def test_needs_exactly_one_model(arguments: dict) -> None:
    with pytest.raises(UsageError, match="either model_path or model_content"):
        load_interpreter(**arguments)


def test_unknown_runtime(model_path: Path) -> None:
    with pytest.raises(
        UsageError, match="unknown runtime 'onnx'; choose one of ai_edge_litert, tflite_runtime, tensorflow"
    ):
        load_interpreter(model_path, "onnx")


def test_runtime_not_installed(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter_module, "_is_installed", lambda runtime: runtime == "ai_edge_litert")
    with pytest.raises(RuntimeLibraryError, match="pip install tflite-runtime` or use one of: ai_edge_litert"):
        load_interpreter(model_path, "tflite_runtime")


def test_no_runtime_installed(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter_module, "_is_installed", lambda runtime: False)
    with pytest.raises(RuntimeLibraryError, match="no TensorFlow Lite runtime is installed; run `pip install"):
        load_interpreter(model_path)


def test_runtime_that_does_not_import(model_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("numpy 2")

    monkeypatch.setitem(interpreter_module._RUNTIMES, runtime, broken)
    with pytest.raises(RuntimeLibraryError, match=f"{runtime} is installed but does not load: numpy 2; reinstall"):
        load_interpreter(model_path, runtime)


def test_missing_library(model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMTC_LIBRARY", str(tmp_path / "nothing.so"))
    with pytest.raises(RuntimeLibraryError, match=r"nothing\.so"):
        delegate_path()
    with pytest.raises(RuntimeLibraryError, match=r"nothing\.so"):
        load_interpreter(model_path)


def test_library_that_does_not_load(model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "text.so"
    library.write_text("not a library")
    monkeypatch.setenv("FMTC_LIBRARY", str(library))
    load_library.cache_clear()
    with pytest.raises(RuntimeLibraryError, match=r"text\.so"):
        load_interpreter(model_path)


def test_delegate_path_is_a_file() -> None:
    assert Path(delegate_path()).is_file()


def test_intermediate_tensors_can_be_kept(runtime: str, model_path: Path) -> None:
    interpreter = load_interpreter(model_path, runtime, preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.invoke()
    names = {d["name"]: d["index"] for d in interpreter.get_tensor_details()}
    assert interpreter.get_tensor(names["coded"])[0, :4].tobytes() == b"FMTC"


def test_builtin_kernels_only(runtime: str) -> None:
    """The ADDs of a surrounded model are taken by XNNPACK or, on demand, stay with the built-in kernels."""

    def kernels(only: bool) -> int:
        model = OpModel(surrounded=True).to_bytes()
        interpreter = load_interpreter(model_content=model, runtime=runtime, builtin_kernels_only=only)
        interpreter.allocate_tensors()
        return sum(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())

    assert kernels(only=True) == 0
    # In tflite-runtime, XNNPACK leaves quantized models alone.
    assert (kernels(only=False) > 0) == (runtime != "tflite_runtime")


def test_needs_little(model_path: Path) -> None:
    """A device that runs converted models has numpy and a runtime; nothing of the converter is imported."""
    script = (
        "import sys\n"
        "import fmtc_tflite\n"
        "fmtc_tflite.load_interpreter(sys.argv[1]).allocate_tensors()\n"
        "others = ('PIL', 'flatbuffers', 'absl', 'threadpoolctl', 'tqdm')\n"
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in others\n"
        "      or m.startswith('fmtc_tflite.') or 'schema' in m))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(model_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert result.stdout.split() == [
        "fmtc_tflite.errors",
        "fmtc_tflite.runtime",
        "fmtc_tflite.runtime.extensions",
        "fmtc_tflite.runtime.interpreter",
        "fmtc_tflite.runtime.library",
        "fmtc_tflite.runtime.native_handle",
        "fmtc_tflite.types",
    ]


def test_importing_loads_no_runtime() -> None:
    script = "import sys, fmtc_tflite; print(*(m for m in sys.modules if 'lite' in m and not m.startswith('fmtc')))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.split() == []


def test_result_is_the_runtimes_own_interpreter(runtime: str, model_path: Path) -> None:
    interpreter = load_interpreter(model_path, runtime)
    assert type(interpreter).__name__ == "Interpreter"
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.zeros((1, 9, 7, 5), np.int8))
    interpreter.invoke()
