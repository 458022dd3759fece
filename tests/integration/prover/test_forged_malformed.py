"""No proof that an honest update is malformed passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from steelyard.chain.proof_bytes import pack_malformed
from steelyard.core.encodings import Encoding, encode_block, energy_of
from steelyard.core.numbers import BLOCK_VALUES
from steelyard.core.proofs import MalformedProof
from steelyard.core.rules import AggregationConfig
from steelyard.core.trees import EnergyStep
from support.energy_trees import EnergyTree, Node
from support.mangling import MANGLERS
from support.prover import Prover, malformed_call, refusals, selector
from support.rounds import Random, random_step, random_values

FORGED = 20_000
FORGED_A_ROUND = 50


def _changed(random: Random, data: bytes) -> bytes:
    return bytes([data[0] ^ int(random.integers(1, 256)), *data[1:]]) if data else random.bytes(1)


def honest_tree(random: Random, step: AggregationConfig) -> EnergyTree:
    """The tree of an update as an honest worker encodes it."""
    leaves = []
    for values in random_values(random, step.block_count):
        block = encode_block(values, step.encoding)
        decoded = tuple(int(v) for v in values) if step.encoding is Encoding.RAW32 else _decoded(block, step)
        leaves.append(Node(b"\x00" + block, energy_of(decoded)))
    return EnergyTree.build(leaves, encoding=step.encoding, block_count=step.block_count)


def _decoded(block: bytes, step: AggregationConfig) -> tuple[int, ...]:
    if not block:
        return (0,) * BLOCK_VALUES
    body = block[1:]
    if step.encoding is Encoding.BFP8:
        mantissas = [m - 256 if m > 127 else m for m in body]
    else:
        mantissas = [n - 16 if n > 7 else n for m in body for n in (m >> 4, m & 15)]
    return tuple(max(-(2**31) + 1, min(2**31 - 1, m << block[0])) for m in mantissas)


def _forged_step(random: Random, step: EnergyStep) -> EnergyStep:
    match int(random.integers(3)):
        case 0:
            return replace(step, own_energy=step.own_energy ^ (1 << int(random.integers(96))))
        case 1:
            return replace(step, own_energy=step.sibling_energy, sibling_energy=step.own_energy)
        case _:
            return replace(step, sibling=random.bytes(32))


def _other_preimage(random: Random, proof: MalformedProof) -> MalformedProof:
    preimage = proof.preimage or b""
    if random.integers(2):
        return replace(proof, preimage=_changed(random, preimage))
    return replace(proof, preimage=random.bytes(int(random.choice([0, 1, 18, 34, 89, 129]))))


def _other_energies(random: Random, proof: MalformedProof) -> MalformedProof:
    path = list(proof.path)
    if path:
        at = int(random.integers(len(path)))
        path[at] = _forged_step(random, path[at])
    return replace(proof, path=tuple(path))


def _other_place(random: Random, proof: MalformedProof) -> MalformedProof:
    return replace(proof, position=int(random.integers(2 ** (proof.levels + 2))))


def _other_height(random: Random, proof: MalformedProof) -> MalformedProof:
    """An inner node passed off as a leaf, a leaf as an inner node, or one level too many."""
    if random.integers(2):
        return replace(proof, path=proof.path[1:], position=proof.position // 2)
    extra = EnergyStep(sibling=random.bytes(32), own_energy=0, sibling_energy=proof.root.energy)
    return replace(proof, path=(extra, *proof.path))


def _other_root(random: Random, proof: MalformedProof) -> MalformedProof:
    root = proof.root
    match int(random.integers(4)):
        case 0:
            return replace(proof, root=replace(root, energy=root.energy ^ 1))
        case 1:
            return replace(proof, root=replace(root, encoding=(root.encoding + 1) % 3), preimage=None)
        case 2:
            return replace(proof, root=replace(root, block_count=root.block_count + 1), preimage=None)
        case _:
            return replace(proof, preimage=None)


FORGERIES: tuple[Callable[[Random, MalformedProof], MalformedProof], ...] = (
    _other_preimage,
    _other_energies,
    _other_place,
    _other_height,
    _other_root,
)


def forged_malformed(random: Random, tree: EnergyTree, seen: list[bytes]) -> bytes:
    """A forged or mangled proof, or now and then an honest one, that the honest update is malformed."""
    height = int(random.integers(tree.depth + 1)) if random.integers(2) else 0
    proof = tree.proof(height, int(random.integers(len(tree.levels[height]))))
    if random.integers(2):
        proof = FORGERIES[int(random.integers(len(FORGERIES)))](random, proof)
    packed = pack_malformed(proof)
    seen.append(packed)
    if random.integers(2):
        mangle = MANGLERS[int(random.integers(len(MANGLERS)))]
        packed = mangle(random, packed, seen[int(random.integers(len(seen)))])
    return packed


@pytest.mark.slow
def test_20000_forged_proofs_against_honest_updates_all_fail(prover: Prover) -> None:
    random = np.random.default_rng(5)
    calls: list[bytes] = []
    seen: list[bytes] = []
    for number in range(FORGED // FORGED_A_ROUND):
        step = random_step(random, Encoding(number % 3), int(random.choice([1, 2, 3, 6, 13])))
        tree = honest_tree(random, step)
        root = tree.root.digest()
        calls += [
            malformed_call(step, root, forged_malformed(random, tree, seen)) for _ in range(FORGED_A_ROUND)
        ]
    errors = refusals(prover.outcomes(calls))
    for error in (
        "UpdateHolds()",
        "UpdateRootMismatch(bytes32,bytes32)",
        "TreeMismatch(bytes32,bytes32)",
        "WrongProofLength(uint256,uint256)",
        "PathTooLong(uint256,uint256)",
        "PositionOutOfRange(uint256,uint256)",
    ):
        assert errors[selector(error)] > 50, f"{error}: only {errors[selector(error)]} of {FORGED} reached it"
