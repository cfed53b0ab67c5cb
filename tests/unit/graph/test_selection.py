"""How ops and feature maps are selected: by number, type, shape and name."""

from __future__ import annotations

import pytest

from fmtc_tflite.errors import UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.selection import Filter, Place, merged_name_warnings, parse_selector, places
from model_builder import ModelBuilder, operators


def known() -> list[Place]:
    return list(places(load_model(operators()).subgraphs[0]).values())


def numbers(text: str) -> list[int]:
    selector = parse_selector(text)
    return [place.number for place in known() if selector.matches(place)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("op:3", [3]),
        ("op:0,3-5,11", [0, 3, 4, 5, 11]),
        ("op:1/3", []),
        ("op:0/3", [3]),
        ("type:CONV_2D", [0, 7]),
        ("type:*CONV_2D", [0, 1, 7]),
        ("type:PAD,MEAN", [3, 11]),
        ("shape:16x16x*", [0, 1]),
        ("shape:*x16x16x8", [0, 1]),
        ("shape:8x8x24", [7, 8, 9]),
        ("shape:24", [11]),  # the batch left out
        ("type:CONV_2D shape:8x8x*", [7]),
        ("type:CONV_2D name:^w", [7]),
        ("^s", [0, 4, 13]),
        ("name:op:", []),
        ("", list(range(14))),
    ],
)
def test_what_is_selected(text: str, expected: list[int]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(", "not a regular expression"),
        ("op:", "such as op:17"),
        ("op:5-3", "such as op:17"),
        ("op:x", "such as op:17"),
        ("type:", "such as type:CONV_2D"),
        ("shape:8xa", "such as shape:112x112x\\*"),
        ("shape:", "such as shape"),
        ("op:3 wide", "name: goes before a regular expression"),
    ],
)
def test_what_is_no_selector(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_selector(text)
    with pytest.raises(UsageError, match="--exclude"):
        Filter.parse(None, text)


def merged() -> list[Place]:
    """Names as the converter of TensorFlow merges them: the middle part is another layer's."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 8, 8, 4])
    for name in ("net/a/Relu;net/a/batch_norm;net/c/Conv2D;net/a/Conv2D1", "net/b/Relu;net/b/Conv2D", "net/c/Conv2D"):
        x = graph.conv(x, 4, name=name)
    graph.output(x)
    return list(places(load_model(builder.build()).subgraphs[0]).values())


def test_matches_inside_merged_names_are_told() -> None:
    selector = parse_selector("c/Conv2D")
    assert [place.number for place in merged() if selector.matches(place)] == [0, 2]
    (warning,) = merged_name_warnings("--include", selector, merged())
    assert "--include 'c/Conv2D' matches op 0 only inside a merged name" in warning
    assert "op:0 or type:CONV_2D" in warning
    for own in ("a/Conv2D1$", "a/", "Relu", "Relu.*Conv2D", "op:0"):
        assert merged_name_warnings("--include", parse_selector(own), merged()) == []


def test_filter() -> None:
    filter_ = Filter.parse("type:CONV_2D", "op:7")
    assert [filter_.reason(place) for place in known()[6:8]] == ["not matched by --include", "matched by --exclude"]
    assert filter_.reason(known()[0]) is None
    assert filter_.warnings(known()) == []
    assert Filter.parse(None, "type:CONV2D").warnings(known()) == ["--exclude 'type:CONV2D' matches nothing"]


def test_ops_of_other_subgraphs() -> None:
    builder = ModelBuilder()
    for name in ("main", "second"):
        graph = builder.graph(name)
        graph.output(graph.conv(graph.input(f"{name}/x", [1, 8, 8, 4]), 4, name=f"{name}/conv"))
    first, second = (next(iter(places(graph).values())) for graph in load_model(builder.build()).subgraphs)
    assert (first.label, second.label) == ("0", "1/0")
    assert [parse_selector("op:1/0").matches(place) for place in (first, second)] == [False, True]
