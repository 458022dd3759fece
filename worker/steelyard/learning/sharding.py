"""From a source to shard files: a pass over labels that decides where rows go, and one that writes them.

Memory holds the labels, 16 bytes a row while they are split, and one batch of rows; the rows go to disk.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.errors import ConfigError, DiskFull
from steelyard.learning.data import Kind, ShardFile, shard_file
from steelyard.learning.loaders.source import Scan, Source
from steelyard.learning.partition import Partition, rows_of
from steelyard.learning.running_stats import RunningStats
from steelyard.learning.safetensors_file import header_of

TEST = -1  # owner of rows that are held out
_HELD_OUT_SEED = 0x7E57  # beside the partition's own, so that another split of the rest holds out the same


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a source is split."""

    shards: int
    partition: Partition
    seed: int = 1
    test: float = 0.1  # share of rows held out for tests, where the source has none of its own


@dataclass(frozen=True, kw_only=True)
class Split:
    """Who gets which row."""

    owner: Int64  # (rows,) a shard, or TEST
    shards: int
    counts: NDArray[np.int64]  # (shards, labels)
    test_counts: Int64  # (labels,), held out and the source's own


@dataclass(frozen=True, kw_only=True)
class Sharded:
    """Shard files on disk, in the clear; nothing is in a store yet."""

    scan: Scan
    split: Split
    shards: tuple[ShardFile, ...]
    test: ShardFile | None
    moments: RunningStats  # of the training rows


def split(scan: Scan, plan: Plan) -> Split:
    """Decide who gets which row. Raises ConfigError for more shards than rows or values, or one label."""
    if len(scan.names) < 2:
        raise ConfigError(
            f"all rows have the label {scan.names[0]!r}", remedy="choose another column of labels: --label"
        )
    rows, owner = len(scan.labels), np.zeros(len(scan.labels), np.int64)
    held = round(plan.test * rows) if scan.test_labels is None else 0
    order = np.random.RandomState(_HELD_OUT_SEED).permutation(rows)
    owner[order[:held]] = TEST
    kept = np.sort(order[held:]).astype(np.int64)
    groups = scan.groups[kept] if scan.groups is not None else None
    parts = plan.partition.split(scan.labels[kept], groups, plan.shards, plan.seed)
    for shard, part in enumerate(parts):
        owner[kept[part]] = shard
    return Split(
        owner=owner,
        shards=plan.shards,
        counts=np.stack([_counts(scan.labels[kept[part]], scan) for part in parts]),
        test_counts=_counts(scan.labels[owner == TEST], scan)
        + (0 if scan.test_labels is None else _counts(scan.test_labels, scan)),
    )


def write(source: Source, scan: Scan, given: Split, folder: Path) -> Sharded:
    """Write `shard-0.safetensors`, ... and `test.safetensors` to an existing folder.

    Rows keep the source's order, so the same source and plan give the same bytes.  Raises ConfigError where
    the source is not what its scan said, DiskFull.
    """
    moments = RunningStats(scan.kind, scan.shape)
    files = {shard: folder / f"shard-{shard}.safetensors" for shard in range(given.shards)}
    if int(given.test_counts.sum()):
        files[TEST] = folder / "test.safetensors"
    labels = {shard: scan.labels[rows] for shard, rows in enumerate(rows_of(given.owner, given.shards))}
    held = scan.labels[given.owner == TEST]
    own = scan.test_labels if scan.test_labels is not None else np.empty(0, np.uint8)
    labels[TEST] = np.concatenate([held, own])
    try:
        for owner, path in files.items():
            path.write_bytes(_header(scan, len(labels[owner])))
        _pour(source, given.owner, files, moments)
        if len(own):
            _pour(source, np.full(len(own), TEST, np.int64), files, None)
        for owner, path in files.items():
            _append(path, labels[owner])
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise DiskFull(f"no room to write shards to {folder}", remedy="free some space") from error
    made = {owner: shard_file(path, len(labels[owner])) for owner, path in files.items()}
    return Sharded(
        scan=scan,
        split=given,
        shards=tuple(made[shard] for shard in range(given.shards)),
        test=made.get(TEST),
        moments=moments,
    )


def _pour(source: Source, owner: Int64, files: dict[int, Path], moments: RunningStats | None) -> None:
    """Append every row's input to its owner's file.  moments: of training rows, for which it is not None."""
    done = 0
    for batch in source.batches(test=moments is None):
        mine = owner[done : done + len(batch)]
        done += len(batch)
        if len(mine) < len(batch):
            break
        for which in np.unique(mine):
            rows = batch[mine == which]
            if moments is not None and which != TEST:
                moments.add(rows)
            _append(files[int(which)], rows)
    if done != len(owner):
        raise ConfigError(
            f"the source had {len(owner)} rows at first and {done} or more when it was read again",
            remedy="publish it while nobody writes to it",
        )


def _append(path: Path, values: NDArray[Any]) -> None:
    """Opened each time: there may be more shards than a process may hold files open."""
    with path.open("ab") as file:
        file.write(np.ascontiguousarray(values).data)


def _header(scan: Scan, rows: int) -> bytes:
    kind: Kind = scan.kind
    return header_of([(kind.value, kind.code, (rows, *scan.shape)), ("labels", "U8", (rows,))])


def _counts(labels: Bytes, scan: Scan) -> Int64:
    return np.asarray(np.bincount(labels, minlength=len(scan.names)), np.int64)


def total(counts: Sequence[Int64] | NDArray[np.int64]) -> Int64:
    """Rows of each label over all shards."""
    return np.asarray(np.asarray(counts).sum(axis=0), np.int64)
