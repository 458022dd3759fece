"""Acts of every role: fetch and check updates, rebuild results, keep the job going."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time

from steelyard.chain.calls import Call
from steelyard.errors import NodeError
from steelyard.nodes.actions.types import Adopt, Compute, Fetch, Prefetch, Rebuild, Upkeep
from steelyard.nodes.context import NodeContext


class CommonActions:
    """What any node does in one job."""

    def __init__(self, desk: NodeContext) -> None:
        self._desk = desk

    async def fetch(self, action: Fetch) -> None:
        """Get one update and look at it."""
        desk, opening = self._desk, self._desk.opening(action.serial)
        sealed = desk.sealed(action.serial, action.slot)
        checked = await desk.updates.check(opening, action.slot, desk.fetch_s)
        desk.local.checked[action.serial, action.slot] = checked
        if not checked.held:
            desk.report.say(
                "unfit",
                serial=action.serial,
                round_=opening.number,
                slot=action.slot,
                worker=sealed.worker,
                why=checked.why,
                provable=checked.proof is not None,
            )

    async def compute(self, action: Compute) -> None:
        """Work out a result before it is posted, so that it is compared at once."""
        desk, opening = self._desk, self._desk.opening(action.serial)
        parent = desk.local.rebuilt[opening.parent]
        await desk.results.compute(opening, action.included, parent, desk.fetch_s)
        desk.local.computed.add((action.serial, action.included))

    async def rebuild(self, action: Rebuild) -> None:
        """Find out what a result is worth."""
        desk, started = self._desk, time.monotonic()
        rebuilt = await desk.results.rebuild(desk.view, action.id, desk.fetch_s)
        post = desk.view.posts.get(action.id)
        desk.report.say(
            "rebuilt",
            serial=post.serial if post else 0,
            round_=post.number if post else 0,
            id="0x" + action.id.hex(),
            verdict=str(rebuilt.verdict),
            why=rebuilt.why,
            seconds=round(time.monotonic() - started, 3),
            coordinate=list(rebuilt.fault) if rebuilt.fault else None,
        )

    async def prefetch(self, action: Prefetch) -> None:
        """Have the file of a result, checked against its posted roots, before anything needs it."""
        desk, started = self._desk, time.monotonic()
        post = desk.view.posts.get(action.id)
        if post is None:  # of another fork of the chain
            return
        found = await desk.results.as_posted(post, desk.fetch_s)
        desk.local.ahead[post.id] = found
        desk.report.say(
            "prefetched",
            serial=post.serial,
            round_=post.number,
            id="0x" + post.id.hex(),
            fits=found.state is not None,
            seconds=round(time.monotonic() - started, 3),
        )

    def adopt(self, action: Adopt) -> None:
        """Take a final result as it was posted: nobody can contest it any more."""
        local = self._desk.local
        if action.id not in local.rebuilt and action.id in local.ahead:
            local.rebuilt[action.id] = dataclasses.replace(local.ahead[action.id], trusted=True)

    async def upkeep(self, action: Upkeep, rank: float) -> None:
        """Do what is anyone's, after those who come first had their time."""
        desk = self._desk
        seen = desk.seen
        await asyncio.sleep(rank * desk.config.wait_turn_s)
        name = desk.name(action.act, action.serial, action.mark, desk.view.failures)
        for again in itertools.count():
            intent = f"{name}:{again}" if again else name
            receipt = await desk.send(self._call(action), intent, {}, not_before=action.not_before)
            if receipt.block > seen:
                return
            # Mined before this was wanted: an earlier occasion of the same name.

    def _call(self, action: Upkeep) -> Call[None]:
        coordinator, job = self._desk.coordinator, self._desk.info.job
        if action.act in ("retry", "reopen", "recordSeed", "drawCommittee"):
            methods = {
                "retry": coordinator.retry,
                "reopen": coordinator.reopen,
                "recordSeed": coordinator.record_seed,
                "drawCommittee": coordinator.draw_committee,
            }
            return methods[action.act](job, action.serial)
        if action.act in ("removeAggregator", "removeMember"):
            remove = {
                "removeAggregator": coordinator.remove_aggregator,
                "removeMember": coordinator.remove_member,
            }
            return remove[action.act](job, action.account)
        plain = {
            "settle": coordinator.settle,
            "openRound": coordinator.open_round,
            "close": coordinator.close,
            "abort": coordinator.abort,
        }
        if action.act not in plain:
            raise NodeError(f"no act {action.act!r}", remedy="report this")
        return plain[action.act](job)
