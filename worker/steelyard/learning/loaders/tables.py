"""Reading CSV and Parquet in batches: columns by name, text as text, numbers as float32.

Arrow parses both and executes nothing from a file. Memory holds one block of CSV, or one row group's pages of
the requested columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import ConfigError
from steelyard.learning.loaders.source import import_optional

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".parquet")
CSV_BLOCK = 2 << 20
PARQUET_BUFFER = 1 << 18  # bytes of each column; without it a whole row group is read
ROWS_AT_ONCE = 1024  # of Parquet; a row with an image is large


class TableFile:
    """One CSV or Parquet file."""

    def __init__(self, path: Path, delimiter: str = ",") -> None:
        if len(delimiter) != 1 or delimiter in '"\r\n' or not delimiter.isascii():
            raise ConfigError(
                f"{delimiter!r} is not a delimiter of CSV",
                remedy="give one ASCII character, such as ; or a tab",
            )
        self.path = path
        self._parquet = path.suffix == ".parquet"
        self._delimiter = "\t" if path.suffix == ".tsv" else delimiter

    @cached_property
    def schema(self) -> Any:
        """The Arrow schema; that of CSV follows from its first block. Raises ConfigError if unreadable."""
        with _readable(self.path):
            if self._parquet:
                return import_optional("pyarrow.parquet").read_schema(self.path)
            with self._csv({}, None) as reader:
                return reader.schema

    @property
    def names(self) -> list[str]:
        """Names of the columns, in the file's order."""
        return list(self.schema.names)

    def is_number(self, column: str) -> bool:
        """Whether a column holds numbers or truth values."""
        types, kind = import_optional("pyarrow.types"), self.schema.field(column).type
        decimal = types.is_decimal(kind) or types.is_boolean(kind) or types.is_null(kind)
        return bool(types.is_integer(kind) or types.is_floating(kind) or decimal)

    def is_image(self, column: str) -> bool:
        """Whether a column holds encoded files: bytes, or `{bytes, path}` as Hugging Face writes them."""
        types, kind = import_optional("pyarrow.types"), self.schema.field(column).type
        if types.is_struct(kind):
            return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def class_names(self, column: str) -> tuple[str, ...]:
        """The label names of Hugging Face's `ClassLabel` in a Parquet file; empty if it has none."""
        try:
            described = json.loads((self.schema.metadata or {})[b"huggingface"])
            names = described["info"]["features"][column]["names"]
        except (KeyError, TypeError, ValueError):
            return ()
        good = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return tuple(names) if good and len(set(names)) == len(names) <= 256 else ()

    def batches(self, columns: Sequence[str], *, texts: Sequence[str] = ()) -> Iterator[Any]:
        """Record batches of these columns, in the file's order.

        texts: columns to read as text, even if they hold numbers.  Raises ConfigError for a damaged file.
        """
        with _readable(self.path):
            if self._parquet:
                with import_optional("pyarrow.parquet").ParquetFile(
                    self.path, pre_buffer=False, buffer_size=PARQUET_BUFFER
                ) as file:
                    yield from file.iter_batches(ROWS_AT_ONCE, columns=list(columns), use_threads=False)
                return
            with self._csv(self._types(columns, texts), list(columns)) as reader:
                yield from reader

    def _types(self, columns: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
        """All numbers of CSV are float64: later blocks may have fractions when the first has integers."""
        arrow = import_optional("pyarrow")
        numbers = {
            name: arrow.float64() for name in columns if name not in texts and self.is_plain_number(name)
        }
        return {**numbers, **{name: arrow.string() for name in texts}}

    def is_plain_number(self, column: str) -> bool:
        """Whether a column of CSV holds numbers and not truth values."""
        types, kind = import_optional("pyarrow.types"), self.schema.field(column).type
        return self.is_number(column) and not types.is_boolean(kind)

    def _csv(self, types: dict[str, Any], columns: list[str] | None) -> Any:
        csv = import_optional("pyarrow.csv")
        return csv.open_csv(
            self.path,
            read_options=csv.ReadOptions(block_size=CSV_BLOCK, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=types, include_columns=columns),
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Convert Arrow's errors into ConfigError, with the file's name."""
    arrow = import_optional("pyarrow")
    try:
        yield
    except (arrow.ArrowException, UnicodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the operating system, not of the file
        raise ConfigError(
            f"{path} cannot be read: {str(error).splitlines()[0][:300]}",
            remedy="correct the file; CSV needs a header line, and --delimiter if that is not a comma",
        ) from error


def column_of(table: TableFile, wanted: str, usual: Sequence[str], noun: str, option: str) -> str:
    """The wanted column, or the first usual one that the table has. Raises ConfigError.

    noun, option: of the column, for the error.
    """
    names = table.names
    if wanted in names:
        return wanted
    found = [] if wanted else [name for name in usual if name in names]
    if found:
        return found[0]
    shown = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
    problem = f"no column {wanted!r}" if wanted else f"no column is called {' or '.join(usual)}"
    raise ConfigError(
        f"{table.path.name}: {problem}", remedy=f"name the {noun} with {option}; the columns are {shown}"
    )


def encode_dictionary(column: Any) -> tuple[list[str | None], NDArray[np.int64]]:
    """A column's distinct values as text, and the index of each row's value."""
    arrow = import_optional("pyarrow")
    if column.type != arrow.string():
        column = _as_text(column)
    column = column.dictionary_encode(null_encoding="encode")
    return column.dictionary.to_pylist(), column.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _as_text(column: Any) -> Any:
    """As text; 1.0 becomes "1", so that it is the same label in CSV and in Parquet."""
    arrow, types = import_optional("pyarrow"), import_optional("pyarrow.types")
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_floating(column.type):
        values = column.to_pylist()
        return arrow.array(
            [None if v is None or v != v else str(int(v)) if v == v // 1 else str(v) for v in values],
            arrow.string(),
        )
    return column.cast(arrow.string())
