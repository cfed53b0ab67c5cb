"""The extra, the examples and the documentation's snippets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's and TF-MOT's own
]


@pytest.mark.parametrize("missing", ["tensorflow", "tf_keras"])
def test_missing_extra_is_named(missing: str) -> None:
    code = (
        "import sys, types\n"
        "for name in ('tensorflow', 'tf_keras'): sys.modules[name] = types.ModuleType(name)\n"
        f"sys.modules[{missing!r}] = None\n"
        "from fmtc_tflite.errors import UsageError\n"
        "try: import fmtc_tflite.keras\n"
        "except UsageError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "run `pip install tensorflow tf-keras tensorflow-model-optimization`" in result.stdout, result.stderr


def run_example(script: Path, *arguments: str) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_example_of_conversion(repository: Path, network: Any, samples: np.ndarray, tmp_path: Path) -> None:
    network.save(tmp_path / "model.keras")
    np.savez(tmp_path / "images.npz", x=np.round(255 * samples).astype(np.uint8))
    script = repository / "examples" / "convert_keras.py"
    printed = run_example(script, "--keras_model=model.keras", "--data=images.npz", "--max_kl=0.1")
    assert "bits/value, written to model_fmtc.tflite" in printed
    printed = run_example(script, "--keras_model=model.keras", "--data=images.npz", "--overwrite")
    assert "bytes of arena, written to model_fmtc.tflite" in printed


def test_example_of_fine_tuning(repository: Path, samples: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.round(255 * samples).astype(np.uint8), y=np.arange(len(samples)) % 4)
    settings = ("--train_data=data.npz", "--test_data=data.npz", "--epochs=0", "--finetune_epochs=1", "--width=2")
    printed = run_example(repository / "examples" / "finetune.py", *settings, "--rate_weights=0,0.1", "--max_kl=0.5")
    assert "rate_weight 0.1: " in printed
    results = json.loads((tmp_path / "finetuned" / "results.json").read_text())
    bits = [run["bits_per_value"] for run in results["runs"]]
    assert results["summary"][1]["bits_change"][0] == pytest.approx(bits[1] / bits[0] - 1)


def test_example_of_a_quantized_network(repository: Path, real_data: Path, tmp_path: Path) -> None:
    quantized, data = real_data / "models" / "resnet8_cifar10_int8.tflite", real_data / "cifar10" / "calibration.npz"
    script = repository / "examples" / "resnet8_from_tflite.py"
    printed = run_example(script, f"--tflite={quantized}", f"--data={data}", "--output=resnet8.keras")
    agreement = re.search(r"they agree on (\S+) of 500 images", printed)
    assert agreement is not None
    assert float(agreement[1]) > 0.9
    assert keras.models.load_model(tmp_path / "resnet8.keras", compile=False).count_params() > 70_000


def test_snippets_of_the_documentation(repository: Path, network: Any, samples: np.ndarray, tmp_path: Path) -> None:
    text = (repository / "docs" / "keras.md").read_text()
    snippets = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 2
    train_data = tf.data.Dataset.from_tensor_slices((samples, np.arange(len(samples)) % 4)).batch(20)
    for snippet in snippets:
        names = {"model": network, "samples": samples, "representative_dataset": samples, "train_data": train_data}
        exec(snippet, names)
        (tmp_path / "model_fmtc.tflite").unlink()
        (tmp_path / "model_fmtc.json").unlink()
