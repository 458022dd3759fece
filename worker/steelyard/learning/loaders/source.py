"""What a loader gives, and what it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.errors import ConfigError
from steelyard.learning.data import Kind

BATCH_BYTES = 8 << 20  # of rows at a time, or of one row where that is more
TEXT_BYTES = 256


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What a person says about a source; what is left empty is found out."""

    label: str = ""  # column of labels: else `label`, `labels`, `target` or `class`
    columns: tuple[str, ...] = ()  # of features, in this order: else all that are not the label or the group
    text: str = ""  # column of texts
    text_bytes: int = TEXT_BYTES  # that are kept of each text
    image: str = ""  # column of encoded images: else `image` or `img`
    image_size: int = 0  # pixels of a side to scale images to; 0 = as they are
    group: str = ""  # column whose values keep together
    delimiter: str = ","  # of CSV
    labels: tuple[str, ...] = ()  # all labels by class number, where they are fixed beforehand


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What the first pass over a source finds."""

    kind: Kind
    shape: tuple[int, ...]  # of one row
    names: tuple[str, ...]  # of labels, by class number
    labels: Bytes  # (rows,) of the training rows
    test_labels: Bytes | None = None  # of test rows, where the source has its own
    groups: Int64 | None = None  # (rows,) a number for each value of the column that shards follow
    columns: tuple[str, ...] = ()  # of features


class Source(Protocol):
    """Labelled rows that can be read more than once."""

    def scan(self) -> Scan:
        """Read labels and shape. Raises ConfigError where the source is not what it should be."""

    def batches(self, *, test: bool = False) -> Iterator[NDArray[Any]]:
        """The inputs of all training (or test) rows in the scan's order, (batch, *shape)."""


def need(module: str, extra: str = "data") -> Any:
    """Import an optional library. Raises ConfigError that names the extra which holds it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{module.partition('.')[0]} is not installed ({error})",
            remedy=f"pip install 'steelyard[{extra}]'",
        ) from error


def rows_at_once(row_bytes: int) -> int:
    """Rows of this size that make a batch."""
    return max(1, min(1 << 16, BATCH_BYTES // max(row_bytes, 1)))
