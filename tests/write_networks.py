"""Writes networks of published architectures with random weights, which tools take as models.

PYTHONPATH=tests python tests/write_networks.py FOLDER [NAME...]       all of tests/surveyed_networks.py by default
"""

from __future__ import annotations

import sys
from pathlib import Path

from surveyed_networks import NETWORKS


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or NETWORKS:
        (folder / f"{name}.tflite").write_bytes(NETWORKS[name]())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
