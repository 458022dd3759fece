"""Files up to 1 GiB and a byte have the CIDs that Kubo gives them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.content.layout import LEAF_BYTES, hash_leaves
from support.layouts import check_tree

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "cids.json").read_text())
LARGE = [case for case in VECTORS["files"] if case["size"] > 10_000_000]


def chunks(data: memoryview) -> Iterator[memoryview]:
    return (data[start : start + LEAF_BYTES] for start in range(0, len(data), LEAF_BYTES))


@pytest.mark.slow
def test_files_up_to_a_gibibyte_and_a_byte_have_the_cids_that_kubo_gives_them() -> None:
    # SHAKE's output is a prefix of any longer one, so the largest file holds all the others.
    largest = max(case["size"] for case in LARGE)
    whole = memoryview(hashlib.shake_256(VECTORS["seed"].encode()).digest(largest))
    for case in LARGE:
        assert str(hash_leaves(chunks(whole[: case["size"]])).root()) == case["cid"]


@pytest.mark.slow
def test_the_largest_tree_of_two_levels_is_balanced_and_full() -> None:
    check_tree(1024 * 1024, 1025)
