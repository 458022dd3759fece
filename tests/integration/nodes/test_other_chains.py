"""A whole job with a cheat on chains other than an instantly mining anvil."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from steelyard.chain.dev.devnet import Kind
from support.chains import StartChain
from support.cheats import one_wrong_number
from support.fleet import ALL, FACTORIES, Windows, run_all, staged

ROUNDS = 2
WINDOWS = Windows(submit=30, attest=20, turn=8, post=30, challenge=6)


@dataclass(frozen=True, kw_only=True)
class ChainSetup:
    """A chain, and the network settings of nodes on it."""

    kind: Kind
    block_time_s: int = 0  # 0 mines instantly
    confirmations: int = 0


ANVIL_AND_GANACHE = (ChainSetup(kind="ganache"), ChainSetup(kind="anvil", block_time_s=1, confirmations=2))
# an instantly mining chain is ahead of the wall clock
GETH = (ChainSetup(kind="geth", block_time_s=1), ChainSetup(kind="geth"))


@pytest.mark.slow
@pytest.mark.parametrize("places", [ANVIL_AND_GANACHE, GETH], ids=["anvil and Ganache", "geth"])
async def test_a_job_runs_to_its_end_and_a_cheat_is_convicted(
    start_chain: StartChain, tmp_path: Path, places: tuple[ChainSetup, ...]
) -> None:
    async def one(index: int, place: ChainSetup) -> None:
        try:
            await whole_job(start_chain, tmp_path / str(index), place)
        except BaseException as error:
            error.add_note(f"on {place}")
            raise

    # concurrently, as they mostly wait for blocks and windows
    await asyncio.gather(*(one(index, place) for index, place in enumerate(places)))


async def whole_job(start_chain: StartChain, root: Path, place: ChainSetup) -> None:
    """A job of two rounds; the first result of round 1 is wrong."""
    chain = start_chain(place.kind, block_time_s=place.block_time_s)
    async with staged(
        chain,
        root,
        workers=("w0", "w1"),
        windows=WINDOWS,
        rounds=ROUNDS,
        confirmations=place.confirmations,
        poll_s=0.1,
    ) as fleet:
        cheat = dataclasses.replace(FACTORIES, aggregator=one_wrong_number(1))
        ended = await run_all(fleet, ALL, {"agg0": cheat, "agg1": cheat}, timeout_s=200)
        assert set(ended.values()) == {"closed"}
        assert len({event.fields["id"] for event in fleet.reported("final")}) == ROUNDS
        assert len({event.fields["tx"] for event in fleet.reported("convicted")}) == 1
