"""Rows from the columns of CSV and Parquet files: features, texts, or encoded images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import ConfigError
from steelyard.learning.data import Kind
from steelyard.learning.loaders.images import Frame, decoded
from steelyard.learning.loaders.label_encoding import MAX_GROUPS, MAX_LABELS, LabelEncoder, labels_of
from steelyard.learning.loaders.source import Loader, Scan, SourceOptions, import_optional, rows_at_once
from steelyard.learning.loaders.tables import SUFFIXES, TableFile, column_of, encode_dictionary

LABELS = ("label", "labels", "target", "class", "fine_label")
IMAGES = ("image", "img")
MAX_COLUMNS = 4096
_TEST = re.compile(r"(test|eval|valid|validation|dev)\b.*|.*[-_.](test|eval)\b.*")


class Columns:
    """One or several tables with the same columns; the rows of `test` are test rows."""

    def __init__(self, train: Sequence[Path], test: Sequence[Path], options: SourceOptions) -> None:
        self._options = options
        self._train = [TableFile(path, options.delimiter) for path in train]
        self._test = [TableFile(path, options.delimiter) for path in test]
        first = self._train[0]
        self._label = column_of(first, options.label, LABELS, "column of labels", "--label")
        self._known = options.labels or first.class_names(self._label)
        if options.group and options.group not in first.names:
            column_of(first, options.group, (), "column that shards follow", "--partition by:<column>")
        self.kind, self._inputs = self._choose(first)
        self._frame: Frame | None = None

    def scan(self) -> Scan:
        """One pass over labels and groups; of images, also the first row."""
        labels = LabelEncoder("label", MAX_LABELS, self._known)
        groups = LabelEncoder(f"value of {self._options.group}", MAX_GROUPS)
        for table in self._train:
            self._encode(table, labels, groups)
        rows = labels.row_count
        for table in self._test:
            self._encode(table, labels, None)
        codes, names = labels.finish()
        if not rows:
            raise ConfigError(f"{self._train[0].path} has no rows", remedy="choose another source")
        if self._known and not self._options.labels:
            names = self._known
        return Scan(
            kind=self.kind,
            shape=self._shape(),
            names=names,
            labels=labels_of(codes[:rows]),
            test_labels=labels_of(codes[rows:]) if len(codes) > rows else None,
            groups=groups.finish()[0] if self._options.group else None,
            columns=tuple(self._inputs) if self.kind is Kind.FEATURES else (),
        )

    def batches(self, *, test: bool = False) -> Iterator[NDArray[Any]]:
        """The inputs in order."""
        texts = self._inputs if self.kind is Kind.TEXTS else ()
        for table in self._test if test else self._train:
            for batch in table.batches(self._inputs, texts=texts):
                yield from self._rows(table, batch)

    def _choose(self, table: TableFile) -> tuple[Kind, list[str]]:
        """The kind of rows, and the columns that hold them."""
        options = self._options
        if options.text:
            return Kind.TEXTS, [column_of(table, options.text, (), "column of texts", "--text")]
        named = [name for name in ((options.image,) if options.image else IMAGES) if name in table.names]
        if options.image or (named and table.is_image(named[0])):
            return Kind.IMAGES, [column_of(table, options.image, IMAGES, "column of images", "--image")]
        return Kind.FEATURES, self._features(table)

    def _features(self, table: TableFile) -> list[str]:
        left_out = {self._label, self._options.group}
        chosen = list(self._options.columns) or [name for name in table.names if name not in left_out]
        for name in self._options.columns:
            column_of(table, name, (), "columns of features", "--columns")
        twice = [name for name in chosen if name in left_out or chosen.count(name) > 1]
        if twice:
            raise ConfigError(
                f"column {twice[0]!r} is named twice: a feature is neither the label nor the group",
                remedy="name each column of features once with --columns",
            )
        words = [name for name in chosen if not table.is_number(name)]
        if words:
            raise ConfigError(
                f"{table.path.name}: column {', '.join(map(repr, words[:5]))} holds no numbers",
                remedy="exclude it by naming the others with --columns, replace its words with numbers, "
                "or name it with --text to learn from it",
            )
        if not 1 <= len(chosen) <= MAX_COLUMNS:
            raise ConfigError(
                f"{table.path.name} has {len(chosen)} columns of features",
                remedy=f"choose 1 to {MAX_COLUMNS} of them with --columns",
            )
        return chosen

    def _encode(self, table: TableFile, labels: LabelEncoder, groups: LabelEncoder | None) -> None:
        group = self._options.group if groups is not None else ""
        wanted = list(dict.fromkeys([self._label, *([group] if group else [])]))
        column_of(table, self._label, (), "column of labels", "--label")
        for batch in table.batches(wanted, texts=wanted):
            labels.add(*self._named(encode_dictionary(batch.column(self._label))))
            if groups is not None and group:
                groups.add(*encode_dictionary(batch.column(group)))

    def _named(
        self, found: tuple[list[str | None], NDArray[np.int64]]
    ) -> tuple[list[str | None], NDArray[np.int64]]:
        """Class numbers replaced with their names, if the file has names for them."""
        names, indices = found
        if not self._known or self._options.labels:
            return names, indices
        numbers = {str(number): name for number, name in enumerate(self._known)}
        return [numbers.get(name or "", name) for name in names], indices

    def _shape(self) -> tuple[int, ...]:
        if self.kind is Kind.FEATURES:
            return (len(self._inputs),)
        if self.kind is Kind.TEXTS:
            return (self._options.text_bytes,)
        first = next(self._train[0].batches(self._inputs))
        self._frame = Frame.of(_encoded(first.column(0))[0], self._options.image_size)
        return self._frame.shape

    def _rows(self, table: TableFile, batch: Any) -> Iterator[NDArray[Any]]:
        if self.kind is Kind.FEATURES:
            yield np.stack([_numbers(table, name, batch.column(name)) for name in self._inputs], axis=1)
        elif self.kind is Kind.TEXTS:
            yield texts_as_bytes(batch.column(0).to_pylist(), self._options.text_bytes)
        else:
            frame = self._frame or Frame.of(_encoded(batch.column(0))[0], self._options.image_size)
            files = _encoded(batch.column(0))
            size = rows_at_once(frame.size)
            for start in range(0, len(files), size):
                yield np.stack(
                    [decoded(file, frame, table.path.name) for file in files[start : start + size]]
                )


def texts_as_bytes(texts: Sequence[str | None], length: int) -> NDArray[np.uint8]:
    """UTF-8, cut after `length` bytes and padded with zeros: (texts, length)."""
    rows = np.zeros((len(texts), length), np.uint8)
    for row, text in zip(rows, texts, strict=True):
        raw = (text or "").replace("\0", " ").encode("utf-8", "replace")[:length]
        row[: len(raw)] = np.frombuffer(raw, np.uint8)
    return rows


def _numbers(table: TableFile, name: str, column: Any) -> NDArray[np.float32]:
    """A column as float32. Raises ConfigError for an empty value or one that is not a finite number."""
    arrow, missing = import_optional("pyarrow"), column.null_count
    if not missing:
        with np.errstate(over="ignore"):
            floats = column.cast(arrow.float64())
            values = floats.to_numpy(zero_copy_only=False).astype(np.float32)
        missing = int(np.count_nonzero(~np.isfinite(values)))
        if not missing:
            return np.asarray(values, np.float32)
    raise ConfigError(
        f"{table.path.name}: column {name!r} has no finite number in {missing} of {len(column)} rows",
        remedy="fill them in, remove such rows, or name only other columns with --columns",
    )


def _encoded(column: Any) -> list[bytes]:
    """The encoded images of a column. Raises ConfigError for rows without one."""
    types = import_optional("pyarrow.types")
    if types.is_struct(column.type):
        column = column.field("bytes")
    if column.null_count:
        raise ConfigError(
            f"{column.null_count} rows have no image bytes, perhaps only a path",
            remedy="use a data set whose files contain the images",
        )
    return [bytes(value) for value in column.to_pylist()]


def _tables(path: Path, options: SourceOptions) -> Columns | None:
    """A table, or a folder of them: files named `test...` hold the test rows, or else `validation...`."""
    if not path.is_dir():
        return Columns([path], [], options) if path.name.lower().endswith(SUFFIXES) else None
    files = sorted(
        file for file in path.rglob("*")
        if file.name.lower().endswith(SUFFIXES) and not _hidden(file, path)
    )  # fmt: skip
    if not files:
        return None
    test = [file for file in files if _TEST.fullmatch(file.name.lower())]
    if len(test) == len(files):
        test = []
    strict = [file for file in test if "test" in file.name.lower()] or test
    return Columns([file for file in files if file not in strict], strict, options)


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


TABLES = Loader(by_path=_tables, suffixes=SUFFIXES, repository_suffixes=(".csv", ".tsv", ".parquet", ".gz"))
