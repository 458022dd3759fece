"""Splitting rows: each row once, the expected labels, a reproducible split."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.errors import ConfigError
from steelyard.learning.partition import dirichlet_partition, iid_partition


def labels(count: int = 6000, classes: int = 10) -> Bytes:
    return np.random.RandomState(5).randint(0, classes, count).astype(np.uint8)


def assert_each_row_once(parts: list[Int64], count: int) -> None:
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(count))


@settings(max_examples=60, deadline=None)
@given(
    shards=st.integers(1, 20), seed=st.integers(0, 2**32 - 1), alpha=st.sampled_from([0.05, 0.5, 1.0, 100.0])
)
def test_dirichlet_gives_each_row_to_one_shard(shards: int, seed: int, alpha: float) -> None:
    parts = dirichlet_partition(labels(), shards, alpha=alpha, seed=seed, min_rows=0)
    assert len(parts) == shards
    assert_each_row_once(parts, 6000)


@settings(max_examples=30, deadline=None)
@given(shards=st.integers(1, 50), seed=st.integers(0, 2**32 - 1))
def test_iid_gives_each_row_to_one_of_equal_shards(shards: int, seed: int) -> None:
    parts = iid_partition(labels(997), shards, seed=seed)
    assert_each_row_once(parts, 997)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_label_counts_of_the_shards_add_up_to_those_of_the_whole() -> None:
    rows = labels()
    parts = dirichlet_partition(rows, 4, seed=3)
    counts = sum(np.bincount(rows[part], minlength=10) for part in parts)
    np.testing.assert_array_equal(counts, np.bincount(rows, minlength=10))


def test_a_small_alpha_skews_and_a_large_one_does_not() -> None:
    def spread(alpha: float) -> float:
        parts = dirichlet_partition(labels(), 4, alpha=alpha, seed=1)
        shares = np.array([np.bincount(labels()[part], minlength=10) / len(part) for part in parts])
        return float(shares.std(axis=0).mean())

    assert spread(0.1) > spread(0.5) > 5 * spread(1000)


def test_a_seed_always_gives_the_same_split() -> None:
    """A shard's CID depends on this: if it fails, the generator changed, and published jobs would too."""
    joined = b"".join(
        part.astype(">i8").tobytes() for part in dirichlet_partition(labels(), 4, alpha=0.5, seed=7)
    )
    assert hashlib.sha256(joined).hexdigest()[:16] == "d40d3c86faa1794e"
    different = dirichlet_partition(labels(), 4, alpha=0.5, seed=8)
    assert b"".join(part.astype(">i8").tobytes() for part in different) != joined


def test_every_shard_has_the_rows_that_were_asked_for() -> None:
    parts = dirichlet_partition(labels(), 4, alpha=0.1, seed=0, min_rows=500)
    assert min(len(part) for part in parts) >= 500


def test_an_impossible_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="each of 4 shards 2000 rows"):
        dirichlet_partition(labels(), 4, min_rows=2000)
    with pytest.raises(ConfigError, match="alpha"):
        dirichlet_partition(labels(), 4, alpha=0)
    with pytest.raises(ConfigError, match="0 shards"):
        dirichlet_partition(labels(), 0)
    with pytest.raises(ConfigError, match="998 shards of 997 rows"):
        iid_partition(labels(997), 998)
