"""Whole jobs with random delays and disturbances, and the conditions that must hold at their end."""

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
from steelyard.chain.generated.structs import Collateral
from steelyard.errors import Reverted
from steelyard.nodes.actions.dispatch import ActionDispatcher
from steelyard.nodes.config import Role
from steelyard.nodes.decisions.actions import Action
from steelyard.nodes.factories import NodeFactories
from support.cheats import RefusedBlock, Unholdable, one_wrong_number
from support.crashing import check_all_is_right
from support.fleet import FACTORIES, SHORT, Fleet, Windows, run_all, staged

AGGREGATORS = ("agg0", "agg1")
DAY_S = 86_400
chance: ContextVar[tuple[random.Random, float, float]] = ContextVar("chance")
"""Random generator, probability of a delay and its greatest length in seconds, of the current job."""
undelayed = ActionDispatcher.perform


async def late(self: ActionDispatcher, action: Action) -> None:
    """`ActionDispatcher.perform` with a random delay."""
    dice, often, longest_s = chance.get()
    if dice.random() < often:
        await asyncio.sleep(dice.random() * longest_s)
    await undelayed(self, action)


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """The first event of this kind in this round or a later one."""

    kind: str
    round: int


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A job and its disturbances."""

    seed: int
    probability: float = 0.5  # that an action of a node is delayed
    longest_s: float = 1.0  # greatest delay in seconds
    workers: int = 2
    rounds: int = 2
    windows: Windows = SHORT
    wrong: tuple[int, ...] = ()  # rounds whose first results are wrong
    times: int = 1  # wrong results of each opening
    unholdable: bool = False  # the first results cannot be rebuilt
    spoils: bool = False  # the last worker's updates are malformed
    sponsor_opens: bool = False  # the sponsor opens every round, late; otherwise they open by themselves
    min_updates: int = 1
    max_failures: int = 20
    max_tries: int = 3
    stops: Trigger | None = None  # the sponsor stops the job
    dies: Trigger | None = None  # the last worker stops and does not return
    leaves: Trigger | None = None  # the last worker leaves the job
    deadline: Trigger | None = None  # the chain's time passes the job's deadline
    block_time_s: int = 0
    confirmations: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The workers."""
        return tuple(f"w{index}" for index in range(self.workers))

    @property
    def last(self) -> str:
        """The worker that the disturbance affects."""
        return self.names[-1]


@dataclass(frozen=True, kw_only=True)
class End:
    """The outcomes of the nodes that ran to the end, and the number of chain events by kind."""

    outcomes: set[str]
    events: Counter[str]


async def run(chain: DevChain, root: Path, scenario: Scenario, timeout_s: float = 150.0) -> End:
    """Run the job to its end. Raises TimeoutError if it does not end, AssertionError if its end is wrong."""
    chance.set((random.Random(scenario.seed), scenario.probability, scenario.longest_s))
    async with staged(
        chain,
        root,
        workers=scenario.names,
        windows=scenario.windows,
        poll_s=0.05,
        confirmations=scenario.confirmations,
        rounds=scenario.rounds,
        min_updates=scenario.min_updates,
        max_failures=scenario.max_failures,
        max_tries=scenario.max_tries,
        auto_open=not scenario.sponsor_opens,
    ) as fleet:
        stop = asyncio.Event()
        disturbances = [asyncio.create_task(each) for each in _disturbances(fleet, chain, scenario, stop)]
        workers = dict.fromkeys(scenario.names, (Role.WORKER,))
        others = {**dict.fromkeys(AGGREGATORS, (Role.AGGREGATOR,)), "challenger": (Role.CHALLENGER,)}
        roles = workers | others
        patient = {name: {"fetch_s": 15.0} for name in roles}
        try:
            ended = await run_all(
                fleet, roles, _factories(scenario), timeout_s, settings=patient, stops={scenario.last: stop}
            )
        finally:
            for task in disturbances:
                task.cancel()
            failed = await asyncio.gather(*disturbances, return_exceptions=True)
        for error in failed:
            if isinstance(error, Exception):
                raise error
        if scenario.dies or scenario.leaves or scenario.spoils:
            del ended[scenario.last]
        return End(outcomes=set(ended.values()), events=await _checked(fleet, scenario))


def _factories(scenario: Scenario) -> dict[str, NodeFactories]:
    """The factories of cheating nodes."""
    found: dict[str, NodeFactories] = {}
    if scenario.wrong or scenario.unholdable:
        cheat = Unholdable if scenario.unholdable else one_wrong_number(*scenario.wrong, times=scenario.times)
        found = dict.fromkeys(AGGREGATORS, dataclasses.replace(FACTORIES, aggregator=cheat))
    if scenario.spoils:
        found[scenario.last] = dataclasses.replace(FACTORIES, training=RefusedBlock)
    return found


Disturbance = Coroutine[None, None, None]


def _disturbances(
    fleet: Fleet, chain: DevChain, scenario: Scenario, stop: asyncio.Event
) -> list[Disturbance]:
    async def stops() -> None:
        async with fleet.client("sponsor") as client:
            await client.send(client.contracts.coordinator.stop(fleet.job))

    async def dies() -> None:
        stop.set()

    async def leaves() -> None:
        async with fleet.client(scenario.last) as client:
            await client.send(client.contracts.coordinator.leave(fleet.job))

    async def deadline() -> None:
        await asyncio.to_thread(chain.rpc, "evm_increaseTime", hex(DAY_S))

    triggers = (scenario.stops, scenario.dies, scenario.leaves, scenario.deadline)
    pairs = zip(triggers, (stops, dies, leaves, deadline), strict=True)
    found = [_at(fleet, trigger, act) for trigger, act in pairs if trigger is not None]
    return [*found, _openings(fleet)] if scenario.sponsor_opens else found


async def _at(fleet: Fleet, trigger: Trigger, act: Callable[[], Disturbance]) -> None:
    while not any((event.round or 0) >= trigger.round for event in fleet.reported(trigger.kind)):
        await asyncio.sleep(0.02)
    await act()


async def _openings(fleet: Fleet) -> None:
    """The sponsor opens each next round after a random delay."""
    dice, _, longest_s = chance.get()
    async with fleet.client("sponsor") as client:
        while not fleet.reported("ended"):
            await asyncio.sleep(0.2 + dice.random() * longest_s)
            with contextlib.suppress(Reverted):
                await client.send(client.contracts.coordinator.open_round(fleet.job))


async def _checked(fleet: Fleet, scenario: Scenario) -> Counter[str]:
    """Only cheats are slashed, tokens add up, no call succeeds twice, and no bond stays locked."""
    final = len({event.fields["id"] for event in fleet.reported("final")})
    malformed = len({(event.serial, event.fields["worker"]) for event in fleet.reported("malformed")})
    cheats = {fleet.wallets[name].address for name in AGGREGATORS} if scenario.wrong else set()
    cheats |= {fleet.wallets[scenario.last].address} if scenario.spoils else set()
    events = await check_all_is_right(fleet, final, cheats, malformed)
    async with fleet.client("sponsor") as client:
        for name in AGGREGATORS:
            bond = await client.read(
                client.contracts.vault.balance_of(fleet.wallets[name].address, Collateral.BOND)
            )
            assert bond.locked == 0, f"{name}: {bond}"
    return events
