"""Names from files as they are shown."""

from __future__ import annotations

import pytest

from fmtc_tflite.text import counted, printable, printable_document, printable_lines

CASES = [
    ("conv/2d:0 größe 日本 µ", "conv/2d:0 größe 日本 µ"),
    ("a\nb\r\tc", r"a\nb\r\tc"),
    ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
    ("\x00\x7f\x80\x9b1m\x85", r"\x00\x7f\x80\x9b1m\x85"),
    ("\u202egnp.exe\u2066\u200f\ufeff", r"\u202egnp.exe\u2066\u200f\ufeff"),
    ("\u2028\u2029\xad", r"\u2028\u2029\xad"),
    (b"\xff\xfe\x80".decode("utf-8", "surrogateescape"), r"\xff\xfe\x80"),
    ("\ud800\udfff", r"\ud800\udfff"),
    ("\U000e0001\U0010ffff", r"\U000e0001\U0010ffff"),
]


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert shown.isprintable()
    shown.encode()  # nothing is left that an encoding of all characters lacks


def test_every_character_is_shown_or_escaped() -> None:
    for code in range(0x110000):
        assert printable(chr(code)).isprintable()


def test_lines_and_documents() -> None:
    assert printable_lines("a\x1b\nb\r\n") == "a\\x1b\nb\\r\n"
    document = {"n\n": [1, None, 2.5, True, "\x1b", ("\n",)]}
    assert printable_document(document) == {r"n\n": [1, None, 2.5, True, r"\x1b", [r"\n"]]}


def test_counted() -> None:
    assert [counted(n, "region") for n in (0, 1, 2, 1234)] == ["0 regions", "1 region", "2 regions", "1,234 regions"]
