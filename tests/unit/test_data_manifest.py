"""The data manifest: one encoding, nothing hostile, and the root that a job by shards has."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import ManifestError
from steelyard.jobs import canonical_json, membership
from steelyard.jobs.data_manifest import DataManifest, PublishedFile
from support import jobs

MANIFEST = DataManifest(
    source="wine.csv",
    kind="features",
    partition="dirichlet:0.5, seed 1",
    recipe="tabular",
    architecture={
        "columns": 2,
        "classes": 2,
        "hidden": (4,),
        "mean": ("0.5", "-1e-05"),
        "deviation": ("1", "2"),
    },
    labels=("dry", "süß"),
    columns=("alcohol", "hue"),
    shards=tuple(
        PublishedFile(cid=jobs.cid_of(f"shard {i}"), rows=30 + i, size=999, counts=(10, 20 + i))
        for i in range(3)
    ),
    test=PublishedFile(cid=jobs.cid_of("test"), rows=9, size=99, counts=(9, 0)),
)


def changed(path: str, value: Any) -> bytes:
    document = json.loads(MANIFEST.encode())
    inner: Any = document
    *way, last = path.split(".")
    for step in way:
        inner = inner[int(step) if step.isdigit() else step]
    if value is KeyError:
        del inner[last]
    else:
        inner[int(last) if last.isdigit() else last] = value
    return canonical_json.dump(document)


def test_it_is_read_as_it_was_written() -> None:
    assert DataManifest.parse(MANIFEST.encode()) == MANIFEST
    alone = dataclasses.replace(MANIFEST, test=None)
    assert DataManifest.parse(alone.encode()) == alone


def test_its_root_is_that_of_a_job_by_these_shards() -> None:
    leaves = [membership.shard_leaf(i, shard.cid, 30 + i) for i, shard in enumerate(MANIFEST.shards)]
    assert MANIFEST.root() == membership.merkle_root(leaves)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("version", 2, "version"),
        ("kind", "sounds", "kind"),
        ("recipe", "Tabular!", "recipe"),
        ("source", "a\x1b[2J", "source"),
        ("labels", ["a"], "counts"),
        ("labels", ["a", "a"], "labels"),
        ("labels.0", "\u202ea", "labels"),
        ("shards", [], "shards"),
        ("shards.0.cid", "Qmabc", "cid"),
        ("shards.0.rows", 31, "counts"),
        ("shards.0.counts", "-1 31", "counts"),
        ("shards.0.counts", "010 20", "counts"),
        ("shards.0.counts", [10, 20], "counts"),
        ("shards.0.size", 0, "size"),
        ("test.counts", "9", "counts"),
        ("architecture", {"mean": [["1"]]}, "mean"),
        ("architecture", {"mean": ["a b"]}, "mean"),
        ("architecture", {"mean": ["1"] * 5000}, "mean"),
        ("columns", KeyError, "columns"),
        ("more", 1, "more"),
    ],
)
def test_what_does_not_belong_is_refused_with_its_name(path: str, value: Any, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        DataManifest.parse(changed(path, value))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(ManifestError):
        DataManifest.parse(data)


def test_there_is_room_for_the_most_shards_and_labels() -> None:
    shards = tuple(
        PublishedFile(cid=jobs.cid_of(f"shard {i}"), rows=256 * 50, size=1, counts=(50,) * 256)
        for i in range(1 << 14)
    )
    most = dataclasses.replace(MANIFEST, shards=shards, labels=tuple(map(str, range(256))), test=None)
    assert DataManifest.parse(most.encode()) == most


def test_a_bomb_is_refused_by_its_length() -> None:
    with pytest.raises(ManifestError, match="over the limit"):
        DataManifest.parse(b"[" * math.ceil(17 << 20))
