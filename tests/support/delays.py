"""Whole jobs in which all is late by chance and something goes wrong, and what must hold at their end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.generated.structs import Purse
from steelyard.errors import Reverted
from steelyard.nodes.actions.dispatch import ActionDispatcher
from steelyard.nodes.actions.types import Action
from steelyard.nodes.config import Role
from steelyard.nodes.factories import NodeFactories
from support.cheats import RefusedBlock, Unholdable, one_wrong_number
from support.crashing import check_all_is_right
from support.fleet import FACTORIES, SHORT, Fleet, Windows, run_all, staged

AGGREGATORS = ("agg0", "agg1")
DAY_S = 86_400
chance: ContextVar[tuple[random.Random, float, float]] = ContextVar("chance")
"""Of the job that a task belongs to: its dice, how often a node's act is late, and by how many seconds."""
at_once = ActionDispatcher.perform


async def late(self: ActionDispatcher, action: Action) -> None:
    """`ActionDispatcher.perform`, late by chance."""
    dice, often, longest_s = chance.get()
    if dice.random() < often:
        await asyncio.sleep(dice.random() * longest_s)
    await at_once(self, action)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What makes a trouble come: the first event of this kind in this round or a later one."""

    kind: str
    round: int


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A job, and what goes wrong in it."""

    seed: int
    often: float = 0.5  # of a node's acts that are late
    longest_s: float = 1.0  # by which one is
    workers: int = 2
    rounds: int = 2
    windows: Windows = SHORT
    wrong: tuple[int, ...] = ()  # rounds whose first results are wrong, whoever posts them
    times: int = 1  # so many results of each opening
    unholdable: bool = False  # first results that nobody can rebuild, likewise
    spoils: bool = False  # the last worker's updates are malformed
    sponsor_opens: bool = False  # every round, and late; else they open by themselves
    min_updates: int = 1
    max_failures: int = 20
    max_tries: int = 3
    stops: Moment | None = None  # the sponsor stops the job
    dies: Moment | None = None  # the last worker, for good
    leaves: Moment | None = None  # the last worker, by its own wish
    deadline: Moment | None = None  # is past then
    block_time_s: int = 0
    confirmations: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The workers."""
        return tuple(f"w{index}" for index in range(self.workers))

    @property
    def last(self) -> str:
        """The worker to whom it happens."""
        return self.names[-1]


@dataclass(frozen=True, kw_only=True)
class End:
    """How it ended: the outcomes of the nodes that were to see the end, and what the chain's log holds."""

    outcomes: set[str]
    events: Counter[str]


async def run(chain: DevChain, root: Path, trouble: Trouble, timeout_s: float = 150.0) -> End:
    """Run the job to its end. Raises TimeoutError where it stands still, AssertionError where it is wrong."""
    chance.set((random.Random(trouble.seed), trouble.often, trouble.longest_s))
    async with staged(
        chain,
        root,
        workers=trouble.names,
        windows=trouble.windows,
        poll_s=0.05,
        confirmations=trouble.confirmations,
        rounds=trouble.rounds,
        min_updates=trouble.min_updates,
        max_failures=trouble.max_failures,
        max_tries=trouble.max_tries,
        auto_open=not trouble.sponsor_opens,
    ) as fleet:
        stop = asyncio.Event()
        troubles = [asyncio.create_task(each) for each in _troubles(fleet, chain, trouble, stop)]
        workers = dict.fromkeys(trouble.names, (Role.WORKER,))
        others = {**dict.fromkeys(AGGREGATORS, (Role.AGGREGATOR,)), "challenger": (Role.CHALLENGER,)}
        roles = workers | others
        patient = {name: {"fetch_s": 15.0} for name in roles}
        try:
            ended = await run_all(
                fleet, roles, _factories(trouble), timeout_s, settings=patient, stops={trouble.last: stop}
            )
        finally:
            for task in troubles:
                task.cancel()
            failed = await asyncio.gather(*troubles, return_exceptions=True)
        for error in failed:
            if isinstance(error, Exception):
                raise error
        if trouble.dies or trouble.leaves or trouble.spoils:
            del ended[trouble.last]
        return End(outcomes=set(ended.values()), events=await _checked(fleet, trouble))


def _factories(trouble: Trouble) -> dict[str, NodeFactories]:
    """Whom the cheats are."""
    found: dict[str, NodeFactories] = {}
    if trouble.wrong or trouble.unholdable:
        cheat = Unholdable if trouble.unholdable else one_wrong_number(*trouble.wrong, times=trouble.times)
        found = dict.fromkeys(AGGREGATORS, dataclasses.replace(FACTORIES, aggregator=cheat))
    if trouble.spoils:
        found[trouble.last] = dataclasses.replace(FACTORIES, training=RefusedBlock)
    return found


Happening = Coroutine[None, None, None]


def _troubles(fleet: Fleet, chain: DevChain, trouble: Trouble, stop: asyncio.Event) -> list[Happening]:
    async def stops() -> None:
        async with fleet.client("sponsor") as client:
            await client.send(client.contracts.coordinator.stop(fleet.job))

    async def dies() -> None:
        stop.set()

    async def leaves() -> None:
        async with fleet.client(trouble.last) as client:
            await client.send(client.contracts.coordinator.leave(fleet.job))

    async def deadline() -> None:
        await asyncio.to_thread(chain.rpc, "evm_increaseTime", hex(DAY_S))

    moments = (trouble.stops, trouble.dies, trouble.leaves, trouble.deadline)
    pairs = zip(moments, (stops, dies, leaves, deadline), strict=True)
    found = [_at(fleet, moment, act) for moment, act in pairs if moment is not None]
    return [*found, _openings(fleet)] if trouble.sponsor_opens else found


async def _at(fleet: Fleet, moment: Moment, act: Callable[[], Happening]) -> None:
    while not any((event.round or 0) >= moment.round for event in fleet.reported(moment.kind)):
        await asyncio.sleep(0.02)
    await act()


async def _openings(fleet: Fleet) -> None:
    """The sponsor opens each next round, whenever it gets round to it."""
    dice, _, longest_s = chance.get()
    async with fleet.client("sponsor") as client:
        while not fleet.reported("ended"):
            await asyncio.sleep(0.2 + dice.random() * longest_s)
            with contextlib.suppress(Reverted):
                await client.send(client.contracts.coordinator.open_round(fleet.job))


async def _checked(fleet: Fleet, trouble: Trouble) -> Counter[str]:
    """Only cheats are slashed, tokens add up, nothing happens twice, and no bond stays locked."""
    final = len({event.fields["id"] for event in fleet.reported("final")})
    malformed = len({(event.serial, event.fields["worker"]) for event in fleet.reported("malformed")})
    cheats = {fleet.wallets[name].address for name in AGGREGATORS} if trouble.wrong else set()
    cheats |= {fleet.wallets[trouble.last].address} if trouble.spoils else set()
    events = await check_all_is_right(fleet, final, cheats, malformed)
    async with fleet.client("sponsor") as client:
        for name in AGGREGATORS:
            bond = await client.read(
                client.contracts.vault.balance_of(fleet.wallets[name].address, Purse.BOND)
            )
            assert bond.locked == 0, f"{name}: {bond}"
    return events
