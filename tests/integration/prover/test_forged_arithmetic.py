"""No proof against an honest result passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steelyard.chain.proof_bytes import pack_arithmetic
from steelyard.core.encodings import Encoding
from steelyard.core.numbers import BLOCK_VALUES
from steelyard.core.proofs import ArithmeticProof, arithmetic_proof
from support.mangling import MANGLERS
from support.prover import Prover, arithmetic_call, refusals, selector
from support.rounds import Random, Round, random_round, random_step

FORGED = 20_000
FORGED_A_ROUND = 50


def _changed(random: Random, block: bytes) -> bytes:
    """Another block of the same length if it has one."""
    return bytes([block[0] ^ int(random.integers(1, 256)), *block[1:]]) if block else random.bytes(1)


def _other_state(random: Random, proof: ArithmeticProof) -> ArithmeticProof:
    def changed(block: bytes) -> bytes:
        at = 4 * proof.coordinate + 3
        return block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :] if block else block

    match int(random.integers(4)):
        case 0:
            return replace(proof, old_state=changed(proof.old_state))
        case 1:
            return replace(proof, old_momentum=changed(proof.old_momentum))
        case 2:
            return replace(proof, new_momentum=changed(proof.new_momentum))
        case _:
            return replace(proof, new_state=changed(proof.new_state))


def _other_place(random: Random, proof: ArithmeticProof) -> ArithmeticProof:
    return replace(
        proof,
        block_index=(proof.block_index ^ 1, 2**32 - 1, int(random.integers(64)))[int(random.integers(3))],
    )


def _other_coordinate(random: Random, proof: ArithmeticProof) -> ArithmeticProof:
    return replace(proof, coordinate=int(random.integers(256)))


def _other_updates(random: Random, proof: ArithmeticProof) -> ArithmeticProof:
    blocks = list(proof.updates)
    at = int(random.integers(len(blocks)))
    match int(random.integers(5)):
        case 0:
            random.shuffle(blocks)
        case 1:
            blocks[at] = _changed(random, blocks[at])
        case 2:
            blocks[at] = b"" if blocks[at] else bytes(128)
        case 3:
            blocks[at : at + 1] = []
        case _:  # the same bytes, divided elsewhere
            joined = b"".join(blocks)
            cut = int(random.integers(len(joined) + 1))
            blocks = [joined[:cut], joined[cut:], *[b""] * (len(blocks) - 2)][: len(blocks)]
    return replace(proof, updates=tuple(blocks))


def _other_table(random: Random, proof: ArithmeticProof) -> ArithmeticProof:
    table = bytearray(proof.table)
    table[int(random.integers(len(table)))] ^= int(random.integers(1, 256))
    entries = [proof.table[i : i + 6] for i in range(0, len(table), 6)]
    return replace(proof, table=bytes(table) if random.integers(2) else b"".join(reversed(entries)))


def _other_path(random: Random, proof: ArithmeticProof) -> ArithmeticProof:
    path = list(proof.path)
    match int(random.integers(4)):
        case 0:
            path.reverse()
        case 1:
            path.append(random.bytes(32))
        case 2:
            path = path[1:]
        case _:
            path = [random.bytes(32) for _ in path]
    return replace(proof, path=tuple(path))


FORGERIES: tuple[Callable[[Random, ArithmeticProof], ArithmeticProof], ...] = (
    _other_state,
    _other_place,
    _other_coordinate,
    _other_updates,
    _other_table,
    _other_path,
)


def forged_arithmetic(random: Random, round_: Round, seen: list[bytes]) -> bytes:
    """A forged or mangled proof, or now and then an honest one, that the honest result is wrong."""
    step = round_.step
    block, coordinate = int(random.integers(step.block_count)), int(random.integers(BLOCK_VALUES))
    proof, roots = arithmetic_proof(round_.inputs, round_.new, block, coordinate)
    if random.integers(2):
        proof = FORGERIES[int(random.integers(len(FORGERIES)))](random, proof)
    packed = pack_arithmetic(proof)
    seen.append(packed)
    if random.integers(2):
        packed = MANGLERS[int(random.integers(len(MANGLERS)))](
            random, packed, seen[int(random.integers(len(seen)))]
        )
    n = len(round_.inputs.updates)
    return arithmetic_call(step, roots.transcript, round_.result.table_hash, n, packed)


@pytest.mark.slow
def test_20000_forged_proofs_against_honest_results_all_fail(prover: Prover, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    calls: list[bytes] = []
    seen: list[bytes] = []
    for number in range(FORGED // FORGED_A_ROUND):
        step = random_step(random, Encoding(number % 3), int(random.choice([1, 2, 3, 6, 13])))
        round_ = random_round(random, tmp_path, step, updates=int(random.integers(1, 6)))
        calls += [forged_arithmetic(random, round_, seen) for _ in range(FORGED_A_ROUND)]
    errors = refusals(prover.outcomes(calls))
    for error in (
        "ArithmeticHolds(uint256,uint256,int256,int256)",
        "TranscriptMismatch(bytes32,bytes32)",
        "TableMismatch(bytes32,bytes32)",
        "WrongProofLength(uint256,uint256)",
        "BlockOutOfRange(uint256,uint256)",
        "CoordinateOutOfRange(uint256)",
    ):
        assert errors[selector(error)] > 50, f"{error}: only {errors[selector(error)]} of {FORGED} reached it"
