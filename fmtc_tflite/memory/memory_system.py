"""Memory systems: which levels there are, what a bit costs on each, and what lives where.

A memory system is a TOML file: one of those in `memory_systems/`, named by its stem, or a user's own. Energy per bit of
DRAM alone spans a factor of twenty between sources, so every figure is a table of `value` and `source`, and a file in
which one is missing is refused. `docs/profiler.md` describes the form.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from fmtc_tflite.errors import UsageError
from fmtc_tflite.files import read_small

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_MEMORY_SYSTEM = "lpddr4"
_DEFAULT_LOGIC = "logic_45nm"  # used by systems that name no logic of their own


@dataclass(frozen=True)
class Figure:
    """A number and where it comes from."""

    value: float
    source: str


@dataclass(frozen=True)
class Level:
    """One memory.

    Attributes:
      read_pj_per_bit, write_pj_per_bit: energy of moving one bit, in pJ.
      capacity_bytes: None if it holds whatever comes.
    """

    name: str
    read_pj_per_bit: Figure
    write_pj_per_bit: Figure
    capacity_bytes: int | None


@dataclass(frozen=True)
class Pin:
    """The user's decision that feature maps whose name has a match of `tensor` live on one level."""

    tensor: re.Pattern[str]
    level: str


@dataclass(frozen=True)
class MemorySystem:
    """Levels, and what lives on them.

    Attributes:
      levels: by name.
      feature_maps: names of levels that may hold feature maps, the preferred first.
      weights: the level that constants are read from; None = their energy is not counted.
      side_information: the level that the codec's tables are read from.
      rings: the level that rings of regions are on; None = their energy is not counted.
      pins: feature maps that the user has placed.
      multiply_accumulate_pj, table_lookup_pj: energy of the codec's operations, in pJ.
    """

    name: str
    description: str
    levels: Mapping[str, Level]
    feature_maps: tuple[str, ...]
    weights: str | None
    side_information: str
    rings: str | None
    pins: tuple[Pin, ...]
    multiply_accumulate_pj: Figure
    table_lookup_pj: Figure

    def to_dict(self) -> dict[str, Any]:
        """As the profile's JSON has it."""
        return {
            "name": self.name,
            "description": self.description,
            "levels": {
                level.name: {
                    "capacity_bytes": level.capacity_bytes,
                    "read_pj_per_bit": vars(level.read_pj_per_bit).copy(),
                    "write_pj_per_bit": vars(level.write_pj_per_bit).copy(),
                }
                for level in self.levels.values()
            },
            "feature_maps": list(self.feature_maps),
            "weights": self.weights,
            "side_information": self.side_information,
            "logic": {
                "multiply_accumulate_pj": vars(self.multiply_accumulate_pj).copy(),
                "table_lookup_pj": vars(self.table_lookup_pj).copy(),
            },
        }


def known_memory_systems() -> list[str]:
    """Names of the memory systems that come with the package."""
    files = (file.name for file in _package_folder().iterdir())
    return sorted(name[:-5] for name in files if name.endswith(".toml") and name != f"{_DEFAULT_LOGIC}.toml")


def load_memory_system(name_or_path: str, on_chip_bytes: int | None = None) -> MemorySystem:
    """Loads a memory system.

    Args:
      name_or_path: one of known_memory_systems(), or the path of a file that ends in .toml.
      on_chip_bytes: replaces the capacity of the one level that has a capacity.

    Raises:
      UsageError: unknown name; unreadable file; a figure without a source, absent, negative or not finite; names of
        levels that do not exist; `on_chip_bytes` for a system without exactly one level of limited capacity.
    """
    content, where = _read(name_or_path)
    table = _Table(_parse(content, where), where)
    logic = table.optional_table("logic") or _default_logic()
    levels = {name: _level(entry, name, on_chip_bytes) for name, entry in table.table("levels").tables()}
    _check_on_chip(levels, on_chip_bytes, where)
    return _system(table, levels, logic)


def _system(table: _Table, levels: dict[str, Level], logic: _Table) -> MemorySystem:
    placement = table.table("placement")
    weights = placement.optional_string("weights")
    rings = placement.optional_string("rings")
    system = MemorySystem(
        name=table.string("name"),
        description=table.string("description"),
        levels=levels,
        feature_maps=placement.strings("feature_maps"),
        weights=weights,
        side_information=placement.string("side_information"),
        rings=rings,
        pins=tuple(Pin(entry.pattern("tensor"), entry.string("level")) for entry in table.array("pins")),
        multiply_accumulate_pj=logic.figure("multiply_accumulate_pj"),
        table_lookup_pj=logic.figure("table_lookup_pj"),
    )
    named = [*system.feature_maps, system.side_information, *(pin.level for pin in system.pins)]
    for name in [*named, *(level for level in (weights, rings) if level is not None)]:
        if name not in levels:
            raise UsageError(f"{table.where}: level '{name}' is not defined; the levels are {', '.join(levels)}")
    if levels[system.feature_maps[-1]].capacity_bytes is not None and len(levels) > 1:
        raise UsageError(
            f"{table.where}: the last level of placement.feature_maps has a capacity; expected one that holds the rest"
        )
    for known in (table, placement):
        known.check_all_used()
    return system


def _level(entry: _Table, name: str, on_chip_bytes: int | None) -> Level:
    if "." in name:  # which would end it in the paths of a profile's figures
        raise UsageError(f"{entry.where}: the level's name has a dot; name it without")
    capacity = entry.optional_size("capacity_bytes")
    if capacity is not None and on_chip_bytes is not None:
        capacity = on_chip_bytes
    level = Level(name, entry.figure("read_pj_per_bit", capacity), entry.figure("write_pj_per_bit", capacity), capacity)
    entry.check_all_used()
    return level


def _check_on_chip(levels: Mapping[str, Level], on_chip_bytes: int | None, where: str) -> None:
    limited = [level.name for level in levels.values() if level.capacity_bytes is not None]
    if on_chip_bytes is not None and len(limited) != 1:
        raise UsageError(
            f"--on_chip_bytes: {where} has {len(limited)} levels of limited capacity, expected 1; choose npu_sram_dram "
            "or a file of your own"
        )


def _default_logic() -> _Table:
    name = f"{_DEFAULT_LOGIC}.toml"
    return _Table(_parse((_package_folder() / name).read_bytes(), name), name).table("logic")


def _package_folder() -> Any:
    return resources.files("fmtc_tflite.memory") / "memory_systems"


def _read(name_or_path: str) -> tuple[bytes, str]:
    if name_or_path in known_memory_systems():
        return (_package_folder() / f"{name_or_path}.toml").read_bytes(), f"{name_or_path}.toml"
    if not name_or_path.endswith(".toml"):
        raise UsageError(
            f"unknown memory system '{name_or_path}'; choose one of {', '.join(known_memory_systems())}, or give the "
            "path of a .toml file"
        )
    try:
        return read_small(Path(name_or_path)), name_or_path
    except OSError as e:
        raise UsageError(f"cannot read the memory system {name_or_path}: {e.strerror}; check the path") from e


def _parse(content: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError) as e:
        raise UsageError(f"{where} is not TOML: {e}") from e


class _Table:
    """A TOML table whose entries are taken one by one; every complaint says which one."""

    def __init__(self, entries: Any, where: str) -> None:
        if not isinstance(entries, dict):
            raise UsageError(f"{where}: got {entries!r}, expected a table")
        self.where = where
        self._entries = entries
        self._used: set[str] = set()

    def table(self, key: str) -> _Table:
        return _Table(self.take(key), f"{self.where}: {key}")

    def optional_table(self, key: str) -> _Table | None:
        return self.table(key) if key in self._entries else None

    def tables(self) -> Iterator[tuple[str, _Table]]:
        for key in self._entries:
            yield key, self.table(key)

    def array(self, key: str) -> list[_Table]:
        entries = self.take(key) if key in self._entries else []
        if not isinstance(entries, list):
            raise UsageError(f"{self.where}: {key} is {entries!r}, expected an array of tables")
        return [_Table(entry, f"{self.where}: {key}") for entry in entries]

    def string(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{self.where}: {key} is {value!r}, expected a text")
        return value

    def optional_string(self, key: str) -> str | None:
        return self.string(key) if key in self._entries else None

    def strings(self, key: str) -> tuple[str, ...]:
        values = self.take(key)
        if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
            raise UsageError(f"{self.where}: {key} is {values!r}, expected an array of names")
        return tuple(values)

    def pattern(self, key: str) -> re.Pattern[str]:
        text = self.string(key)
        try:
            return re.compile(text)
        except re.error as e:
            raise UsageError(f"{self.where}: {key} {text!r} is not a regular expression: {e}") from e

    def optional_size(self, key: str) -> int | None:
        if key not in self._entries:
            return None
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UsageError(f"{self.where}: {key} is {value!r}, expected a whole number of bytes")
        return value

    def figure(self, key: str, capacity_bytes: int | None = None) -> Figure:
        """A figure; of an array of them, the first whose `up_to_bytes` holds the capacity, or else the last."""
        value = self.take(key)
        if not isinstance(value, list):
            return _figure(_Table(value, f"{self.where}: {key}"))
        choices = [_Table(entry, f"{self.where}: {key}") for entry in value]
        if not choices:
            raise UsageError(f"{self.where}: {key} is empty, expected figures")
        fitting = [choice for choice in choices if (choice.optional_size("up_to_bytes") or 0) >= (capacity_bytes or 0)]
        return _figure(fitting[0] if fitting else choices[-1])

    def check_all_used(self) -> None:
        unknown = sorted(set(self._entries) - self._used)
        if unknown:
            raise UsageError(f"{self.where}: unknown entry '{unknown[0]}'; docs/profiler.md lists the known ones")

    def take(self, key: str) -> Any:
        if key not in self._entries:
            raise UsageError(f"{self.where}: {key} is missing")
        self._used.add(key)
        return self._entries[key]


def _figure(entry: _Table) -> Figure:
    value = entry.take("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise UsageError(f"{entry.where}: value is {value!r}, expected a number that is not negative")
    return Figure(float(value), entry.string("source"))
