"""What all tools share on the command line: help, booleans, limits on figures."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from absl import flags

from fmtc_tflite.cli import common
from fmtc_tflite.cli.fail_if import Condition
from fmtc_tflite.errors import UsageError

TOOLS = ("convert", "evaluate", "profile")
DOCUMENT: dict[str, Any] = {
    "totals": {"bits_per_value": 2.25, "bytes": 100},
    "bit_exact": True,
    "sites": [{"bytes": 60, "bits": 1.5}, {"bytes": 40, "bits": 3.5}],
}
EVALUATION: dict[str, Any] = {
    "model": {"top1": 0.5, "coded": {"rate": {"mean": 2.5, "max": 9}, "sites": [{"rate": {"mean": 7}}]}},
    "reference_model": {"top1": 0.75, "top5": 0.875},
    "models": [{"bytes": 10, "arena": 30}, {"bytes": 20}],
}
# A tool's flags belong to its process; two tools have flags of one name.
LIST_GROUPS = """
import importlib, sys
from absl import flags
from fmtc_tflite.cli import common
tool = importlib.import_module(f"fmtc_tflite.cli.{sys.argv[1]}")
own = [f.name for f in flags.FLAGS.get_flags_for_module(tool.__name__) if type(f).__name__ != "_FlagAlias"]
print(*sorted(own))
print(*sorted(name for _, names in common.flag_groups(tool) for name in names))
"""


@pytest.mark.parametrize("tool", TOOLS)
def test_help_has_every_flag_once(tool: str) -> None:
    done = subprocess.run([sys.executable, "-c", LIST_GROUPS, tool], capture_output=True, text=True, check=True)
    own, shown = (Counter(line.split()) for line in done.stdout.splitlines())
    assert shown == own


def test_help_is_free_of_what_absl_adds() -> None:
    for tool in ("convert", "eval", "profile"):
        command = [sys.executable, "-m", "fmtc_tflite", tool, "-h"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "repeat this option" not in text
        assert "may be repeated." in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--flag", "true", "model"], ["--flag=true", "model"]),
        (["--flag", "False"], ["--flag=false"]),
        (["--flag", "model"], ["--flag", "model"]),
        (["--text", "true"], ["--text", "true"]),
        (["--noflag", "true"], ["--noflag", "true"]),
        (["true"], ["true"]),
        (["model", "--json"], ["model", "--json=-"]),
        (["--json", "model.tflite"], ["--json=-", "model.tflite"]),
        (["--json", "--flag"], ["--json=-", "--flag"]),
        (["--json", "-"], ["--json", "-"]),
        (["--json", "file"], ["--json", "file"]),
    ],
)
def test_implied_values(monkeypatch: pytest.MonkeyPatch, given: Sequence[str], expected: Sequence[str]) -> None:
    values = flags.FlagValues()
    flags.DEFINE_bool("flag", False, "", flag_values=values)
    flags.DEFINE_string("text", None, "", flag_values=values)
    monkeypatch.setattr(flags, "FLAGS", values)
    assert common.with_implied_values(["tool", *given]) == ["tool", *expected]


@pytest.mark.parametrize(
    ("document", "text", "figure"),
    [
        (DOCUMENT, "bits_per_value>2", ("totals.bits_per_value", 2.25)),
        (DOCUMENT, " totals.bytes <= 1e3", ("totals.bytes", 100)),
        (DOCUMENT, "sites.1.bits!=0", ("sites.1.bits", 3.5)),
        (DOCUMENT, "bytes==3", ("totals.bytes", 100)),
        (DOCUMENT, "bit_exact==false", ("bit_exact", 1)),
        (EVALUATION, "rate>2", ("model.coded.rate.mean", 2.5)),
        (EVALUATION, "rate.max>2", ("model.coded.rate.max", 9)),
        (EVALUATION, "sites.0.rate>2", ("model.coded.sites.0.rate.mean", 7)),
        (EVALUATION, "top1<0.5", ("model.top1", 0.5)),
        (EVALUATION, "reference_model.top1<0.5", ("reference_model.top1", 0.75)),
        (EVALUATION, "top5<0.5", ("reference_model.top5", 0.875)),
        (EVALUATION, "bytes>1", ("models.1.bytes", 20)),
        (EVALUATION, "models.0.bytes>1", ("models.0.bytes", 10)),
        (EVALUATION, "arena>1", ("models.0.arena", 30)),
    ],
)
def test_figures_are_found(document: dict[str, Any], text: str, figure: tuple[str, float]) -> None:
    """Of the model that is judged, where there are several."""
    assert Condition.parse(text).figure(document) == figure


@pytest.mark.parametrize("text", ["", "bits", "bits>", ">2", "bits>two", "bits=>2", "a b>2"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(UsageError, match="expected a figure of the JSON and a limit, such as"):
        Condition.parse(text)


def test_figures_that_are_not_there() -> None:
    with pytest.raises(
        UsageError, match="no figure of this name; expected one such as bit_exact, bits_per_value, bytes"
    ):
        Condition.parse("bit>2").figure(DOCUMENT)
    with pytest.raises(UsageError, match=r"2 figures have this name, such as sites\.0\.bits, sites\.1\.bits"):
        Condition.parse("bits>2").figure(DOCUMENT)


def test_tools_without_their_scripts() -> None:
    version = importlib.import_module("fmtc_tflite").__version__
    command = [sys.executable, "-m", "fmtc_tflite"]
    for tool in ("convert", "eval", "profile"):
        done = subprocess.run([*command, tool, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"fmtc-{tool} {version}\n"
    assert subprocess.run(command, capture_output=True).returncode == 2
    assert subprocess.run([*command, "-h"], capture_output=True).returncode == 0
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"fmtc-tflite {version}\n"
