"""The worked cases of tests/vectors/numbers.json, as the contracts see them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.chain.proof_bytes import pack_arithmetic
from steelyard.core.encodings import Encoding, encode_block
from steelyard.core.proofs import ArithmeticProof
from steelyard.core.rules import AggregationConfig, WeightTable
from steelyard.core.trees import StateTree
from support.prover import HOLDS, Prover, arithmetic_call

VECTORS = Path(__file__).parents[2] / "vectors" / "numbers.json"


@cache
def vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(VECTORS.read_text())
    return loaded


def edges(name: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = vectors()["edges"][name]
    return listed


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def states(values: list[int]) -> list[bytes]:
    """State blocks of these values, zero-padded."""
    padded = np.array(values + [0] * (-len(values) % 32), ">i4").tobytes()
    return [padded[i : i + 128] for i in range(0, len(padded), 128)]


def raw_blocks(values: list[int]) -> list[bytes]:
    """raw32 blocks of these values, zero-padded."""
    padded = np.array(values + [0] * (-len(values) % 32), np.int32).reshape(-1, 32)
    return [encode_block(row, Encoding.RAW32) for row in padded]


def proofs(
    step: AggregationConfig, table: WeightTable, state_blocks: list[list[bytes]], updates: list[list[bytes]]
) -> tuple[bytes, list[ArithmeticProof]]:
    """Transcript root, and a proof for each block.

    state_blocks: old state, new state, and with momentum old and new of it; each by block.
    updates: by update, then by block.
    """
    bare = [
        ArithmeticProof(
            block_index=j,
            coordinate=0,
            old_state=state_blocks[0][j],
            new_state=state_blocks[1][j],
            old_momentum=state_blocks[2][j] if step.momentum else b"",
            new_momentum=state_blocks[3][j] if step.momentum else b"",
            updates=tuple(update[j] for update in updates),
            table=table.to_bytes(),
            path=(),
        )
        for j in range(step.block_count)
    ]
    tree = StateTree(step.block_count, tuple(range(step.block_count)))
    tree.add(np.frombuffer(b"".join(p.transcript_leaf() for p in bare), np.uint8).reshape(-1, 32))
    root = tree.root()
    return root, [ArithmeticProof(**{**vars(proof), "path": tree.path(j)}) for j, proof in enumerate(bare)]


@pytest.mark.parametrize("case", vectors()["rounds"], ids=lambda case: f"seed {case['seed']}")
@pytest.mark.parametrize("clipped", [False, True])
def test_every_value_of_a_worked_round_holds(prover: Prover, case: dict[str, Any], clipped: bool) -> None:
    result = case["clipped"] if clipped else case
    count = -(-case["params"] // 32)
    step = AggregationConfig(
        block_count=count,
        encoding=Encoding.RAW32,
        beta=case["beta"],
        lr=case["lr"],
        bound2=int(case["clip_bound2"]) if clipped else 0,
    )
    factors = case["clip_factors"] if clipped else [65536] * case["workers"]
    table = WeightTable(tuple(case["weights"]), tuple(factors))
    blocks = [states(case["W"]), states(result["W_next"])]
    blocks += [states(case["momentum"]), states(result["momentum_next"])]
    root, made = proofs(step, table, blocks, [raw_blocks(delta) for delta in case["deltas"]])
    posted_root, posted_table = root, table.digest()
    if clipped:
        posted_root, posted_table = raw(result["transcript_root_raw32"]), raw(result["table"])
    calls = [
        arithmetic_call(step, posted_root, posted_table, case["workers"], pack_arithmetic(p)) for p in made
    ]
    assert prover.held(calls) == [32] * count


@pytest.mark.parametrize("case", edges("transcript_without_momentum"))
def test_a_transcript_without_momentum_is_opened(prover: Prover, case: dict[str, Any]) -> None:
    step = AggregationConfig(block_count=len(case["old"]), encoding=Encoding.BFP8)
    table = WeightTable(tuple(case["weights"]), tuple(case["factors"]))
    updates = [[raw(block) for block in update] for update in case["updates"]]
    state_blocks = [[raw(b) for b in case["old"]], [raw(b) for b in case["new"]]]
    _, made = proofs(step, table, state_blocks, updates)
    root, table_hash = raw(case["root"]), raw(case["table"])
    calls = [arithmetic_call(step, root, table_hash, len(updates), pack_arithmetic(p)) for p in made]
    # The case is not a computed step, so its numbers convict it; every path must reach the root.
    assert all(outcome.returned or outcome.error == HOLDS for outcome in prover.outcomes(calls))


@pytest.mark.parametrize("case", edges("rdiv"))
def test_rdiv(prover: Prover, case: dict[str, Any]) -> None:
    assert prover.library("rdiv(int256,uint256)", "int256", case["a"], case["d"]) == case["result"]


@pytest.mark.parametrize("case", edges("step"))
def test_step(prover: Prover, case: dict[str, Any]) -> None:
    signature = "step(int256,int256,int256,uint256,uint256)"
    for i, state in enumerate(case["W"]):
        inputs = (state, case["momentum"][i], case["mean"][i], case["beta"], case["lr"])
        expected = (case["W_next"][i], case["momentum_next"][i])
        assert prover.library(signature, "(int256,int256)", *inputs) == expected


@pytest.mark.parametrize("case", edges("decode"))
def test_decode(prover: Prover, case: dict[str, Any]) -> None:
    values, block = case["values"], raw(case["block"])
    assert prover.library("decodes(uint8,bytes)", "bool", case["encoding"], block) == (values is not None)
    counted = values or [0] * 32
    assert prover.library("values(uint8,bytes)", "int256[32]", case["encoding"], block) == tuple(counted)
    energy = sum(value * value for value in counted)
    assert prover.library("energy(uint8,bytes)", "uint256", case["encoding"], block) == energy
    assert prover.library("leaf(bytes)", "bytes32", block) == raw(case["leaf"])


@pytest.mark.parametrize("case", edges("encode"))
def test_decode_undoes_encode(prover: Prover, case: dict[str, Any]) -> None:
    values = prover.library("values(uint8,bytes)", "int256[32]", 0, raw(case["blocks"][0]))
    assert values == tuple(case["values"])
    assert all(prover.library("decodes(uint8,bytes)", "bool", e, raw(case["blocks"][e])) for e in range(3))


@pytest.mark.parametrize("case", edges("trees"))
def test_update_and_sealed_root(prover: Prover, case: dict[str, Any]) -> None:
    blocks = -(-len(case["values"]) // 32)
    energy, encoding = int(case["energy"]).to_bytes(12, "big"), case["encoding"].to_bytes(1, "big")
    fields = raw(case["tree"]) + energy + encoding + blocks.to_bytes(4, "big")
    assert prover.library("updateRoot(bytes)", "bytes32", fields) == raw(case["update_root"])
    signature = "sealedRoot(address,uint64,uint64,address,bytes32)"
    given = (case["coordinator"], case["job"], case["serial"], case["worker"], raw(case["update_root"]))
    prover.chain.rpc("anvil_setChainId", case["chain_id"])
    try:
        assert prover.library(signature, "bytes32", *given) == raw(case["sealed_root"])
    finally:
        prover.chain.rpc("anvil_setChainId", prover.chain.chain_id)
