"""Images in tar files, as WebDataset has them: `KEY.jpg`, and beside it `KEY.cls` with the label's number."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fmtc_tflite.data.packed_images import Listing, SpanReader, open_binary, open_spans
from fmtc_tflite.data.readers import IMAGE_SUFFIXES
from fmtc_tflite.errors import CalibrationError, reason

_LABEL_SUFFIX = ".cls"


def open_tar(files: Sequence[str | Path], input_name: str) -> SpanReader:
    """Opens tar files as one data set.

    Labels are those of the `.cls` members if each image has one.

    Args:
      files: in their order; local or URLs (see `places`).
      input_name: the input that gets the images.

    Raises:
      CalibrationError: a damaged file, or none with images; labels that are no numbers or that some images lack.
    """
    expected = f"members that end in {', '.join(IMAGE_SUFFIXES)}", f"a member KEY{_LABEL_SUFFIX} beside it"
    return open_spans("tar", files, input_name, _listed, expected)


def _listed(path: str | Path) -> Listing:
    names, spans, labels = list[str](), list[tuple[int, int]](), dict[str, int]()
    try:
        with open_binary(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                suffix = member.name[len(_key(member.name)) :].lower()
                if not member.isfile() or Path(member.name).name.startswith("."):
                    continue
                if suffix.endswith(IMAGE_SUFFIXES):
                    names.append(member.name)
                    spans.append((member.offset_data, member.size))
                elif suffix == _LABEL_SUFFIX:
                    content = archive.extractfile(member)
                    labels[_key(member.name)] = _label(path, member.name, b"" if content is None else content.read())
    except (OSError, tarfile.TarError) as error:
        raise CalibrationError(f"{path}: got no readable tar file ({reason(error)}); save it again") from error
    return Listing(names, np.array(spans, np.int64), [labels.get(_key(name)) for name in names])


def _label(path: str | Path, name: str, content: bytes) -> int:
    try:
        return int(content)
    except ValueError:
        raise CalibrationError(f"{path}: {name} holds {content[:20]!r}, expected the number of a class") from None


def _key(name: str) -> str:
    """What the members of one sample share: the path up to the first dot of the file's name."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]
