"""The ZIP of associated files (labels, vocabularies) that TFLite metadata tools append to a model."""

from __future__ import annotations

import copy
import io
import warnings
import zipfile
import zlib
from dataclasses import dataclass, field

from fmtc_tflite.errors import ModelFormatError

MAX_TOTAL_BYTES = 1 << 28  # unpacked; keeps a small file from expanding without end

_LOCAL_HEADER = b"PK\x03\x04"


@dataclass(eq=False)
class AssociatedFile:
    """One file of the archive; `info` keeps its date, compression and attributes."""

    name: str
    data: bytes
    info: zipfile.ZipInfo = field(repr=False)


def read_associated_files(content: bytes, model_end: int) -> list[AssociatedFile]:
    """Returns the files of the ZIP that follows the model in `content`, if there is one.

    Args:
      content: the whole file.
      model_end: a byte position that is certainly not behind the start of the ZIP.

    Raises:
      ModelFormatError: the ZIP is damaged, truncated, encrypted or too large.
    """
    if content.find(_LOCAL_HEADER, model_end) < 0:
        return []
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            total = sum(info.file_size for info in infos)
            if total > MAX_TOTAL_BYTES:
                raise ModelFormatError(
                    f"the associated files appended to the model unpack to {total} bytes, at most "
                    f"{MAX_TOTAL_BYTES} are accepted; remove them with a ZIP tool"
                )
            return [AssociatedFile(info.filename, archive.read(info), info) for info in infos]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise ModelFormatError(
            f"the ZIP of associated files appended to the model is damaged or truncated ({error}); copy the model again"
        ) from error


def append_associated_files(model: bytes, files: list[AssociatedFile]) -> bytes:
    """Returns the model with a ZIP of the files behind it, whose offsets count from the start of the whole file."""
    if not files:
        return model
    stream = io.BytesIO()
    stream.write(model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
        with zipfile.ZipFile(stream, "w") as archive:
            for file in files:
                archive.writestr(copy.copy(file.info), file.data)
    return stream.getvalue()
