"""Selectors: how users say which ops, or which feature maps that ops write, something is for.

A text is a regular expression, searched in the names of the tensors that an op writes, or begins with a keyword:

    op:17    op:17,20-25    op:1/3     number in execution order; 1/3 is op 3 of subgraph 1
    type:DEPTHWISE_CONV_2D  type:*CONV*,ADD
    shape:112x112x*         what is written; * is any size, and the batch may be left out
    name:block_1.*          a regular expression, to the end of the text

Several, with spaces between them, must all hold: `type:CONV_2D shape:56x56x*`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fmtc_tflite.errors import UsageError
from fmtc_tflite.graph.model import Op, Subgraph, Tensor

_MERGED = ";"  # between the names that a converter has merged into one
_FORMS = "op:17, op:20-25, type:CONV_2D, shape:112x112x* or a regular expression"
_RANGE = re.compile(r"(?:(\d+)/)?(\d+)(?:-(\d+))?")
_KEYWORD = re.compile(r"(op|type|shape|name):")


@dataclass(frozen=True)
class Place:
    """What a selector looks at: an op, and those of the tensors it writes that count.

    Attributes:
      number: of the op in its subgraph's execution order.
      subgraph: the subgraph's.
    """

    number: int
    subgraph: int
    opcode: str
    tensors: tuple[Tensor, ...]

    @property
    def label(self) -> str:
        """What `op:` selects it by: 17, or 1/17 in another subgraph than the first."""
        return f"{self.subgraph}/{self.number}" if self.subgraph else str(self.number)


def places(subgraph: Subgraph) -> dict[Op, Place]:
    """All ops of a subgraph, each with everything that it writes."""
    return {
        op: Place(number, subgraph.index, op.opcode, tuple(t for t in op.outputs if t is not None))
        for number, op in enumerate(subgraph.ops)
    }


_Test = Callable[[Place], bool]


@dataclass(frozen=True, eq=False)
class Selector:
    """A parsed text.

    Attributes:
      text: as the user wrote it.
      pattern: its regular expression, None without one.
    """

    text: str
    pattern: re.Pattern[str] | None
    _tests: tuple[_Test, ...]

    def matches(self, place: Place) -> bool:
        """Whether all parts of the selector hold."""
        return all(test(place) for test in self._tests)

    def is_by_merged_name(self, place: Place) -> bool:
        """Whether a name of the place matches only somewhere inside, where converters put names of other ops.

        A fused op's tensor has a name such as `a/Relu;b/Conv2D;a/Conv2D1`: it is known by the first and the last part;
        those between are of tensors that had the same value, often of another layer.
        """
        return self.pattern is not None and all(
            self.pattern.search(tensor.name) is None or _is_inside(self.pattern, tensor.name)
            for tensor in place.tensors
        )


def parse_selector(text: str) -> Selector:
    """Parses a text; see the module's.

    Raises:
      UsageError: no regular expression, or a keyword with something else than it takes.
    """
    tests: list[_Test] = []
    pattern: re.Pattern[str] | None = None
    rest = text
    while rest or not tests:
        found = _KEYWORD.match(rest)
        if found is None and tests:
            raise UsageError(f"{text!r}: got {rest!r}, expected {_FORMS}; name: goes before a regular expression")
        keyword = "name" if found is None else found[1]
        rest = rest if found is None else rest[found.end() :]
        if keyword == "name":
            pattern = _compiled(rest, text)
            tests.append(_name_test(pattern))
            break
        value, _, rest = rest.partition(" ")
        tests.append(_TESTS[keyword](value, text))
        rest = rest.lstrip()
    return Selector(text, pattern, tuple(tests))


@dataclass(frozen=True)
class Filter:
    """--include and --exclude: what is left out by name, number, type or shape."""

    include: Selector | None = None
    exclude: Selector | None = None

    @classmethod
    def parse(cls, include: str | None, exclude: str | None) -> Filter:
        """Raises UsageError where one is no selector."""
        return cls(*(_flag(*each) for each in (("--include", include), ("--exclude", exclude))))

    def reason(self, place: Place) -> str | None:
        """Why the place is left out; None if it is not."""
        if self.include is not None and not self.include.matches(place):
            return "not matched by --include"
        if self.exclude is not None and self.exclude.matches(place):
            return "matched by --exclude"
        return None

    def warnings(self, known: Iterable[Place]) -> list[str]:
        """What a user should know about the selectors, whose places are `known`."""
        known = list(known)
        found = [] if self.include is None else merged_name_warnings("--include", self.include, known)
        if self.exclude is not None:
            found += merged_name_warnings("--exclude", self.exclude, known)
            if not any(map(self.exclude.matches, known)):
                found.append(f"--exclude {self.exclude.text!r} matches nothing")
        return found


def merged_name_warnings(flag: str, selector: Selector, known: Iterable[Place]) -> list[str]:
    """A line for a user whose regular expression matched a name that converters merged; none otherwise."""
    found = [place for place in known if selector.matches(place) and selector.is_by_merged_name(place)]
    if not found:
        return []
    numbers = ", ".join(place.label for place in found[:8]) + (", ..." if len(found) > 8 else "")
    warning = (
        f"{flag} {selector.text!r} matches op{'s' * (len(found) > 1)} {numbers} only inside a merged name, which has "
        f"names of other layers too; op:{found[0].label} or type:{found[0].opcode} select without names"
    )
    return [warning]


def _flag(flag: str, text: str | None) -> Selector | None:
    try:
        return None if text is None else parse_selector(text)
    except UsageError as e:
        raise UsageError(f"{flag} {e}") from e


def _is_inside(pattern: re.Pattern[str], name: str) -> bool:
    first, *others = name.split(_MERGED)
    if not others:
        return False
    *inner, last = others
    return not (pattern.search(first) or pattern.search(last)) and any(map(pattern.search, inner))


def _compiled(expression: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as e:
        raise UsageError(f"{text!r} is not a regular expression: {e}") from e


def _name_test(pattern: re.Pattern[str]) -> _Test:
    return lambda place: any(pattern.search(tensor.name) for tensor in place.tensors)


def _op_test(value: str, text: str) -> _Test:
    ranges: list[tuple[int, int, int]] = []
    for part in value.split(","):
        found = _RANGE.fullmatch(part)
        if found is None or (found[3] is not None and int(found[3]) < int(found[2])):
            raise UsageError(f"{text!r}: got op:{value}, expected numbers of ops, such as op:17, op:17,20-25 or op:1/3")
        ranges.append((int(found[1] or 0), int(found[2]), int(found[3] or found[2])))
    return lambda place: any(s == place.subgraph and low <= place.number <= high for s, low, high in ranges)


def _type_test(value: str, text: str) -> _Test:
    if not value:
        raise UsageError(f"{text!r}: expected an operator's name behind type:, such as type:CONV_2D")
    globs = value.split(",")
    return lambda place: any(fnmatchcase(place.opcode, each) for each in globs)


def _shape_test(value: str, text: str) -> _Test:
    sizes = value.split("x")
    if not all(size == "*" or (size.isascii() and size.isdigit()) for size in sizes):
        raise UsageError(f"{text!r}: got shape:{value}, expected sizes or * with x between, such as shape:112x112x*")
    return lambda place: any(_has_shape(tensor.shape, sizes) for tensor in place.tensors)


def _has_shape(shape: Sequence[int], sizes: Sequence[str]) -> bool:
    if len(shape) == len(sizes) + 1:
        shape = shape[1:]
    return len(shape) == len(sizes) and all(size in ("*", str(own)) for own, size in zip(shape, sizes, strict=True))


_TESTS: dict[str, Callable[[str, str], _Test]] = {"op": _op_test, "type": _type_test, "shape": _shape_test}
