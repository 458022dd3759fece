"""The interface of loaders: the options of a source, the result of a scan, and the loader itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.errors import ConfigError
from steelyard.learning.data import Kind

BATCH_BYTES = 8 << 20  # of a batch of rows; a batch has at least one row
TEXT_BYTES = 256


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How to read a source. The loader detects what is left empty."""

    label: str = ""  # column of labels; default: `label`, `labels`, `target` or `class`
    columns: tuple[str, ...] = ()  # of features, in this order; default: all but the label and the group
    text: str = ""  # column of texts
    text_bytes: int = TEXT_BYTES  # bytes of each text; the rest is cut off
    image: str = ""  # column of encoded images; default: `image` or `img`
    image_size: int = 0  # pixels of a side to scale images to; 0 = not scaled
    group: str = ""  # column; rows with the same value stay together
    delimiter: str = ","  # of CSV
    labels: tuple[str, ...] = ()  # all labels by class number, if they are fixed in advance


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The result of the first pass over a source."""

    kind: Kind
    shape: tuple[int, ...]  # of one row
    names: tuple[str, ...]  # of labels, by class number
    labels: Bytes  # (rows,) of the training rows
    test_labels: Bytes | None = None  # of test rows, if the source has its own
    groups: Int64 | None = None  # (rows,) the number of each row's value in the group column
    columns: tuple[str, ...] = ()  # of features


class Source(Protocol):
    """Labelled rows that can be read more than once."""

    def scan(self) -> Scan:
        """Read labels and shape. Raises ConfigError if the source does not fit its options."""

    def batches(self, *, test: bool = False) -> Iterator[NDArray[Any]]:
        """The inputs of all training (or test) rows in the scan's order, (batch, *shape)."""


def not_by_name(_where: str, _options: SourceOptions, _scratch: Path) -> None:
    """For loaders whose sources have no name."""


def not_by_path(_path: Path, _options: SourceOptions) -> None:
    """For loaders whose sources are not files."""


@dataclass(frozen=True, kw_only=True)
class Loader:
    """One way to read rows: an entry of `catalog.LOADERS`.

    by_name: a source from its name and an existing scratch folder, such as `torchvision:CIFAR10`.
    by_path: a source from an existing file or folder, downloaded if it was a URL.
    Both return None if the loader does not read this, and raise ConfigError or FormatError if it should but
    cannot.
    """

    by_name: Callable[[str, SourceOptions, Path], Source | None] = not_by_name
    by_path: Callable[[Path, SourceOptions], Source | None] = not_by_path
    example: str = ""  # of a name, for error messages
    suffixes: tuple[str, ...] = ()  # of single files that it reads, for error messages
    repository_suffixes: tuple[str, ...] = ()  # of files to fetch from a repository that is named as a whole


def import_optional(module: str, extra: str = "data") -> Any:
    """Import an optional library. Raises ConfigError, with the extra that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{module.partition('.')[0]} is not installed ({error})",
            remedy=f"pip install 'steelyard[{extra}]'",
        ) from error


def rows_at_once(row_bytes: int) -> int:
    """Rows of this size in a batch."""
    return max(1, min(1 << 16, BATCH_BYTES // max(row_bytes, 1)))
