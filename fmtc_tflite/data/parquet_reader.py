"""Images in Parquet files, as Hugging Face's data sets have them: a column of encoded images, and one of labels."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fmtc_tflite.data.packed_images import PackedReader, map_files, open_binary
from fmtc_tflite.errors import CalibrationError, UsageError, reason

IMAGE_COLUMNS = ("image", "img", "image/encoded", "jpg", "jpeg", "png")  # the first one that is there
LABEL_COLUMNS = ("label", "labels", "fine_label", "image/class/label", "cls")

_ROWS_AT_ONCE = 32


class ParquetReader(PackedReader):
    """Rows of one file after another."""

    kind = "parquet"

    def __init__(
        self, files: Sequence[str | Path], rows: np.ndarray, column: str, input_name: str, labels: np.ndarray | None
    ) -> None:
        """Args: rows: int64 [images, 2]: number of the file, and row there, ascending; column: of the images."""
        self.files, self.labels = files, labels
        self._rows, self._column, self._input_name = rows, column, input_name

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        file, row = self._rows[index]
        return f"{self.files[file]}[{row}]"

    def only(self, indices: np.ndarray) -> ParquetReader:
        """See Reader.only."""
        rows = self._rows[indices]
        numbers, rows[:, 0] = np.unique(rows[:, 0], return_inverse=True)
        labels = None if self.labels is None else self.labels[indices]
        reader = ParquetReader([], rows, self._column, self._input_name, labels)
        reader._take_files(self, numbers)
        return reader

    def _contents(self, indices: np.ndarray) -> Iterator[tuple[int, bytes]]:
        numbers = self._rows[indices, 0]
        for number in np.unique(numbers):
            own = indices[numbers == number]
            wanted = dict(zip(self._rows[own, 1].tolist(), own.tolist(), strict=True))
            with _opened(self.files[number]) as file:
                for row, content in _column_rows(file, self._column, wanted.keys()):
                    if content is None:
                        raise CalibrationError(f"{self.name(wanted[row])}: has no image; leave out the row")
                    yield wanted[row], content


def open_parquet(files: Sequence[str | Path], input_name: str) -> ParquetReader:
    """Opens Parquet files as one data set.

    Images are bytes, or structures with a field `bytes`.

    Args:
      files: in their order, with the same columns; local or URLs (see `places`).
      input_name: the input that gets the images.

    Raises:
      UsageError: pyarrow is not installed.
      CalibrationError: a damaged file, or none with rows; no column of images; labels that are no integers.
    """
    found = map_files(_listed, files)
    columns = [(image, labels is not None) for image, _, labels in found]
    other = next((i for i, each in enumerate(columns) if each != columns[0]), None)
    if other is not None:
        raise CalibrationError(f"{files[other]}: has other columns of images or labels than {files[0]}; give all alike")
    rows = [np.column_stack([np.full(count, i), np.arange(count)]) for i, (_, count, _) in enumerate(found)]
    if not any(map(len, rows)):
        raise CalibrationError(f"{files[0]}: got no rows, expected one for each image; check the file")
    (image, has_labels), labels = columns[0], [each for _, _, each in found]
    return ParquetReader(files, np.concatenate(rows), image, input_name, np.concatenate(labels) if has_labels else None)


def _listed(path: str | Path) -> tuple[str, int, np.ndarray | None]:
    """The column of images, the number of rows, and labels; images stay unread."""
    with _opened(path) as file:
        schema = file.schema_arrow
        image = next((name for name in IMAGE_COLUMNS if name in schema.names), None)
        image_type = None if image is None else schema.field(image).type
        if image_type is not None and str(image_type).startswith("struct") and image_type.get_field_index("bytes") >= 0:
            image, image_type = f"{image}.bytes", image_type.field("bytes").type
        if image is None or str(image_type) not in ("binary", "large_binary"):
            raise CalibrationError(
                f"{path}: got the columns {', '.join(schema.names)}, expected one of {', '.join(IMAGE_COLUMNS)} with "
                "encoded images (bytes, or a structure with 'bytes')"
            )
        label = next((name for name in LABEL_COLUMNS if name in schema.names), None)
        if label is None:
            return image, file.metadata.num_rows, None
        labels = file.read(columns=[label], use_threads=False).column(0)
        if "int" not in str(labels.type) or labels.null_count:
            raise CalibrationError(
                f"{path}: got {labels.type} with {labels.null_count} gaps in '{label}', expected an integer in each row"
            )
        return image, file.metadata.num_rows, labels.to_numpy().astype(np.int64)


def _column_rows(file: Any, column: str, wanted: Any) -> Iterator[tuple[int, bytes | None]]:
    """Numbers and values of the wanted rows; of groups of rows that hold none, nothing is read."""
    start = 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        if any(start <= row < end for row in wanted):
            batches = file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[column], use_threads=False)
            for batch in batches:
                values = batch.column(0)
                if column.endswith(".bytes"):
                    values = values.field("bytes")
                yield from ((start + i, values[i].as_py()) for i in range(len(values)) if start + i in wanted)
                start += len(values)
        start = end


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """A pyarrow.parquet.ParquetFile. Raises CalibrationError for whatever is wrong with it."""
    try:
        arrow, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
    except ImportError as error:
        raise UsageError(f"{path}: Parquet files need pyarrow ({error}); run `pip install pyarrow`") from error
    try:
        with open_binary(path) as source, parquet.ParquetFile(source) as file:
            yield file
    except (OSError, arrow.ArrowException) as error:
        why = reason(error).partition("\n")[0]
        raise CalibrationError(f"{path}: got no readable Parquet file ({why}); save it again") from error
