"""Nodes killed at seeded points, between every journal write, send and receipt, and started again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.chains import StartChain
from support.crashing import Supervised, check_all_is_right, plan, root_of, run_crashing
from support.fleet import Windows, staged

ROUNDS = 2
SEEDS = int(os.environ.get("STEELYARD_CRASH_SEEDS", "20"))
FIRST = int(os.environ.get("STEELYARD_CRASH_FIRST", "0"))
WINDOWS = Windows(submit=40, attest=20, turn=12, post=30, challenge=6)


async def crash_job(start_chain: StartChain, tmp_path: Path, seed: int) -> list[Supervised]:
    """One job in which a worker, an aggregator and the challenger die once, and another aggregator cheats."""
    async with staged(
        start_chain("anvil"),
        root_of(tmp_path, seed),
        workers=("w0", "w1"),
        windows=WINDOWS,
        poll_s=0.1,
        rounds=ROUNDS,
    ) as fleet:
        nodes = [
            Supervised(fleet=fleet, name="w0", role="worker", crash=plan(seed, "w0")),
            Supervised(fleet=fleet, name="w1", role="worker"),
            Supervised(fleet=fleet, name="agg0", role="aggregator", crash=plan(seed, "agg0")),
            Supervised(fleet=fleet, name="agg1", role="aggregator", cheat="1,2"),
            Supervised(fleet=fleet, name="challenger", role="challenger", crash=plan(seed, "challenger")),
        ]
        await run_crashing(fleet, nodes, timeout_s=240)
        assert {node.outcome for node in nodes} == {"closed"}
        await check_all_is_right(fleet, ROUNDS, {fleet.wallets["agg1"].address})
        return nodes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_a_job_ends_right_whoever_is_killed_wherever(
    start_chain: StartChain, tmp_path: Path, seed: int
) -> None:
    nodes = await crash_job(start_chain, tmp_path, seed)
    print(f"seed {seed}:", {node.name: (node.crash, node.kills) for node in nodes if node.crash})
