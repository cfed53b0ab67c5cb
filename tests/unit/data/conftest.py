"""Data that several tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_data import pixels, save_image


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """ImageNet's layout: classes cat, dog and eel with 3, 2 and 1 images, saved in another order than sorted."""
    folder = tmp_path / "images"
    arrays = iter(pixels(6))
    for file in ("dog/b.PNG", "cat/c.png", "cat/a.png", "eel/x/deep.png", "cat/b.png", "dog/a.png"):
        save_image(folder / file, next(arrays))
    (folder / "cat" / "notes.txt").write_text("no image")
    (folder / "cat" / "._a.png").write_bytes(b"a file manager's")
    return folder
