"""The main loop of a node: poll the chain, apply events, decide, perform actions."""

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
from steelyard.chain.generated.structs import Collateral
from steelyard.chain.types import Event
from steelyard.errors import ChainError, ExactError, SteelyardError, TrainingError
from steelyard.nodes.actions.common import CommonActions
from steelyard.nodes.actions.dispatch import ActionDispatcher, ActionGroup
from steelyard.nodes.actions.training import TrainerLike, TrainingActions
from steelyard.nodes.actions.worker import WorkerActions
from steelyard.nodes.config import Role
from steelyard.nodes.context import NodeContext
from steelyard.nodes.decisions import actions as act
from steelyard.nodes.decisions.aggregator import aggregator_actions, seat_of
from steelyard.nodes.decisions.challenger import challenger_actions
from steelyard.nodes.decisions.common import Snapshot, common_actions
from steelyard.nodes.decisions.upkeep import upkeep_actions
from steelyard.nodes.decisions.worker import worker_actions
from steelyard.nodes.event_report import report_event
from steelyard.nodes.factories import NodeFactories
from steelyard.nodes.retention import Retention
from steelyard.nodes.state import committee
from steelyard.nodes.state.folding import apply, concerns, fold
from steelyard.nodes.tasks import Tasks

TRAINING_TRIES = 3
BOND_EVENTS = {AggregatorEnlisted, AggregatorPaid, BondReleased, Posted, ResultVoid}
BOND_POLL_S = 5.0  # seconds between reads of a free bond that is too small
SAVE_EVERY = 256  # blocks without an event of the job after which the cursor is written


class Node:
    """A node at work. `run` returns how it ended: "closed", "aborted", "left" or "stopped"."""

    def __init__(self, context: NodeContext, factories: NodeFactories, trainer: TrainerLike | None) -> None:
        self._context, self._roles = context, context.config.roles
        training = factories.training(context, trainer) if trainer is not None else None
        self._tasks = Tasks(
            ActionDispatcher(self._action_groups(factories, training)).perform, self._report_failure
        )
        self._retention = Retention(context, training)
        self._private = training.private if training is not None else None
        self._caught_up = False
        self._block = self._saved = 0
        self._poll_at = self._read_bond_at = 0.0  # monotonic seconds
        self._resuming: list[asyncio.Task[None]] = []
        self._ended_at: float | None = None

    def _action_groups(self, factories: NodeFactories, training: TrainingActions | None) -> list[ActionGroup]:
        context = self._context
        groups: list[ActionGroup] = [CommonActions(context, self._rank)]
        groups += [factories.aggregator(context), factories.challenger(context)]
        return groups if training is None else [*groups, WorkerActions(context), training]

    async def run(self, stop: asyncio.Event) -> str:
        """Work until the job ends, the seat is gone, or `stop` is set."""
        context = self._context
        context.view = fold(context.info.job, context.journal.events())
        self._resume()
        cursor = context.journal.cursor()
        follower = context.client.follow(cursor, addresses=[context.coordinator.address])
        self._block = self._saved = context.last_block = follower.cursor.number
        waker = asyncio.create_task(_relay(stop, self._tasks.wake))
        try:
            while not stop.is_set():
                if self._tasks.mined or time.monotonic() >= self._poll_at:
                    await self._poll(follower)
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
    async def _poll(self, follower: Follower) -> None:
        """Read new blocks batch by batch, up to the head."""
        self._tasks.mined = False
        self._poll_at = time.monotonic() + self._context.client.network.poll_s
        while (batch := await follower.poll()) is not None:
            await self._apply(batch)
            if batch.to_block >= batch.head.number - self._context.client.network.confirmations:
                break
        self._caught_up = True
        self._retention.schedule()
        if self._private is not None:
            self._private.remove_withdrawn()
        await self._refresh_round()
        if Role.AGGREGATOR in self._roles:
            await self._refresh_bond()

    async def _apply(self, batch: Batch) -> None:
        context = self._context
        mine: Sequence[Event] = [event for event in batch.events if concerns(context.info.job, event)]
        if mine or batch.rollback_to is not None or batch.to_block - self._saved >= SAVE_EVERY:
            self._saved = batch.to_block
            context.journal.apply(batch, mine)
        if batch.rollback_to is not None:
            self._tasks.roll_back()
            context.local.forget_lost()
            context.view = fold(context.info.job, context.journal.events())
            self._resume()
        else:
            for event in mine:
                apply(context.view, event)
        if any(type(event) in BOND_EVENTS for event in mine):
            context.local.free_bond = None
        head = context.view.head
        if head is not None and head.closing_block == batch.head.number:
            head.clock = batch.head.timestamp
        for event in mine:
            report_event(context.report, context.view, event)
        self._block = context.last_block = batch.to_block

    def _resume(self) -> None:
        """Resume transactions that a crash or a reorganisation left pending, in the background."""

        async def resume() -> None:
            try:
                await self._context.client.resume()
            except ChainError as error:
                self._context.report.emit(
                    "problem", what="resume", error=type(error).__name__, message=error.message
                )

        self._resuming = [task for task in self._resuming if not task.done()]
        self._resuming.append(asyncio.create_task(resume()))

    async def _refresh_round(self) -> None:
        """Read the round's fields that no event carries: its clock, and if the draw's seed is recorded."""
        head = self._context.view.head
        if head is None or head.post is not None:
            return
        seed_is_due = committee.lacks_seed(head) and self._block - head.block >= committee.SEED_AGE
        if head.clock is not None and not seed_is_due:
            return
        await self._context.refresh_round(head, self._block)

    async def _refresh_bond(self) -> None:
        """Read the free bond after it changed, and periodically while it is too small."""
        context, need = self._context, self._context.info.terms.bond
        known = context.local.free_bond
        if known is not None and (known >= need or time.monotonic() < self._read_bond_at):
            return
        call = context.info.contracts.vault.balance_of(context.local.identity, Collateral.BOND)
        context.local.free_bond = (await context.client.read(call)).free
        self._read_bond_at = time.monotonic() + BOND_POLL_S

    async def _pause(self) -> None:
        """Wait until an action ends or the next poll is due."""
        self._tasks.wake.clear()
        with contextlib.suppress(TimeoutError):
            left = max(0.0, self._poll_at - time.monotonic())
            await asyncio.wait_for(self._tasks.wake.wait(), max(left, 0.001))

    # ------------------------------------------------------------------ decisions
    async def _decide(self) -> str | None:
        now = await self._context.client.chain_time()
        s = self._snapshot(now)
        wanted = self._wanted(s)
        self._tasks.reconcile(wanted)
        if self._context.view.ended is not None and not self._tasks.busy and self._tasks.exhausted(wanted):
            return await self._end()
        return self._left(s)

    def _snapshot(self, now: int) -> Snapshot:
        config = self._context.config
        return Snapshot(
            view=self._context.view,
            local=self._context.local,
            terms=self._context.info.terms,
            now=now,
            block=self._block,
            attest_wait=config.attest_wait,
            train_on_held=config.train_on_held,
            evaluate=config.evaluate,
        )

    def _wanted(self, s: Snapshot) -> list[act.Action]:
        s.local.was_enlisted = s.local.was_enlisted or seat_of(s) is not None
        wanted = common_actions(s)
        if Role.WORKER in self._roles:
            wanted += worker_actions(s)
        if Role.AGGREGATOR in self._roles:
            wanted += aggregator_actions(s, enlist=self._context.config.enlist)
        if Role.CHALLENGER in self._roles:
            wanted += challenger_actions(s)
        return wanted + upkeep_actions(s)

    async def _end(self) -> str | None:
        ended = self._context.view.ended
        self._ended_at = self._ended_at or time.monotonic()
        if ended is None or time.monotonic() - self._ended_at < self._context.config.linger_s:
            return None
        return "aborted" if ended.aborted else "closed"

    def _left(self, s: Snapshot) -> str | None:
        """The outcome "left" if a worker-only node has lost its seat and has nothing unsettled."""
        if self._roles != {Role.WORKER}:
            return None
        seat = s.view.seats.get(s.local.identity)
        if seat is None:
            return "left" if s.view.openings else None
        head = s.head
        needed = s.view.unsettled() or (head is not None and head.members >> seat.slot & 1)
        return None if not seat.leaving or needed else "left"

    def _rank(self) -> float:
        """Number of nodes that come first with upkeep: aggregators, challengers, then workers by slot."""
        s = self._snapshot(0)
        seats = sorted(s.view.aggregators)
        seat = seat_of(s) if Role.AGGREGATOR in self._roles else None
        if seat is not None:
            return seats.index(seat)
        jitter = hashlib.sha256(s.local.identity.encode()).digest()[0] / 256
        if Role.CHALLENGER in self._roles:
            return len(seats) + jitter
        mine = s.view.seats.get(s.local.identity)
        return len(seats) + 1 + (mine.slot if mine else 0) + jitter

    def _report_failure(self, action: act.Action, error: SteelyardError, times: int) -> None:
        serial = getattr(action, "serial", None)
        self._context.report.emit(
            "problem",
            serial=serial,
            what=type(action).__name__,
            error=type(error).__name__,
            message=error.message,
            remedy=error.remedy,
            times=times,
        )
        give_up = isinstance(error, TrainingError | ExactError) and times >= TRAINING_TRIES
        if isinstance(action, act.Train) and give_up:
            self._context.local.untrainable.add(action.serial)


async def _relay(stop: asyncio.Event, wake: asyncio.Event) -> None:
    await stop.wait()
    wake.set()
