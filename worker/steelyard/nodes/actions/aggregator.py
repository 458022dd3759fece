"""An aggregator's actions: compute and post results, claim rewards and bonds."""

from __future__ import annotations

import asyncio

from steelyard.chain.contracts import result_id
from steelyard.chain.generated.structs import Result
from steelyard.nodes.actions.dispatch import Handlers
from steelyard.nodes.context import NodeContext
from steelyard.nodes.decisions.actions import Collect, Enlist, Publish
from steelyard.nodes.files.result_files import ComputedResult
from steelyard.nodes.state.local import RebuiltResult
from steelyard.nodes.state.view import Opening


class AggregatorActions:
    """The actions of one aggregator in one job.

    Tests and the demo override `result_of` to post a wrong result.
    """

    def __init__(self, context: NodeContext) -> None:
        self._context = context

    def handlers(self) -> Handlers:
        """The method for each action type."""
        return {Publish: self.publish, Enlist: self.enlist, Collect: self.collect}

    async def result_of(self, opening: Opening, included: int, parent: RebuiltResult) -> ComputedResult:
        """The result to post: the aggregate of the included updates."""
        return await self._context.results.compute(opening, included, parent, self._context.fetch_s)

    async def publish(self, action: Publish) -> None:
        """Provide the file of a result, then post it."""
        context, opening = self._context, self._context.opening(action.serial)
        parent = context.local.rebuilt[opening.parent]
        computed = await self.result_of(opening, action.included, parent)
        codec, digest = computed.cid.to_chain()
        result = Result(
            job=context.info.job,
            serial=opening.serial,
            attempt=action.attempt,
            parent=opening.parent,
            included=action.included,
            state_root=computed.roots.state,
            momentum_root=computed.roots.momentum,
            transcript_root=computed.roots.transcript,
            table=computed.table_hash,
            codec=codec,
            digest=digest,
            poster=context.local.identity,
        )
        await context.store.add(computed.published, provide=True, pin_until=context.info.unsettled_until)
        context.report.emit("provided", serial=opening.serial, round_=opening.number, cid=str(computed.cid))
        await asyncio.sleep(action.rank * context.config.effective_rank_delay_s)
        id_ = result_id(result)
        name = context.intent_name("post", opening.serial, action.attempt, id_.hex()[:16])
        body = {"id": id_.hex(), "included": hex(action.included), "cid": str(computed.cid)}
        await context.send(context.coordinator.post(result), name, body, not_before=action.not_before)

    async def enlist(self, action: Enlist) -> None:
        """Take a seat in the aggregator rotation."""
        context = self._context
        await context.send(
            context.coordinator.enlist(context.info.job), context.intent_name("enlist", action.occasion), {}
        )

    async def collect(self, action: Collect) -> None:
        """Claim final posts, or release the bond of a void result."""
        context = self._context
        if action.function == "releaseBond":
            call = context.coordinator.release_bond(context.info.job, action.number, context.local.identity)
            name = context.intent_name("releaseBond", action.number, len(context.view.posts))
            await context.send(call, name, {"number": action.number})
            return
        posts = [post for post in context.view.posts.values() if post.serial in action.serials]
        posts = [post for post in posts if post.void is None]
        call = context.coordinator.claim_posts([post.result for post in posts])
        name = context.intent_name("claimPosts", action.serials[0], action.serials[-1])
        final_at = max((post.final_at or 0 for post in posts), default=0)
        await context.send(call, name, {"serials": list(action.serials)}, not_before=final_at)
