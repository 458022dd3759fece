"""Splitting rows among members.

flwr-datasets has a DirichletPartitioner, but it brings 48 packages (pandas, pyarrow, matplotlib, a dataset
hub's client), holds Rich below 15, and its split may change with its version. A shard's CID must not.
`RandomState` is NumPy's frozen generator: the same seed gives the same split for good.
"""

from __future__ import annotations

import numpy as np

from steelyard.errors import ConfigError
from steelyard.kernels.arrays import Bytes, Int64

_TRIES = 1000


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
