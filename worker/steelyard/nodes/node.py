"""One node's loop: read the chain, decide, act, from where journal and chain say that things stand."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Sequence

from steelyard.chain.follower import Batch, Follower
from steelyard.chain.generated.events import (
    AggregatorEnlisted,
    AggregatorPaid,
    BondReleased,
    Posted,
    ResultVoid,
)
from steelyard.chain.generated.structs import Purse
from steelyard.chain.types import Event
from steelyard.errors import ChainError, ExactError, SteelyardError, TrainingError
from steelyard.nodes.actions import types as act
from steelyard.nodes.actions.dispatch import ActionDispatcher
from steelyard.nodes.actions.training import TrainerLike
from steelyard.nodes.config import Role
from steelyard.nodes.context import NodeContext
from steelyard.nodes.decisions.aggregator import aggregator, challenger, seat_of
from steelyard.nodes.decisions.common import Snapshot, common
from steelyard.nodes.decisions.upkeep import upkeep
from steelyard.nodes.decisions.worker import worker
from steelyard.nodes.event_report import tell
from steelyard.nodes.factories import NodeFactories
from steelyard.nodes.retention import Retention
from steelyard.nodes.state import committee
from steelyard.nodes.state.folding import apply, concerns, fold
from steelyard.nodes.tasks import Tasks

TRAINING_TRIES = 3
BOND_EVENTS = {AggregatorEnlisted, AggregatorPaid, BondReleased, Posted, ResultVoid}
ASK_BOND_S = 5.0
SAVE_EVERY = 256  # blocks without an event of the job after which the cursor is written all the same


class Node:
    """A node at work. `run` returns how it ended: "closed", "aborted", "left" or "stopped"."""

    def __init__(self, desk: NodeContext, parts: NodeFactories, trainer: TrainerLike | None) -> None:
        self._desk, self._roles = desk, desk.config.roles
        training = parts.training(desk, trainer) if trainer is not None else None
        self._tasks = Tasks(ActionDispatcher(desk, parts, training, self._rank).perform, self._failure)
        self._retention = Retention(desk, training)
        self._private = training.private if training is not None else None
        self._caught_up = False
        self._block = self._saved = 0
        self._look_at = self._ask_bond_at = 0.0
        self._resuming: list[asyncio.Task[None]] = []
        self._ended_at: float | None = None

    async def run(self, stop: asyncio.Event) -> str:
        """Work until the job ends, the seat is gone, or `stop` is set."""
        desk = self._desk
        desk.view = fold(desk.info.job, desk.journal.events())
        self._resume()
        cursor = desk.journal.cursor()
        follower = desk.client.follow(cursor, addresses=[desk.coordinator.address])
        self._block = self._saved = desk.seen = follower.cursor.number
        waker = asyncio.create_task(_relay(stop, self._tasks.wake))
        try:
            while not stop.is_set():
                if self._tasks.mined or time.monotonic() >= self._look_at:
                    await self._look(follower)
                if self._tasks.fatal is not None:
                    raise self._tasks.fatal
                if self._caught_up and (ended := await self._decide()):
                    await self._retention.finish()
                    return ended
                await self._pause()
            return "stopped"
        finally:
            waker.cancel()
            for task in self._resuming:
                task.cancel()
            await asyncio.gather(waker, *self._resuming, return_exceptions=True)
            await self._tasks.stop()
            await self._retention.close()
            if self._private is not None:
                self._private.close()

    # ------------------------------------------------------------------ the chain
    async def _look(self, follower: Follower) -> None:
        """Read what is new, batch by batch, until the head."""
        self._tasks.mined = False
        self._look_at = time.monotonic() + self._desk.client.network.poll_s
        while (batch := await follower.poll()) is not None:
            await self._take(batch)
            if batch.to_block >= batch.head.number - self._desk.client.network.confirmations:
                break
        self._caught_up = True
        self._retention.look()
        if self._private is not None:
            self._private.tidy()
        await self._find_clock()
        if Role.AGGREGATOR in self._roles:
            await self._find_bond()

    async def _take(self, batch: Batch) -> None:
        desk = self._desk
        mine: Sequence[Event] = [event for event in batch.events if concerns(desk.info.job, event)]
        if mine or batch.rollback_to is not None or batch.to_block - self._saved >= SAVE_EVERY:
            self._saved = batch.to_block
            desk.journal.apply(batch, mine)
        if batch.rollback_to is not None:
            self._tasks.roll_back()
            desk.local.forget_lost()
            desk.view = fold(desk.info.job, desk.journal.events())
            self._resume()
        else:
            for event in mine:
                apply(desk.view, event)
        if any(type(event) in BOND_EVENTS for event in mine):
            desk.local.free_bond = None
        head = desk.view.head
        if head is not None and head.closing_block == batch.head.number:
            head.clock = batch.head.timestamp
        for event in mine:
            tell(desk.report, desk.view, event)
        self._block = desk.seen = batch.to_block

    def _resume(self) -> None:
        """See to transactions that a crash or a reorganisation left open, while the node goes on."""

        async def resume() -> None:
            try:
                await self._desk.client.resume()
            except ChainError as error:
                self._desk.report.say(
                    "problem", what="resume", error=type(error).__name__, message=error.message
                )

        self._resuming = [task for task in self._resuming if not task.done()]
        self._resuming.append(asyncio.create_task(resume()))

    async def _find_clock(self) -> None:
        """Ask the chain for what no event carries: a time, and whether a draw's seed is recorded."""
        head = self._desk.view.head
        if head is None or head.post is not None:
            return
        seed_is_due = committee.lacks_seed(head) and self._block - head.block >= committee.SEED_AGE
        if head.clock is not None and not seed_is_due:
            return
        await self._desk.ask_round(head, self._block)

    async def _find_bond(self) -> None:
        """Ask for what backs further posts: when it changed, and now and then while it is too little."""
        desk, need = self._desk, self._desk.info.terms.bond
        known = desk.local.free_bond
        if known is not None and (known >= need or time.monotonic() < self._ask_bond_at):
            return
        call = desk.info.contracts.vault.balance_of(desk.local.identity, Purse.BOND)
        desk.local.free_bond = (await desk.client.read(call)).free
        self._ask_bond_at = time.monotonic() + ASK_BOND_S

    async def _pause(self) -> None:
        """Until something is done here, or it is time to look at the chain again."""
        self._tasks.wake.clear()
        with contextlib.suppress(TimeoutError):
            left = max(0.0, self._look_at - time.monotonic())
            await asyncio.wait_for(self._tasks.wake.wait(), max(left, 0.001))

    # ------------------------------------------------------------------ decisions
    async def _decide(self) -> str | None:
        now = await self._desk.client.chain_time()
        s = self._situation(now)
        wanted = self._wishes(s)
        self._tasks.want(wanted)
        if self._desk.view.ended is not None and not self._tasks.busy and self._tasks.hopeless(wanted):
            return await self._end()
        return self._gone(s)

    def _situation(self, now: int) -> Snapshot:
        config = self._desk.config
        return Snapshot(
            view=self._desk.view,
            local=self._desk.local,
            terms=self._desk.info.terms,
            now=now,
            block=self._block,
            attest_wait=config.attest_wait,
            train_on_held=config.train_on_held,
            evaluate=config.evaluate,
        )

    def _wishes(self, s: Snapshot) -> list[act.Action]:
        s.local.had_turns = s.local.had_turns or seat_of(s) is not None
        wanted = common(s)
        if Role.WORKER in self._roles:
            wanted += worker(s)
        if Role.AGGREGATOR in self._roles:
            wanted += aggregator(s, enlist=self._desk.config.enlist)
        if Role.CHALLENGER in self._roles:
            wanted += challenger(s)
        return wanted + list(upkeep(s))

    async def _end(self) -> str | None:
        ended = self._desk.view.ended
        self._ended_at = self._ended_at or time.monotonic()
        if ended is None or time.monotonic() - self._ended_at < self._desk.config.linger_s:
            return None
        return "aborted" if ended.aborted else "closed"

    def _gone(self, s: Snapshot) -> str | None:
        """Whether a worker alone has no seat any more, nor anything that others need of it."""
        if self._roles != {Role.WORKER}:
            return None
        seat = s.view.seats.get(s.local.identity)
        if seat is None:
            return "left" if s.view.openings else None
        head = s.head
        needed = s.view.unsettled() or (head is not None and head.members >> seat.slot & 1)
        return None if not seat.leaving or needed else "left"

    def _rank(self) -> float:
        """How many turns others get first: aggregators by seat, challengers, then workers by slot."""
        s = self._situation(0)
        seats = sorted(s.view.aggregators)
        seat = seat_of(s) if Role.AGGREGATOR in self._roles else None
        if seat is not None:
            return seats.index(seat)
        jitter = hashlib.sha256(s.local.identity.encode()).digest()[0] / 256
        if Role.CHALLENGER in self._roles:
            return len(seats) + jitter
        mine = s.view.seats.get(s.local.identity)
        return len(seats) + 1 + (mine.slot if mine else 0) + jitter

    def _failure(self, action: act.Action, error: SteelyardError, times: int) -> None:
        serial = getattr(action, "serial", None)
        self._desk.report.say(
            "problem",
            serial=serial,
            what=type(action).__name__,
            error=type(error).__name__,
            message=error.message,
            remedy=error.remedy,
            times=times,
        )
        hopeless = isinstance(error, TrainingError | ExactError) and times >= TRAINING_TRIES
        if isinstance(action, act.Train) and hopeless:
            self._desk.local.given_up.add(action.serial)


async def _relay(stop: asyncio.Event, wake: asyncio.Event) -> None:
    await stop.wait()
    wake.set()
