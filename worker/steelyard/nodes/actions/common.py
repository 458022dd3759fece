"""Actions common to all roles: fetch and check updates, rebuild results, upkeep of the job."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time
from collections.abc import Callable

from steelyard.chain.calls import Call
from steelyard.errors import NodeError
from steelyard.nodes.actions.dispatch import Handlers
from steelyard.nodes.context import NodeContext
from steelyard.nodes.decisions.actions import Adopt, Compute, Fetch, Prefetch, Rebuild, Upkeep


class CommonActions:
    """The actions of any node in one job.

    rank: gives the number of nodes that come first with upkeep; each waits that many rank delays.
    """

    def __init__(self, context: NodeContext, rank: Callable[[], float]) -> None:
        self._context, self._rank = context, rank

    def handlers(self) -> Handlers:
        """The method for each action type."""
        return {
            Fetch: self.fetch,
            Compute: self.compute,
            Rebuild: self.rebuild,
            Prefetch: self.prefetch,
            Adopt: self.adopt,
            Upkeep: self.upkeep,
        }

    async def fetch(self, action: Fetch) -> None:
        """Fetch one update and check it."""
        context, opening = self._context, self._context.opening(action.serial)
        submission = context.submission(action.serial, action.slot)
        checked = await context.updates.check(opening, action.slot, context.fetch_s)
        context.local.checked[action.serial, action.slot] = checked
        if not checked.held:
            context.report.emit(
                "unfit",
                serial=action.serial,
                round_=opening.number,
                slot=action.slot,
                worker=submission.worker,
                why=checked.why,
                provable=checked.proof is not None,
            )

    async def compute(self, action: Compute) -> None:
        """Compute a result before it is posted, so that a post can be compared at once."""
        context, opening = self._context, self._context.opening(action.serial)
        parent = context.local.rebuilt[opening.parent]
        await context.results.compute(opening, action.included, parent, context.fetch_s)
        context.local.computed.add((action.serial, action.included))

    async def rebuild(self, action: Rebuild) -> None:
        """Rebuild a result and report the verdict."""
        context, started = self._context, time.monotonic()
        rebuilt = await context.results.rebuild(context.view, action.id, context.fetch_s)
        post = context.view.posts.get(action.id)
        context.report.emit(
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
        """Fetch the file of a result and check it against the posted roots."""
        context, started = self._context, time.monotonic()
        post = context.view.posts.get(action.id)
        if post is None:  # removed by a reorganisation
            return
        found = await context.results.as_posted(post, context.fetch_s)
        context.local.prefetched[post.id] = found
        context.report.emit(
            "prefetched",
            serial=post.serial,
            round_=post.number,
            id="0x" + post.id.hex(),
            fits=found.state is not None,
            seconds=round(time.monotonic() - started, 3),
        )

    async def adopt(self, action: Adopt) -> None:
        """Accept a final result as it was posted: it can no longer be contested."""
        local = self._context.local
        if action.id not in local.rebuilt and action.id in local.prefetched:
            local.rebuilt[action.id] = dataclasses.replace(local.prefetched[action.id], trusted=True)

    async def upkeep(self, action: Upkeep) -> None:
        """Call an upkeep function, after the nodes of lower rank had time to do it."""
        context = self._context
        last_block = context.last_block
        await asyncio.sleep(self._rank() * context.config.effective_rank_delay_s)
        name = context.intent_name(action.function, action.serial, action.occasion, context.view.failures)
        for again in itertools.count():
            intent = f"{name}:{again}" if again else name
            receipt = await context.send(self._call(action), intent, {}, not_before=action.not_before)
            if receipt.block > last_block:
                return
            # Mined before this action was decided: an earlier occasion with the same name.

    def _call(self, action: Upkeep) -> Call[None]:
        coordinator, job = self._context.coordinator, self._context.info.job
        if action.function in ("retry", "reopen", "recordSeed", "drawCommittee"):
            methods = {
                "retry": coordinator.retry,
                "reopen": coordinator.reopen,
                "recordSeed": coordinator.record_seed,
                "drawCommittee": coordinator.draw_committee,
            }
            return methods[action.function](job, action.serial)
        if action.function in ("removeAggregator", "removeMember"):
            remove = {
                "removeAggregator": coordinator.remove_aggregator,
                "removeMember": coordinator.remove_member,
            }
            return remove[action.function](job, action.account)
        job_calls = {
            "settle": coordinator.settle,
            "openRound": coordinator.open_round,
            "close": coordinator.close,
            "abort": coordinator.abort,
        }
        if action.function not in job_calls:
            raise NodeError(f"no upkeep function {action.function!r}", remedy="report this as a bug")
        return job_calls[action.function](job)
