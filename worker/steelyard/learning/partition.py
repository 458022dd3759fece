"""Splitting rows among members: alike, skewed by label, or as the rows belong together by nature.

The definitions are those of flwr-datasets: `iid` is its IidPartitioner; `dirichlet` shares each label out by
its own draw from Dirichlet(alpha), as in Hsu, Qi and Brown (2019, arXiv:1909.06335) and its
DirichletPartitioner with self_balancing off; `by` is its NaturalIdPartitioner where there are as many values
as shards, and keeps all rows of a value in one shard where there are more. The package itself brings 48
others, holds Rich below 15, and its split may change with its version. A shard's CID must not.
`RandomState` is NumPy's frozen generator: the same seed gives the same split for good.
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
    """How rows are split: what a person writes as `iid`, `dirichlet:0.5` or `by:hospital`."""

    alpha: float = 0.0  # of the Dirichlet draw; 0 = none
    column: str = ""  # whose values keep together

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

        labels: (rows,). groups: (rows,), a number for each value of `column`. Raises ConfigError where some
        shard would have no row.
        """
        if not 1 <= shards <= len(labels):
            raise ConfigError(
                f"{shards} shards of {len(labels)} rows", remedy="use at least one row a shard, and one shard"
            )
        if self.column and groups is not None:
            return natural_partition(groups, shards)
        if self.alpha:
            return dirichlet_partition(labels, shards, alpha=self.alpha, seed=seed)
        return iid_partition(labels, shards, seed=seed)


def dirichlet_partition(
    labels: Bytes, shards: int, *, alpha: float = 0.5, seed: int = 0, min_rows: int = 1
) -> list[Int64]:
    """Row numbers of each shard, ascending; every label is shared out by a draw from Dirichlet(alpha).

    labels: (rows,). Small alphas give each shard few labels, large ones all alike. Draws again until every
    shard has `min_rows`. Raises ConfigError where that does not come about.
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
    """Row numbers of each shard, ascending: a random split into equal shards, give or take a row."""
    if not 1 <= shards <= len(labels):
        raise ConfigError(f"{shards} shards of {len(labels)} rows", remedy="use at least one row a shard")
    order = np.random.RandomState(seed).permutation(len(labels))
    return [np.sort(part).astype(np.int64) for part in np.array_split(order, shards)]


def natural_partition(groups: Int64, shards: int) -> list[Int64]:
    """Row numbers of each shard, ascending; rows of one group stay together.

    groups: (rows,), numbers from 0. With as many groups as shards each shard is one, in the groups' order; of
    more, the largest group left goes to the smallest shard. Raises ConfigError for fewer groups than shards.
    """
    sizes = np.bincount(groups)
    present = np.flatnonzero(sizes)
    if len(present) < shards:
        raise ConfigError(
            f"{len(present)} different values make no {shards} shards",
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
    """Row numbers of each shard, ascending.  owner: (rows,), a shard for each row; negative = of none."""
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(shards + 1))
    return [order[start:end].astype(np.int64) for start, end in pairwise(ends)]


def _draw(labels: Bytes, shards: int, alpha: float, random: np.random.RandomState) -> list[Int64]:
    taken: list[list[Int64]] = [[] for _ in range(shards)]
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        random.shuffle(rows)
        shares = random.dirichlet(np.full(shards, alpha))
        cuts = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
        for shard, piece in zip(taken, np.split(rows, cuts), strict=True):
            shard.append(piece)
    return [np.sort(np.concatenate(pieces)).astype(np.int64) for pieces in taken]
