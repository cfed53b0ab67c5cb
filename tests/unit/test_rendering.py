"""How names that are too long for a line, and rates, are shown."""

from __future__ import annotations

from fmtc_tflite.rendering import distinct_names, rate_form


def test_names_are_shown_by_what_tells_them_apart() -> None:
    names = ["net/block_1/Relu;net/block_1/bn;net/block_2/Conv2D", "net/block_2/Relu", "net/other"]
    assert distinct_names(names, 30) == ["block_1/Relu;...", "block_2/Relu", "other"]
    assert distinct_names(["net/only"], 30) == ["net/only"]
    assert distinct_names([], 30) == []
    long = [f"a{'b' * 40}/{end}" for end in ("first", "second")]
    assert distinct_names(long, 20) == ["first", "second"]
    assert distinct_names([*long, "c"], 20) == ["abbbbbbbbbb.../first", "abbbbbbbbbb...second", "c"]
    assert max(map(len, distinct_names(["x" * 99, "y" * 99], 20))) == 20


def test_rates_have_no_exponent() -> None:
    shown = [f"{rate:{rate_form(rate)}}" for rate in (0.05, 30, 999.96, 1000, 17620.4, 999999)]
    assert shown == ["0.05", "30", "1,000", "1,000", "17,620", "999,999"]
