"""A conviction stays affordable: gas of the proof alone, its transaction's base and calldata included.

The targets for a whole conviction are 260,000, 560,000 and 2,000,000, and 220,000 for a malformed update;
70,000 of each are left to the coordinator.
"""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.chain.proof_bytes import pack_arithmetic, pack_malformed
from steelyard.core.encodings import Encoding
from steelyard.core.hashing import keccak
from steelyard.core.numbers import ONE
from steelyard.core.proofs import ArithmeticProof, MalformedProof
from steelyard.core.rules import AggregationConfig, WeightTable
from steelyard.core.trees import EnergyStep, UpdateRoot
from support.energy_trees import Node
from support.prover import Prover, arithmetic_call, malformed_call

COORDINATOR = 70_000


@pytest.mark.parametrize(
    ("workers", "parameters", "target"),
    [(10, 8_400_000, 260_000), (64, 1_000_000, 560_000), (256, 33_500_000, 2_000_000)],
)
def test_of_an_arithmetic_proof(prover: Prover, workers: int, parameters: int, target: int) -> None:
    random = np.random.default_rng(workers)
    step = AggregationConfig(block_count=-(-parameters // 32), encoding=Encoding.RAW32, beta=ONE // 2)
    table = WeightTable(tuple(random.integers(1, 2**20, workers).tolist()), (ONE // 2 + 1,) * workers)
    proof = ArithmeticProof(
        block_index=step.block_count - 1,
        coordinate=31,
        old_state=random.bytes(128),
        new_state=random.bytes(128),
        old_momentum=random.bytes(128),
        new_momentum=random.bytes(128),
        updates=tuple(random.bytes(128) for _ in range(workers)),
        table=table.to_bytes(),
        path=tuple(random.bytes(32) for _ in range((step.block_count - 1).bit_length())),
    )
    packed = pack_arithmetic(proof)
    used = prover.gas(arithmetic_call(step, proof.transcript_root(), table.digest(), workers, packed))
    print(f"\n{workers} workers x {parameters:,} parameters, {len(packed):,} bytes: {used:,} gas")
    assert used < target - COORDINATOR


@pytest.mark.parametrize("encoding", list(Encoding))
def test_of_a_malformed_update(prover: Prover, encoding: Encoding) -> None:
    random = np.random.default_rng(7)
    step = AggregationConfig(block_count=2**18, encoding=encoding)
    preimage = b"\0\1" + random.bytes(encoding.size - 1).replace(b"\x80", b"\x01").replace(b"\x88", b"\x01")
    leaf = Node(preimage, 2**95)
    path = tuple(EnergyStep(sibling=random.bytes(32), own_energy=2**95, sibling_energy=0) for _ in range(18))
    root = UpdateRoot(tree_hash=_top(leaf, path), energy=2**95, encoding=encoding, block_count=2**18)
    proof = MalformedProof(root=root, position=0, path=path, preimage=preimage)
    used = prover.gas(malformed_call(step, root.digest(), pack_malformed(proof)))
    print(f"\nmalformed {encoding.name}, depth 18: {used:,} gas")
    assert used < 220_000 - COORDINATOR


def _top(leaf: Node, path: tuple[EnergyStep, ...]) -> bytes:
    """Hash of the tree whose leftmost leaf this is."""
    digest = leaf.digest
    for step in path:
        energies = step.own_energy.to_bytes(12, "big") + step.sibling_energy.to_bytes(12, "big")
        digest = keccak(b"\x02" + digest + step.sibling + energies)
    return digest
