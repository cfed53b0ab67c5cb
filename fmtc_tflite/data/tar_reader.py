"""Images in tar files, as WebDataset has them: `KEY.jpg`, and beside it `KEY.cls` with the label's number.

The members' places are listed once; a sample is then read where it lies, so that any machine can read any part.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fmtc_tflite.data import places
from fmtc_tflite.data.dataset import Items, Reader
from fmtc_tflite.data.readers import IMAGE_SUFFIXES, decode_image
from fmtc_tflite.errors import CalibrationError, reason

TAR_SUFFIX = ".tar"
_LABEL_SUFFIX = ".cls"


@dataclass(frozen=True)
class Member:
    """An image in a tar file: number of the file, first byte there, and bytes."""

    name: str
    file: int
    offset: int
    size: int


class TarReader(Reader):
    """Images of one tar file after another, in the order in which they lie there."""

    kind = "tar"

    def __init__(
        self, files: Sequence[str | Path], members: Sequence[Member], input_name: str, labels: np.ndarray | None
    ) -> None:
        self.files, self.labels = files, labels
        self._members, self._input_name = members, input_name

    def __len__(self) -> int:
        return len(self._members)

    def name(self, index: int) -> str:
        member = self._members[index]
        return f"{self.files[member.file]}, {member.name}"

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        """Raises CalibrationError naming the first member that is no readable image."""
        for index, content in self._contents(indices):
            yield {self._input_name: decode_image(self.name(index), content=content)}

    def readable(self, indices: np.ndarray) -> np.ndarray:
        """See Reader.readable."""
        return np.array([_is_readable(content) for _, content in self._contents(indices)], bool)

    def file_state(self, path: str | Path) -> Any:
        """See Reader.file_state; elsewhere than on this machine, the size."""
        place = places.url(path)
        return super().file_state(path) if place is None else places.size(place)

    def only(self, indices: np.ndarray) -> TarReader:
        """See Reader.only."""
        chosen, labels = [self._members[i] for i in indices], None if self.labels is None else self.labels[indices]
        used = sorted({member.file for member in chosen})
        moved = [replace(member, file=used.index(member.file)) for member in chosen]
        reader = TarReader([places.absolute(self.files[i]) for i in used], moved, self._input_name, labels)
        reader.file_states = [self.file_states[i] for i in used]
        return reader

    def _contents(self, indices: np.ndarray) -> Iterator[tuple[int, bytes]]:
        """Numbers and bytes of members; a file stays open from one to the next."""
        number, file = -1, None
        with ExitStack() as stack:
            for index in map(int, indices):
                member = self._members[index]
                try:
                    if file is None or member.file != number:
                        stack.close()
                        number, file = member.file, stack.enter_context(_open(self.files[member.file]))
                    file.seek(member.offset)
                    yield index, file.read(member.size)
                except OSError as error:
                    raise CalibrationError(f"{self.name(index)}: cannot be read ({reason(error)})") from error


def open_tar(files: Sequence[str | Path], input_name: str) -> TarReader:
    """Opens tar files as one data set.

    Labels are those of the `.cls` members if each image has one.

    Args:
      files: in their order; local or URLs (see `places`).
      input_name: the input that gets the images.

    Raises:
      CalibrationError: a damaged file, or one without images; labels that are no numbers or that some images lack.
    """
    members: list[Member] = []
    labels: list[int | None] = []
    for number, path in enumerate(files):
        images, classes = _listed(path, number)
        members += images
        labels += [classes.get(_key(image.name)) for image in images]
    if not members:
        raise CalibrationError(
            f"{files[0]}: got no images, expected members that end in {', '.join(IMAGE_SUFFIXES)}; check the file"
        )
    known = [label for label in labels if label is not None]
    if known and len(known) < len(labels):
        where = members[labels.index(None)]
        raise CalibrationError(
            f"{files[where.file]}: got no label of {where.name}, expected {_key(where.name)}{_LABEL_SUFFIX}, as other "
            "images have; add it, or leave out all"
        )
    return TarReader(files, members, input_name, np.array(known, np.int64) if known else None)


def _listed(path: str | Path, number: int) -> tuple[list[Member], dict[str, int]]:
    """Images, and labels by key."""
    images, labels = list[Member](), dict[str, int]()
    try:
        with _open(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                suffix = member.name[len(_key(member.name)) :].lower()
                if not member.isfile() or Path(member.name).name.startswith("."):
                    continue
                if suffix.endswith(IMAGE_SUFFIXES):
                    images.append(Member(member.name, number, member.offset_data, member.size))
                elif suffix == _LABEL_SUFFIX:
                    content = archive.extractfile(member)
                    labels[_key(member.name)] = _label(path, member.name, b"" if content is None else content.read())
    except (OSError, tarfile.TarError) as error:
        raise CalibrationError(f"{path}: got no readable tar file ({reason(error)}); save it again") from error
    return images, labels


def _label(path: str | Path, name: str, content: bytes) -> int:
    try:
        return int(content)
    except ValueError:
        raise CalibrationError(f"{path}: {name} holds {content[:20]!r}, expected the number of a class") from None


def _key(name: str) -> str:
    """What the members of one sample share: the path up to the first dot of the file's name."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _is_readable(content: bytes) -> bool:
    try:
        decode_image("", draft=True, content=content)
    except CalibrationError:
        return False
    return True


def _open(path: str | Path) -> Any:
    place = places.url(path)
    return open(path, "rb") if place is None else places.opened(place)
