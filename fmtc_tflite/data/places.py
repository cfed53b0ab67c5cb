"""Data on file systems that Apache Beam knows beside this machine's: gs://, s3://, hdfs:// and others."""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fmtc_tflite.errors import UsageError

_URL = re.compile(r"([a-z][a-z0-9]+):/+(.+)", re.DOTALL)


def url(path: str | Path) -> str | None:
    """What a path outside of this machine's file system is called; None of one within."""
    found = _URL.fullmatch(str(path))
    return None if found is None else f"{found[1]}://{found[2]}"  # of two slashes, pathlib leaves one


def absolute(path: str | Path) -> str:
    """A path that does not depend on the working directory."""
    return url(path) or os.path.abspath(path)


def use_options(arguments: Sequence[str]) -> None:
    """Has file systems take a pipeline's options, such as --hdfs_host and --s3_endpoint_url."""
    systems, options = _beam()
    systems.set_options(options(list(arguments)))


def opened(place: str) -> Any:
    """A file to read from anywhere in it. Raises OSError."""
    try:
        return _file_systems().open(place, compression_type="uncompressed")
    except Exception as error:  # whatever a store's client has for it
        raise OSError(_first_line(error)) from error


def read(place: str) -> bytes:
    """All bytes of a file. Raises OSError."""
    with opened(place) as file:
        try:
            return bytes(file.read())
        except Exception as error:
            raise OSError(_first_line(error)) from error


def size(place: str) -> int | None:
    """Of one file; None if there is none."""
    try:
        (found,) = _file_systems().match([place])
    except Exception:
        return None
    return next((int(entry.size_in_bytes) for entry in found.metadata_list), None)


def listed(pattern: str) -> dict[str, int]:
    """The size of every file that a pattern names (`*` in a name, `**` below a folder), by URL, in their order.

    Raises OSError.
    """
    try:
        (found,) = _file_systems().match([pattern])
    except Exception as error:
        raise OSError(_first_line(error)) from error
    return {entry.path: entry.size_in_bytes for entry in sorted(found.metadata_list, key=lambda each: each.path)}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _file_systems() -> Any:
    systems, options = _beam()
    if getattr(systems, "_pipeline_options", None) is None:  # those of a pipeline, if there is one, stay
        systems.set_options(options([]))
    return systems


def _beam() -> tuple[Any, Any]:
    """Beam's FileSystems and PipelineOptions. Raises UsageError where they are not installed."""
    logging.disable(logging.WARNING)  # it warns at each import where Google's clients are not installed
    try:
        systems = importlib.import_module("apache_beam.io.filesystems").FileSystems
        options = importlib.import_module("apache_beam.options.pipeline_options").PipelineOptions
    except ImportError as error:
        raise UsageError(
            f"data on other file systems are read by Apache Beam, which does not load ({error}); "
            "run `pip install 'apache-beam[gcp,aws,hadoop]'` with the parts that you need"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    return systems, options
