"""Trees in a stream: the same root and paths for every way of cutting the leaves into chunks."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core import trees
from steelyard.errors import FormatError
from support import core_reference as ref

hashes = st.binary(min_size=32, max_size=32)


def _rows(leaves: list[bytes]) -> np.ndarray:  # type: ignore[type-arg]
    return np.frombuffer(b"".join(leaves), np.uint8).reshape(-1, 32)


def _feed(tree: trees.StateTree, leaves: list[bytes], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(leaves)]
    for first, end in itertools.pairwise(edges):
        tree.add(_rows(leaves[first:end]))


@given(st.lists(hashes, min_size=1, max_size=40), st.data())
def test_root_and_every_path_for_any_chunks(leaves: list[bytes], data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(leaves)), max_size=8))
    tree = trees.StateTree(len(leaves), watch=tuple(range(len(leaves))))
    _feed(tree, leaves, cuts)
    levels = ref.state_levels(leaves)
    assert tree.root() == levels[-1][0]
    for i, leaf in enumerate(leaves):
        assert list(tree.path(i)) == ref.path(levels, i)
        assert trees.path_root(leaf, i, tree.path(i)) == tree.root()


@given(st.lists(st.tuples(hashes, st.integers(0, 2**67)), min_size=1, max_size=40), st.data())
def test_energies_add_up_to_the_root_for_any_chunks(
    nodes: list[tuple[bytes, int]], data: st.DataObject
) -> None:
    watched = data.draw(st.integers(0, len(nodes) - 1))
    tree = trees.UpdateTree(len(nodes), watch=(watched,))
    cut = data.draw(st.integers(0, len(nodes)))
    for part in (nodes[:cut], nodes[cut:]):
        energies = np.array([(e >> 64, e & (2**64 - 1)) for _, e in part], np.uint64).reshape(-1, 2)
        tree.add_update(_rows([h for h, _ in part]), energies)
    levels = ref.update_levels(nodes)
    assert (tree.root(), tree.energy()) == levels[-1][0]
    node, index = nodes[watched], watched
    for step in tree.energy_path(watched, node[1]):
        assert step.own_energy == node[1]
        pair = (node, (step.sibling, step.sibling_energy))
        node, index = ref.update_node(*(pair if index % 2 == 0 else pair[::-1])), index // 2
    assert node == levels[-1][0]


@pytest.mark.parametrize("count", [1, 5, 4096, 4097, 9000])
def test_state_root_for_every_chunk_size(count: int) -> None:
    data = np.random.default_rng(count).integers(0, 256, count * 128, dtype=np.uint8)
    expected = ref.state_root([ref.leaf(data[i : i + 128].tobytes()) for i in range(0, data.size, 128)])
    for chunk in (1024, 1000, 37, 10_000):
        assert trees.state_root(data, count, chunk) == expected


def test_a_tree_refuses_too_many_and_too_few_leaves() -> None:
    tree = trees.StateTree(3)
    tree.add(_rows([bytes(32)] * 2))
    with pytest.raises(FormatError, match="2 of 3"):
        tree.root()
    with pytest.raises(FormatError, match="more than 3"):
        tree.add(_rows([bytes(32)] * 2))


@pytest.mark.parametrize("count", [0, -1, 2**28 + 1])
def test_block_counts_outside_the_protocol_are_refused(count: int) -> None:
    with pytest.raises(FormatError, match="blocks"):
        trees.depth_of(count)


def test_depth_follows_from_the_block_count() -> None:
    assert [trees.depth_of(n) for n in (1, 2, 3, 4, 5, 2**18, 2**28)] == [0, 1, 2, 2, 3, 18, 28]


def test_the_largest_model_of_the_largest_values_has_an_energy_that_fits_96_bits() -> None:
    tree = trees.UpdateTree(4)
    most = 32 * 2**62
    energies = np.array([[most >> 64, most & (2**64 - 1)]] * 4, np.uint64)
    tree.add_update(_rows([bytes(32)] * 4), energies)
    assert tree.energy() == 4 * most
    assert 2**28 * most < 2**96


def test_a_watched_leaf_must_be_in_the_tree() -> None:
    with pytest.raises(FormatError, match="leaf 4"):
        trees.StateTree(3, watch=(4,))


def test_sealing_refuses_addresses_of_another_length() -> None:
    with pytest.raises(FormatError, match="worker"):
        trees.sealed_root(
            chain_id=1, coordinator=bytes(20), job=1, serial=1, worker=bytes(19), update_root=bytes(32)
        )


def test_each_field_changes_the_seal() -> None:
    rng = random.Random(1)
    base = {
        "chain_id": 1,
        "coordinator": rng.randbytes(20),
        "job": 2,
        "serial": 3,
        "worker": rng.randbytes(20),
    }
    root = rng.randbytes(32)
    seals = {trees.sealed_root(**base, update_root=root), trees.sealed_root(**base, update_root=bytes(32))}
    for name, value in base.items():
        other = value + 1 if isinstance(value, int) else bytes(20)
        seals.add(trees.sealed_root(**{**base, name: other}, update_root=root))
    assert len(seals) == 7
