"""Half of a job's workers killed permanently, in every phase: the job ends, and the others are paid."""

from __future__ import annotations

import asyncio
import signal
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest

from steelyard.chain.generated.structs import Collateral
from support.chains import StartChain
from support.crashing import FORKS, Supervised, check_all_is_right, run_crashing, start_forks
from support.fleet import POOL, STAKE, Fleet, Windows, staged
from support.node_process import joining

ROUNDS = 2
AT_ONCE = 4  # concurrent jobs, which mostly wait
WINDOWS = Windows(submit=12, attest=6, turn=2, post=10, challenge=2)


@dataclass(frozen=True, kw_only=True)
class Death:
    """The point at which a worker dies: a crash point or an event."""

    phase: str
    crash: str = ""
    last_event: str = ""
    joins: str = "whole"  # or the crash point at which it dies while joining


DEATHS = (
    Death(phase="join sent, not yet known", joins="tx.broadcast:4"),
    Death(phase="join signed, not sent", joins="tx.signed:4"),
    Death(phase="before training", last_event="started"),
    Death(phase="trained, nothing written", crash="train.after:1"),
    Death(phase="update written, not submitted", crash="send.before:1"),
    Death(phase="submitted, not provided", last_event="tx:submit"),
    Death(phase="provided, not attested", crash="send.before:2"),
    Death(phase="between attest and hold", last_event="tx:attest"),
    Death(phase="a result is posted, not held", last_event="post"),
    Death(phase="trained on a result, not held", crash="train.after:2"),
    Death(phase="held by all, not settled", last_event="threshold_held"),
    Death(phase="the last is held, not settled", last_event="threshold_held:2"),
    Death(phase="the first round is settled, nothing is claimed", last_event="final"),
)


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("size", [2, 4], ids=["one of two", "two of four"])
async def test_the_job_ends_and_the_rest_are_paid_whenever_half_of_its_workers_die(
    start_chain: StartChain, tmp_path: Path, size: int
) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(index: int, death: Death) -> str:
        async with gate:
            try:
                await half_dies(start_chain, tmp_path / str(index), size, death)
            except Exception:
                return f"{death.phase}: {traceback.format_exc()}"
            return ""

    found = await asyncio.gather(*(one(index, death) for index, death in enumerate(DEATHS)))
    if problems := [problem for problem in found if problem]:
        pytest.fail("\n".join(problems))


async def half_dies(start_chain: StartChain, root: Path, size: int, death: Death) -> None:
    """One job in which half of the workers die and stay dead."""
    names = [f"w{index}" for index in range(size)]
    alive, dying = names[: size // 2], names[size // 2 :]
    whole = death.joins == "whole"
    chain = await asyncio.to_thread(start_chain, "anvil")
    async with staged(
        chain,
        root,
        workers=names if whole else alive,
        aggregators=("agg0",),
        others=() if whole else dying,
        windows=WINDOWS,
        poll_s=0.2,
        rounds=ROUNDS,
        max_tries=4,
        max_members=size,
    ) as fleet:
        nodes = [Supervised(fleet=fleet, name=name, role="worker") for name in alive]
        nodes.append(Supervised(fleet=fleet, name="agg0", role="aggregator"))
        if whole:
            place = {"crash": death.crash, "last_event": death.last_event, "permanent": True}
            nodes += [Supervised(fleet=fleet, name=name, role="worker", **place) for name in dying]  # type: ignore[arg-type]
        else:
            for name in dying:
                await die_while_joining(fleet, name, death.joins)
        await run_crashing(fleet, nodes, timeout_s=200)
        assert {node.name: node.outcome for node in nodes} == {
            node.name: "dead" if node.permanent else "closed" for node in nodes
        }
        await check_all_is_right(fleet, ROUNDS, set())
        await check_pay(fleet, alive, names if whole else alive)
    await asyncio.to_thread(chain.stop)


async def die_while_joining(fleet: Fleet, name: str, crash: str) -> None:
    """Join in a process that is killed while it joins."""
    start_forks()
    process = FORKS.Process(target=joining, args=(fleet.root, name, crash, fleet.root / f"{name}.log"))
    process.start()
    await asyncio.to_thread(process.join, 30)
    assert process.exitcode == -signal.SIGKILL


async def check_pay(fleet: Fleet, alive: list[str], members: list[str]) -> None:
    """Each surviving worker earned its share of at least one round, and nobody lost a stake.

    On a busy machine it may have missed the window of a round.
    """
    async with fleet.client("sponsor") as client:
        vault, token = client.contracts.vault, client.contracts.token.address
        for name in alive:
            credit = await client.read(vault.credit_of(token, fleet.wallets[name].address))
            assert credit >= POOL * 8 // 10 // len(members)
        for name in members:
            stake = await client.read(vault.balance_of(fleet.wallets[name].address, Collateral.STAKE))
            assert stake.free + stake.locked == STAKE
