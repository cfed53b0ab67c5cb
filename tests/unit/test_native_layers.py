"""Who may include whom in custom_ops: each room includes only itself and the rooms below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Folder -> the folders that its files may include, beside itself. Programs may include everything.
ROOMS: dict[str, set[str]] = {
    "base": set(),
    "cpu": {"base"},
    "simd": {"base", "cpu"},
    "codec": {"base", "cpu", "simd"},
    "codec/kernels": {"base", "cpu", "simd", "codec"},
    "region": {"base", "codec"},
    "region/kernels": {"base", "cpu", "region"},
    "micro": {"base", "codec", "region", "tflite"},
    "c_api": {"base", "cpu", "codec", "codec/kernels", "region", "region/kernels"},
    "tflite": {"base", "cpu", "codec", "codec/kernels", "region", "region/kernels"},
    "litert": set(),
}
PROGRAMS = {"bare_metal", "bench", "fuzz", "tests"}


def includes(folder: Path) -> list[tuple[str, str]]:
    """(including file, included file) for every include of a file of ours, relative to custom_ops."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".cc", ".h"}:
            name = path.relative_to(folder).as_posix()
            found += [(name, to) for to in re.findall(r'^ *# *include "(.*)"', path.read_text(), re.MULTILINE)]
    return found


def room_of(name: str) -> str:
    return name.rpartition("/")[0]


def test_every_folder_is_a_room_or_a_program(repository: Path) -> None:
    folder = repository / "custom_ops"
    with_sources = {room_of(path.relative_to(folder).as_posix()) for path in folder.rglob("*.h")}
    assert with_sources <= set(ROOMS) | PROGRAMS


def test_rooms_include_only_what_lies_below_them(repository: Path) -> None:
    wrong = []
    for name, included in includes(repository / "custom_ops"):
        room = room_of(name)
        if room not in ROOMS or included.startswith("tensorflow/"):
            continue
        if room_of(included) not in ROOMS[room] | {room}:
            wrong.append(f"{name} includes {included}")
    assert wrong == []


def test_every_included_file_exists(repository: Path) -> None:
    folder = repository / "custom_ops"
    missing = [
        f"{name} includes {included}"
        for name, included in includes(folder)
        if not included.startswith("tensorflow/") and not (folder / included).is_file()
    ]
    assert missing == []


def test_headers_for_several_targets_are_named_so(repository: Path) -> None:
    """A header that is included between FMTC_BEGIN_TARGET and FMTC_END_TARGET ends in -inl.h, and no other does."""
    for path in (repository / "custom_ops").rglob("*"):
        if path.suffix not in {".cc", ".h"}:
            continue
        text = path.read_text()
        if path.name.endswith("-inl.h"):
            assert "FMTC_BEGIN_TARGET_" not in re.sub(r"//.*", "", text), path
            includes_of_it = re.findall(r"^#include (.*)", text, re.MULTILINE)
            assert all(name.endswith('-inl.h"') for name in includes_of_it), path
        _, begin, inside = re.sub(r"//.*", "", text).partition("\nFMTC_BEGIN_TARGET_")
        if begin:
            inner = re.findall(r'^#include "(.*)"', inside, re.MULTILINE)
            assert all(name.endswith("-inl.h") for name in inner), path


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_has_files(repository: Path, room: str) -> None:
    assert any((repository / "custom_ops" / room).glob("*.h"))
