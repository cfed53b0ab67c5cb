"""Damaged models, many of them, through every tool: each is refused cleanly or handled right; nothing else is allowed.

python tests/mutations.py COUNT [FIRST_SEED]      prints what came of them; failing files are kept in the current folder
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import model_builder
from model_mutator import mutate
from robustness import Driver, Job, Outcome

CONVERTING = ("convert", "convert_data", "convert_regions")
TOOLS = (*CONVERTING, "profile", "eval", "restore", "delegate", "profile_data", "profile_compare")
_NO_CLASSIFIERS = ("chain", "control flow")
_REAL_MODELS = ("ds_cnn_kws_int8", "resnet8_cifar10_int8")


@dataclass(frozen=True)
class Base:
    """A sound model, what it was converted from if it was, and samples for it."""

    path: Path
    original: Path | None
    data: Path


@dataclass(frozen=True)
class Trial:
    """One damaged model and what a tool did with it."""

    seed: int
    tool: str
    base: str
    damage: str
    content: bytes
    outcome: Outcome
    is_runtimes_crash: bool

    @property
    def kind(self) -> str:
        """accepted, refused, crashed (the runtime, alone as well), or FAILED."""
        if self.is_runtimes_crash:
            return "crashed"
        crashed = any(" crashed " in error for error in self.outcome.errors)
        if crashed or not self.outcome.is_clean:
            return "FAILED"
        return "accepted" if self.outcome.code == 0 else "refused"

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.tool} of {self.base}, {self.damage}: {self.outcome.code}\n{self.outcome.output}"
        )


def trials(driver: Driver, folder: Path, seeds: range, real_models: Path | None = None) -> Iterator[Trial]:
    """Damages a model for each seed and gives it to the tool whose turn it is.

    Args:
      folder: empty; for files of the trials.
      real_models: folder with models to damage beside the synthetic ones.
    """
    bases = _bases(driver, folder, real_models)
    for seed in seeds:
        tool, turn = TOOLS[seed % len(TOOLS)], seed // len(TOOLS)
        names = [name for name, base in bases.items() if _is_for(tool, base)]
        name = names[turn % len(names)]
        base = bases[name]
        own_ops_only = base.original is not None and (tool == "delegate" or turn % 2 == 0)
        damage, content = mutate(seed, base.path.read_bytes(), own_ops_only)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            model = Path(place, "model.tflite")
            model.write_bytes(content)
            original = None if base.original is None else str(base.original)
            outcome = driver.run(Job(tool, str(model), place, original, str(base.data), seed))
            crashed = any(" crashed " in error for error in outcome.errors)
            alone = crashed and _crashes_alone(driver, model, place)
        yield Trial(seed, tool, name, damage, content, outcome, alone)


def _is_for(tool: str, base: Base) -> bool:
    if tool in ("restore", "delegate", "profile_compare"):
        return base.original is not None
    return base.original is None or tool not in CONVERTING


def _crashes_alone(driver: Driver, model: Path, place: str) -> bool:
    outcome = driver.run(Job("runtime_alone", str(model), place))
    return any(" crashed " in error for error in outcome.errors)


def _bases(driver: Driver, folder: Path, real_models: Path | None) -> dict[str, Base]:
    rng = np.random.default_rng(0)
    models = {
        "operators": (model_builder.operators(), (16, 16, 3)),
        "residual": (model_builder.residual(), (16, 16, 3)),
        "chain": (model_builder.chain(), (16, 16, 3)),
        "control flow": (model_builder.with_control_flow(), (8, 8, 4)),
    }
    if real_models is not None:
        shapes = ((49, 10, 1), (32, 32, 3))
        for name, shape in zip(_REAL_MODELS, shapes, strict=True):
            models[name] = (real_models / f"{name}.tflite").read_bytes(), shape
    found: dict[str, Base] = {}
    for name, (content, shape) in models.items():
        path, data = folder / f"{name}.tflite", folder / f"{name}.npz"
        path.write_bytes(content)
        arrays = {"x": rng.integers(0, 256, (48, *shape)).astype(np.uint8)}
        if name == "control flow":
            arrays["condition"] = np.arange(48) % 2 == 0
        if name not in _NO_CLASSIFIERS:
            arrays["y"] = np.arange(48) % 4
        np.savez(data, **arrays)
        found[name] = Base(path, None, data)
        for tool in () if name == "control flow" else ("convert", "convert_data"):
            place = folder / f"{name} {tool}"
            place.mkdir()
            outcome = driver.run(Job(tool, str(path), str(place), data=str(data)))
            assert outcome.code == 0, outcome.output
            found[place.name] = Base(place / "converted.tflite", path, data)
    return found


def main() -> None:
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    real_data = os.environ.get("FMTC_TEST_DATA")
    kinds: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder, Driver() as driver:
        models = Path(real_data, "models") if real_data else None
        for trial in trials(driver, Path(folder), range(first, first + count), models):
            kinds[trial.tool, trial.kind] += 1
            if trial.kind == "FAILED":
                print(trial, flush=True)
                Path(f"mutation_{trial.tool}_{trial.seed}.tflite").write_bytes(trial.content)
    columns = ("accepted", "refused", "crashed", "FAILED")
    print(f"{'tool':16}", *(f"{column:>9}" for column in columns))
    for tool in TOOLS:
        print(f"{tool:16}", *(f"{kinds[tool, column]:9,}" for column in columns))
    total = [sum(kinds[tool, column] for tool in TOOLS) for column in columns]
    print(f"{f'{count:,} models':16}", *(f"{number:9,}" for number in total))
    print("crashed: the runtime alone does as well; the tools said so in one line")
    sys.exit(1 if total[-1] else 0)


if __name__ == "__main__":
    main()
