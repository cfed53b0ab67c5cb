"""Writes networks of published architectures with random weights, which tools take as models.

PYTHONPATH=tests python tests/write_networks.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from known_networks import mobilenet_v1, mobilenet_v2


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "person_detection.tflite").write_bytes(mobilenet_v1(0.25, 96, 1, 2, "INT8"))
    (folder / "mbv2_w0.35_144.tflite").write_bytes(mobilenet_v2(0.35, 144))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
