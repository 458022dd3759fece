"""Every kind of malformed update is convicted, and the challenger's own check says the same beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from steelyard.chain.proof_bytes import pack_malformed
from steelyard.core.encodings import Encoding
from steelyard.core.proofs import MalformedProof, malformed_proof
from steelyard.core.rules import AggregationConfig
from steelyard.core.trees import UpdateRoot
from support.energy_trees import EnergyTree, Node
from support.prover import Prover, malformed_call
from support.rounds import Random, random_round, random_step

BLOCKS = 6  # of 8 leaves
UNIT = {Encoding.RAW32: bytes(3) + b"\x02", Encoding.BFP8: b"\x01\x01", Encoding.BFP4: b"\x01\x10"}


def block_of_four(encoding: Encoding) -> Node:
    """A block whose first value is 2, so that its energy is 4."""
    return Node(b"\x00" + UNIT[encoding].ljust(encoding.size, b"\0"), 4)


def refused_blocks(encoding: Encoding) -> Iterator[bytes]:
    """Blocks that no decoder accepts."""
    size = encoding.size
    yield from (b"\0", bytes(size - 1), bytes(size + 1), bytes(2 * size))
    if encoding is not Encoding.RAW32:
        yield b"\x20" + bytes(size - 1)
        yield b"\xff" + bytes(size - 1)
        lowest = b"\x80" if encoding is Encoding.BFP8 else b"\x08"
        yield bytes(size - 1) + lowest
        yield b"\x1f" + lowest + bytes(size - 2)


def tree_of(encoding: Encoding, **forged: object) -> EnergyTree:
    """Six blocks of energy 4, with nodes or energies of the caller's."""
    leaves = [block_of_four(encoding)] * BLOCKS
    return EnergyTree.build(leaves, encoding=encoding, block_count=BLOCKS, **forged)  # type: ignore[arg-type]


def malformed(encoding: Encoding) -> Iterator[tuple[str, MalformedProof]]:
    """A name and a proof for every kind."""
    good = tree_of(encoding)
    inner, leaf = good.levels[1][0], good.levels[0][0]
    for wrong in range(256):
        if wrong != encoding:
            yield "encoding", MalformedProof(root=_root(good, wrong, BLOCKS))
    for count in (0, 1, BLOCKS - 1, BLOCKS + 1, 8, 2**32 - 1):
        yield "blockCount", MalformedProof(root=_root(good, encoding, count))
    for position in range(BLOCKS):
        for block in refused_blocks(encoding):
            for energy in (0, 4):
                tree = tree_of(encoding, forged={(0, position): Node(b"\x00" + block, energy)})
                yield f"refused block {block.hex()}", tree.proof(0, position)
        for energy in (0, 3, 5, 2**96 - 1):
            tree = tree_of(encoding, energies={(0, position): energy})
            yield "energy unlike its block's", tree.proof(0, position)
        tree = tree_of(encoding, forged={(0, position): Node(inner.preimage, inner.energy)})
        yield "inner node in a leaf's place", tree.proof(0, position)
        yield (
            "nothing in a leaf's place",
            tree_of(encoding, forged={(0, position): Node(b"", 0)}).proof(0, position),
        )
    for position in (6, 7):
        for node in (leaf, Node(b"\x00" + bytes(encoding.size), 0), Node(b"\x00\x00", 0), Node(b"\x00", 1)):
            yield "beyond blockCount", tree_of(encoding, forged={(0, position): node}).proof(0, position)
    yield from inner_faults(encoding, leaf)


def inner_faults(encoding: Encoding, leaf: Node) -> Iterator[tuple[str, MalformedProof]]:
    """Faults above the leaves, each opened at the node itself and at every leaf below it."""
    for height, width in ((1, 4), (2, 2), (3, 1)):
        for position in range(width):
            for energy in (1, 5, 2**96 - 1):
                tree = tree_of(encoding, energies={(height, position): energy})
                yield f"energies at height {height}", tree.proof(height, position)
                for below in range(position << height, (position + 1) << height):
                    yield f"energies at height {height}, from a leaf", tree.proof(0, below)
            for preimage in (leaf.preimage, b"", bytes(89), b"\x02" + bytes(87), b"\x02" + bytes(89)):
                tree = tree_of(encoding, forged={(height, position): Node(preimage, 0)})
                yield f"foreign node at height {height}", tree.proof(height, position)
    halves = {(2, 0): 2**95, (2, 1): 2**95}
    yield "96 bits, from the top", tree_of(encoding, energies=halves).proof(3, 0)
    for position in range(8):
        yield "96 bits, from a leaf", tree_of(encoding, energies=halves).proof(0, position)


def _root(tree: EnergyTree, encoding: int, block_count: int) -> UpdateRoot:
    root = tree.root
    return UpdateRoot(
        tree_hash=root.tree_hash, energy=root.energy, encoding=encoding, block_count=block_count
    )


@pytest.mark.parametrize("encoding", list(Encoding))
def test_every_kind_of_malformed_update_is_convicted(prover: Prover, encoding: Encoding) -> None:
    step = AggregationConfig(block_count=BLOCKS, encoding=encoding)
    cases = list(malformed(encoding))
    assert [name for name, proof in cases if proof.fault(encoding, BLOCKS) is None] == []
    outcomes = prover.outcomes([malformed_call(step, p.root.digest(), pack_malformed(p)) for _, p in cases])
    assert len(outcomes) > 450
    assert {n for (n, _), outcome in zip(cases, outcomes, strict=True) if not outcome.returned} == set()


def refusals(random: Random, folder: Path, encoding: Encoding) -> Iterator[bytes]:
    """Calls that convict updates with refused blocks, built by the core from their files."""
    for _ in range(40):
        step = random_step(random, encoding, int(random.choice([1, 3, 8, 21])))
        for update in random_round(random, folder, step, updates=3).inputs.updates:
            proof = malformed_proof(update)
            assert (proof is None) == update.summary.well_formed
            if proof is not None:
                yield malformed_call(step, update.summary.update_root, pack_malformed(proof))


@pytest.mark.parametrize("encoding", [Encoding.BFP8, Encoding.BFP4])
def test_a_file_with_a_refused_block_is_convicted(prover: Prover, encoding: Encoding, tmp_path: Path) -> None:
    calls = list(refusals(np.random.default_rng(6), tmp_path, encoding))
    assert len(calls) > 30
    assert all(outcome.returned for outcome in prover.outcomes(calls))
