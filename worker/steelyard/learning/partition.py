"""Splitting rows among members: IID, skewed by label (Dirichlet), or by the values of a column.

The definitions are those of flwr-datasets: `iid` is its IidPartitioner; `dirichlet` splits each label by its
own draw from Dirichlet(alpha), as in Hsu, Qi and Brown (2019, arXiv:1909.06335) and its DirichletPartitioner
without self_balancing; `by` is its NaturalIdPartitioner if the column has as many values as there are shards;
if it has more, all rows of a value go to one shard. The package itself has 48 dependencies, pins Rich below
15, and its split may change with its version. A shard's CID must not change. `RandomState` is NumPy's frozen
generator: the same seed always gives the same split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.errors import ConfigError

_TRIES = 1000


@dataclass(frozen=True, kw_only=True)
class Partition:
    """How to split rows, written as `iid`, `dirichlet:0.5` or `by:hospital`."""

    alpha: float = 0.0  # of the Dirichlet draw; 0 = none
    column: str = ""  # rows with the same value stay together

    @classmethod
    def parse(cls, text: str) -> Partition:
        """Raises ConfigError for anything else."""
        kind, _, value = text.partition(":")
        if text == "iid":
            return cls()
        if kind == "by" and value:
            return cls(column=value)
        try:
            alpha = float(value) if kind == "dirichlet" else math.nan
        except ValueError:
            alpha = math.nan
        if not 0 < alpha < math.inf:
            raise ConfigError(
                f"no partition is called {text!r}",
                remedy="write iid, dirichlet:<alpha above 0> or by:<column>",
            )
        return cls(alpha=alpha)

    def split(self, labels: Bytes, groups: Int64 | None, shards: int, seed: int) -> list[Int64]:
        """Row numbers of each shard, ascending.

        labels: (rows,). groups: (rows,), a number for each value of `column`. Raises ConfigError if a
        shard would have no rows.
        """
        if not 1 <= shards <= len(labels):
            raise ConfigError(
                f"{shards} shards of {len(labels)} rows",
                remedy="use at least one shard, and one row for each",
            )
        if self.column and groups is not None:
            return natural_partition(groups, shards)
        if self.alpha:
            return dirichlet_partition(labels, shards, alpha=self.alpha, seed=seed)
        return iid_partition(labels, shards, seed=seed)


def dirichlet_partition(
    labels: Bytes, shards: int, *, alpha: float = 0.5, seed: int = 0, min_rows: int = 1
) -> list[Int64]:
    """Row numbers of each shard, ascending; every label is split by a draw from Dirichlet(alpha).

    labels: (rows,). A small alpha gives each shard few labels, a large one similar distributions. Draws again
    until every shard has `min_rows`. Raises ConfigError after 1,000 draws.
    """
    if shards < 1 or alpha <= 0:
        raise ConfigError(
            f"{shards} shards with alpha {alpha}", remedy="ask for at least 1 shard and alpha > 0"
        )
    random = np.random.RandomState(seed)
    for _ in range(_TRIES):
        parts = _draw(labels, shards, alpha, random)
        if min(len(part) for part in parts) >= min_rows:
            return parts
    raise ConfigError(
        f"in {_TRIES} draws, no split of {len(labels)} rows gave each of {shards} shards {min_rows} rows",
        remedy="use fewer shards, a larger alpha or a smaller min_rows",
    )


def iid_partition(labels: Bytes, shards: int, *, seed: int = 0) -> list[Int64]:
    """Row numbers of each shard, ascending: a random split; sizes differ by at most one row."""
    if not 1 <= shards <= len(labels):
        raise ConfigError(
            f"{shards} shards of {len(labels)} rows", remedy="use at least one row for each shard"
        )
    order = np.random.RandomState(seed).permutation(len(labels))
    return [np.sort(part).astype(np.int64) for part in np.array_split(order, shards)]


def natural_partition(groups: Int64, shards: int) -> list[Int64]:
    """Row numbers of each shard, ascending; rows of one group stay together.

    groups: (rows,), numbers from 0. With as many groups as shards, each group is one shard, in the groups'
    order. With more, the largest remaining group goes to the smallest shard. Raises ConfigError for fewer
    groups than shards.
    """
    sizes = np.bincount(groups)
    present = np.flatnonzero(sizes)
    if len(present) < shards:
        raise ConfigError(
            f"{len(present)} different values cannot fill {shards} shards",
            remedy=f"use at most {len(present)} shards, or another column",
        )
    owner = np.zeros(len(sizes), np.int64)
    if len(present) == shards:
        owner[present] = np.arange(shards)
    else:
        filled = np.zeros(shards, np.int64)
        for group in present[np.argsort(-sizes[present], kind="stable")]:
            owner[group] = np.argmin(filled)
            filled[owner[group]] += sizes[group]
    return rows_of(owner[groups], shards)


def rows_of(owner: Int64, shards: int) -> list[Int64]:
    """Row numbers of each shard, ascending.  owner: (rows,), a shard for each row; negative = none."""
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(shards + 1))
    return [order[start:end].astype(np.int64) for start, end in pairwise(ends)]


def _draw(labels: Bytes, shards: int, alpha: float, random: np.random.RandomState) -> list[Int64]:
    rows_of_shards: list[list[Int64]] = [[] for _ in range(shards)]
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        random.shuffle(rows)
        shares = random.dirichlet(np.full(shards, alpha))
        cuts = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
        for shard, piece in zip(rows_of_shards, np.split(rows, cuts), strict=True):
            shard.append(piece)
    return [np.sort(np.concatenate(pieces)).astype(np.int64) for pieces in rows_of_shards]
