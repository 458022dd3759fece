"""Rows from folders of files: images or texts, one folder a label, with or without `train` and `test` above.

images/cat/1.png  images/dog/2.png        texts/train/ham/1.txt  texts/test/spam/7.txt
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import ConfigError
from steelyard.learning.data import Kind
from steelyard.learning.loaders.columns import texts_as_bytes
from steelyard.learning.loaders.images import SUFFIXES as IMAGES
from steelyard.learning.loaders.images import Frame, decoded
from steelyard.learning.loaders.label_encoding import MAX_LABELS, LabelEncoder, labels_of
from steelyard.learning.loaders.source import Loader, Scan, SourceOptions, rows_at_once

TEXTS = (".txt",)
TRAIN = ("train", "training")
TEST = ("test", "testing", "validation", "valid", "val")

Labelled = list[tuple[str, list[Path]]]
"""A label and its files, in the order of their names."""


class Folders:
    """A folder with one folder of files for each label."""

    def __init__(self, root: Path, options: SourceOptions) -> None:
        self._root, self._options = root, options
        names = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
        train = next((names[name] for name in TRAIN if name in names), None)
        others = [names[name] for name in TEST if name in names] if train else []
        kinds = [(Kind.IMAGES, IMAGES), (Kind.TEXTS, TEXTS)]
        trees = [train or root, *others[1:]]  # next to a test folder, a validation folder is training data
        found = [(kind, [each for tree in trees for each in _labelled(tree, ends)]) for kind, ends in kinds]
        self.kind, self._train = max(found, key=lambda each: sum(len(files) for _, files in each[1]))
        self._test = _labelled(others[0], dict(kinds)[self.kind]) if others else []
        self._frame: Frame | None = None
        if not self._train:
            raise ConfigError(
                f"{root} has no labelled rows: no CSV, no Parquet, no folder of images or .txt a label",
                remedy="put each label's files into a folder with the label's name, or give a table",
            )

    def scan(self) -> Scan:
        """Count the files of each label; read the first image for its size."""
        options = self._options
        if options.group not in ("", "label"):
            raise ConfigError(
                f"a folder of files has no column {options.group!r}",
                remedy="use by:label, or a table",
            )
        encoder = LabelEncoder("label", MAX_LABELS, options.labels)
        for name, files in self._train:
            encoder.add_rows(name, len(files))
        rows = encoder.row_count
        for name, files in self._test:
            encoder.add_rows(name, len(files))
        codes, names = encoder.finish()
        if self.kind is Kind.IMAGES:
            self._frame = Frame.of(self._train[0][1][0].read_bytes(), options.image_size)
        return Scan(
            kind=self.kind,
            shape=self._frame.shape if self._frame else (options.text_bytes,),
            names=names,
            labels=labels_of(codes[:rows]),
            test_labels=labels_of(codes[rows:]) if len(codes) > rows else None,
            groups=codes[:rows] if options.group else None,
        )

    def batches(self, *, test: bool = False) -> Iterator[NDArray[Any]]:
        """The inputs in order."""
        files = [path for _, group in (self._test if test else self._train) for path in group]
        size = rows_at_once(self._frame.size if self._frame else self._options.text_bytes)
        for start in range(0, len(files), size):
            yield self._read(files[start : start + size])

    def _read(self, files: Sequence[Path]) -> NDArray[np.uint8]:
        if self.kind is Kind.TEXTS:
            return texts_as_bytes(
                [_text(path, self._options.text_bytes) for path in files], self._options.text_bytes
            )
        frame = self._frame or Frame.of(files[0].read_bytes(), self._options.image_size)
        return np.stack([decoded(path.read_bytes(), frame, str(path)) for path in files])


def _text(path: Path, length: int) -> str:
    """The first `length` bytes of a text."""
    with path.open("rb") as file:
        return file.read(length).decode("utf-8", "replace")


def _labelled(root: Path, suffixes: Sequence[str]) -> Labelled:
    found: Labelled = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name[:1] != "."):
        files = sorted(
            path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file()
        )
        if files:
            found.append((folder.name, files))
    return found


def _folder(path: Path, options: SourceOptions) -> Folders | None:
    return Folders(path, options) if path.is_dir() else None


FOLDERS = Loader(by_path=_folder, repository_suffixes=(*TEXTS, ".png", ".jpg", ".jpeg", ".webp"))
