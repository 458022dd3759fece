"""From a source to shard files: one pass over the labels assigns rows to shards, a second pass writes them.

Memory holds the labels (16 bytes a row while they are split) and one batch of rows.
"""

from __future__ import annotations

import errno
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

TEST = -1  # owner of held-out rows
_HELD_OUT_SEED = 0x7E57  # not the partition's seed, so that every split of a source holds out the same rows


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a source is split."""

    shards: int
    partition: Partition
    seed: int = 1
    test: float = 0.1  # share of rows held out for tests, if the source has no test rows


@dataclass(frozen=True, kw_only=True)
class Split:
    """The shard of each row."""

    owner: Int64  # (rows,) a shard, or TEST
    shards: int
    counts: NDArray[np.int64]  # (shards, labels)
    test_counts: Int64  # (labels,), held out or the source's own


@dataclass(frozen=True, kw_only=True)
class Sharded:
    """Shard files on disk, in plain text; nothing is in a store yet."""

    scan: Scan
    split: Split
    shards: tuple[ShardFile, ...]
    test: ShardFile | None
    stats: RunningStats  # of the training rows


def split(scan: Scan, plan: Plan) -> Split:
    """Assign rows to shards. Raises ConfigError for more shards than rows or values, or one label."""
    if len(scan.names) < 2:
        raise ConfigError(
            f"all rows have the label {scan.names[0]!r}", remedy="choose another column of labels: --label"
        )
    rows, owner = len(scan.labels), np.zeros(len(scan.labels), np.int64)
    held_out = round(plan.test * rows) if scan.test_labels is None else 0
    order = np.random.RandomState(_HELD_OUT_SEED).permutation(rows)
    owner[order[:held_out]] = TEST
    rest = np.sort(order[held_out:]).astype(np.int64)
    groups = scan.groups[rest] if scan.groups is not None else None
    parts = plan.partition.split(scan.labels[rest], groups, plan.shards, plan.seed)
    for shard, part in enumerate(parts):
        owner[rest[part]] = shard
    return Split(
        owner=owner,
        shards=plan.shards,
        counts=np.stack([_counts(scan.labels[rest[part]], scan) for part in parts]),
        test_counts=_counts(scan.labels[owner == TEST], scan)
        + (0 if scan.test_labels is None else _counts(scan.test_labels, scan)),
    )


def write(source: Source, scan: Scan, assigned: Split, folder: Path) -> Sharded:
    """Write `shard-0.safetensors`, ... and `test.safetensors` to an existing folder.

    Rows keep the source's order, so the same source and plan give the same bytes.  Raises ConfigError if the
    source has changed since its scan, DiskFull.
    """
    stats = RunningStats(scan.kind, scan.shape)
    files = {shard: folder / f"shard-{shard}.safetensors" for shard in range(assigned.shards)}
    if int(assigned.test_counts.sum()):
        files[TEST] = folder / "test.safetensors"
    labels = _labels_by_owner(scan, assigned)
    try:
        for owner, path in files.items():
            path.write_bytes(_header(scan, len(labels[owner])))
        _distribute(source, assigned.owner, files, stats)
        if scan.test_labels is not None:
            _distribute(source, np.full(len(scan.test_labels), TEST, np.int64), files, None)
        for owner, path in files.items():
            _append(path, labels[owner])
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise DiskFull(f"no room to write shards to {folder}", remedy="free some disk space") from error
    written = {owner: shard_file(path, len(labels[owner])) for owner, path in files.items()}
    return Sharded(
        scan=scan,
        split=assigned,
        shards=tuple(written[shard] for shard in range(assigned.shards)),
        test=written.get(TEST),
        stats=stats,
    )


def _labels_by_owner(scan: Scan, assigned: Split) -> dict[int, Bytes]:
    """The labels of each file: held-out rows come before the source's own test rows."""
    labels = {shard: scan.labels[rows] for shard, rows in enumerate(rows_of(assigned.owner, assigned.shards))}
    held_out = scan.labels[assigned.owner == TEST]
    own = scan.test_labels if scan.test_labels is not None else np.empty(0, np.uint8)
    labels[TEST] = np.concatenate([held_out, own])
    return labels


def _distribute(source: Source, owner: Int64, files: dict[int, Path], stats: RunningStats | None) -> None:
    """Append every row's input to its owner's file.  stats: of the training rows; None for test rows."""
    done = 0
    for batch in source.batches(test=stats is None):
        owners = owner[done : done + len(batch)]
        done += len(batch)
        if len(owners) < len(batch):
            break
        for shard in np.unique(owners):
            rows = batch[owners == shard]
            if stats is not None and shard != TEST:
                stats.add(rows)
            _append(files[int(shard)], rows)
    if done != len(owner):
        raise ConfigError(
            f"the source had {len(owner)} rows at first and {done} or more in the second pass",
            remedy="publish it while nothing writes to it",
        )


def _append(path: Path, values: NDArray[Any]) -> None:
    """Append to a file, opened each time: there may be more shards than the limit of open files."""
    with path.open("ab") as file:
        file.write(np.ascontiguousarray(values).data)


def _header(scan: Scan, rows: int) -> bytes:
    kind: Kind = scan.kind
    return header_of([(kind.value, kind.code, (rows, *scan.shape)), ("labels", "U8", (rows,))])


def _counts(labels: Bytes, scan: Scan) -> Int64:
    return np.asarray(np.bincount(labels, minlength=len(scan.names)), np.int64)
