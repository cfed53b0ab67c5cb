"""Values of flags that have several forms."""

from __future__ import annotations

import pytest

from fmtc_tflite.cli.data_flags import parse_resize
from fmtc_tflite.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("224", (224, 224)), ("224,192", (224, 192)), ("224x192", (224, 192)), ("224, 192", (224, 192)), (None, None)],
)
def test_resize(text: str | None, expected: tuple[int, int] | None) -> None:
    assert parse_resize(text) == expected


@pytest.mark.parametrize("text", ["", "a", "224,", "224x224x3", "-1", "1.5", "224;224"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match=r"--resize .*: expected pixels, such as 224, or height,width"):
        parse_resize(text)
