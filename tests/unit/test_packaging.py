"""The source tree is consistent: versions, build files, layers, and nothing of one machine in it."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest

import fmtc_tflite

SOURCE_SUFFIXES = {".cc", ".h"}


def tracked_files(repository: Path) -> list[Path]:
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-C", str(repository), "ls-files", "-z"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return [repository / name for name in names if name and (repository / name).is_file()]


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("pyproject.toml", r'^version = "(.*)"$'),
        ("MODULE.bazel", r'^    version = "(.*)",$'),
        ("CITATION.cff", r"^version: (.*)$"),
        ("CHANGELOG.md", r"^## (\d\S*)"),
        ("custom_ops/c_api/fmtc_c_api.h", r'^#define FMTC_VERSION "(.*)"$'),
    ],
)
def test_version_is_the_same_everywhere(repository: Path, file: str, pattern: str) -> None:
    found = re.search(pattern, (repository / file).read_text(), re.MULTILINE)
    assert found is not None
    assert found[1] == fmtc_tflite.__version__ == importlib.metadata.version("fmtc-tflite")


def build_sources(text: str) -> set[str]:
    without_comments = re.sub(r"#.*", "", text)
    return set(re.findall(r"[\w/-]+\.(?:cc|h)\b", without_comments))


def test_cmake_and_bazel_name_every_source(repository: Path) -> None:
    folder = repository / "custom_ops"
    on_disk = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in SOURCE_SUFFIXES}
    cmake = build_sources((folder / "CMakeLists.txt").read_text())
    bazel = build_sources((folder / "BUILD").read_text())
    # CMake finds headers by itself.
    compiled = {name for name in on_disk if name.endswith(".cc")}
    assert {name for name in cmake if name.endswith(".cc")} == compiled
    assert bazel == on_disk


def test_no_machine_paths(repository: Path) -> None:
    machine_path = re.compile(r"(?:^|[^A-Za-z0-9_.])/(?:work|farm|root|home|opt)/|/tmp/[a-z]")
    found = []
    for path in tracked_files(repository):
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(repository)}: {line}" for line in lines if machine_path.search(line)]
    # The pattern itself is the one line that may look like a machine path.
    assert [line for line in found if "machine_path = re.compile" not in line] == []


def test_large_files_are_not_tracked(repository: Path) -> None:
    large = [str(path) for path in tracked_files(repository) if path.stat().st_size > 1_000_000]
    assert large == []


def test_the_page_on_architecture_names_every_folder(repository: Path) -> None:
    page = (repository / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_/]+)`", page))
    folders = set()
    for root in ("fmtc_tflite", "custom_ops"):
        files = [
            p.relative_to(repository / root) for p in tracked_files(repository) if p.is_relative_to(repository / root)
        ]
        folders |= {parent.as_posix() for file in files for parent in file.parents} - {"."}
    assert folders - named == set()


def test_tests_that_need_extras_are_marked(repository: Path) -> None:
    """The gate runs those alone where the extras are installed."""
    packages = r"apache_beam|boto3|dask|keras|matplotlib|moto|sklearn|tensorflow|tf_keras|zstandard"
    for path in sorted((repository / "tests").rglob("test_*.py")):
        text = path.read_text()
        if re.search(rf'importorskip\(\s*"({packages})|find_spec\("({packages})', text):
            assert "pytest.mark.extras" in text, path
