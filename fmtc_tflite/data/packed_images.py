"""Files that each hold many images, still encoded: what readers of such files share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fmtc_tflite.data import places
from fmtc_tflite.data.dataset import Items, Reader
from fmtc_tflite.data.readers import decode_image
from fmtc_tflite.errors import CalibrationError, reason

_LISTED_AT_ONCE = 16  # files of a bucket: most of the time, answers are waited for


class PackedReader(Reader):
    """Images of one file after another, in the order in which they lie there."""

    files: Sequence[str | Path]
    _input_name: str

    @abstractmethod
    def _contents(self, indices: np.ndarray) -> Iterator[tuple[int, bytes]]:
        """Numbers and bytes of images (ascending). Raises CalibrationError where a file cannot be read."""

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        """Raises CalibrationError naming the first image that is not readable."""
        for index, content in self._contents(indices):
            yield {self._input_name: decode_image(self.name(index), content=content)}

    def readable(self, indices: np.ndarray) -> np.ndarray:
        """See Reader.readable."""
        return np.array([_is_readable(content) for _, content in self._contents(indices)], bool)

    def file_state(self, path: str | Path) -> Any:
        """See Reader.file_state; elsewhere than on this machine, the size."""
        place = places.url(path)
        return super().file_state(path) if place is None else places.size(place)

    def _take_files(self, reader: PackedReader, numbers: np.ndarray) -> None:
        """Makes files of another reader, by number, this one's."""
        self.files = [places.absolute(reader.files[i]) for i in numbers]
        self.file_states = [reader.file_states[i] for i in numbers]


@dataclass(frozen=True)
class Listing:
    """The images of one file, or of several.

    Attributes:
      names: what messages call them.
      spans: int64 [images, 2 or 3]: of several files the file's number; first byte there; bytes.
      labels: of each image, or None.
    """

    names: list[str]
    spans: np.ndarray
    labels: list[int | None]


class SpanReader(PackedReader):
    """Images that lie in files as one piece each.

    Their places are listed once; an image is then read where it lies, so that any machine can read any part.
    """

    def __init__(
        self, kind: str, files: Sequence[str | Path], images: Listing, input_name: str, labels: np.ndarray | None
    ) -> None:
        """Args: images: of all files."""
        self.kind, self.files, self.labels = kind, files, labels
        self._images, self._input_name = images, input_name

    def __len__(self) -> int:
        return len(self._images.names)

    def name(self, index: int) -> str:
        return f"{self.files[self._images.spans[index, 0]]}, {self._images.names[index]}"

    def only(self, indices: np.ndarray) -> SpanReader:
        """See Reader.only."""
        spans = self._images.spans[indices]
        numbers, spans[:, 0] = np.unique(spans[:, 0], return_inverse=True)
        chosen = Listing([self._images.names[i] for i in indices], spans, [])
        labels = None if self.labels is None else self.labels[indices]
        reader = SpanReader(self.kind, [], chosen, self._input_name, labels)
        reader._take_files(self, numbers)
        return reader

    def _contents(self, indices: np.ndarray) -> Iterator[tuple[int, bytes]]:
        """A file stays open from one image to the next."""
        opened, file = -1, None
        with ExitStack() as stack:
            for index in map(int, indices):
                number, start, size = map(int, self._images.spans[index])
                try:
                    if file is None or number != opened:
                        stack.close()
                        opened, file = number, stack.enter_context(open_binary(self.files[number]))
                    file.seek(start)
                    yield index, file.read(size)
                except OSError as error:
                    raise CalibrationError(f"{self.name(index)}: cannot be read ({reason(error)})") from error


def open_spans(
    kind: str,
    files: Sequence[str | Path],
    input_name: str,
    list_file: Callable[[str | Path], Listing],
    expected: tuple[str, str],
) -> SpanReader:
    """Opens files as one data set.

    Args:
      kind: what the reader is called.
      files: in their order; local or URLs (see `places`).
      input_name: the input that gets the images.
      list_file: finds a file's images; raises CalibrationError.
      expected: for messages, how images are told, and how labels are.

    Raises:
      CalibrationError: no images; labels that some images have and others lack.
    """
    listings = map_files(list_file, files)
    names = [name for each in listings for name in each.names]
    if not names:
        raise CalibrationError(f"{files[0]}: got no images, expected {expected[0]}; check the file")
    numbers = np.repeat(np.arange(len(files)), [len(each.names) for each in listings])
    spans = np.concatenate([each.spans.reshape(-1, 2) for each in listings])
    images = Listing(names, np.column_stack([numbers, spans]), [])
    labels = [label for each in listings for label in each.labels]
    known = [label for label in labels if label is not None]
    if known and len(known) < len(labels):
        first = labels.index(None)
        raise CalibrationError(
            f"{files[numbers[first]]}: got no label of {names[first]}, expected {expected[1]}, as other images have; "
            "add it, or leave out all"
        )
    return SpanReader(kind, files, images, input_name, np.array(known, np.int64) if known else None)


def map_files(function: Callable[[str | Path], Any], files: Sequence[str | Path]) -> list[Any]:
    """The function's results; of files that are not this machine's, several at a time."""
    if all(places.url(file) is None for file in files):
        return list(map(function, files))
    with ThreadPoolExecutor(_LISTED_AT_ONCE) as pool:
        return list(pool.map(function, files))


def open_binary(path: str | Path) -> Any:
    """The file to read, wherever it lies. Raises OSError."""
    place = places.url(path)
    return open(path, "rb") if place is None else places.opened(place)


def _is_readable(content: bytes) -> bool:
    try:
        decode_image("", draft=True, content=content)
    except CalibrationError:
        return False
    return True
