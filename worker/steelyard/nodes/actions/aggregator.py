"""An aggregator's acts: compute a result, post it, collect what it earned."""

from __future__ import annotations

import asyncio

from steelyard.chain.contracts import result_id
from steelyard.chain.generated.structs import Result
from steelyard.nodes.actions.types import Collect, Enlist, Publish
from steelyard.nodes.context import NodeContext
from steelyard.nodes.files.result_files import Computed
from steelyard.nodes.state.local import RebuiltResult
from steelyard.nodes.state.view import Opening


class AggregatorActions:
    """One aggregator's acts in one job.

    `result_of` is the place for a test's or a demonstration's other result.
    """

    def __init__(self, desk: NodeContext) -> None:
        self._desk = desk

    async def result_of(self, opening: Opening, included: int, parent: RebuiltResult) -> Computed:
        """What is to be posted: what the rules give."""
        return await self._desk.results.compute(opening, included, parent, self._desk.fetch_s)

    async def publish(self, action: Publish) -> None:
        """Post a result, with its file handed out before anybody can ask for it."""
        desk, opening = self._desk, self._desk.opening(action.serial)
        parent = desk.local.rebuilt[opening.parent]
        computed = await self.result_of(opening, action.included, parent)
        codec, digest = computed.cid.to_chain()
        result = Result(
            job=desk.info.job,
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
            poster=desk.local.identity,
        )
        await desk.store.add(computed.published, provide=True, pin_until=desk.info.unsettled_until)
        desk.report.say("provided", serial=opening.serial, round_=opening.number, cid=str(computed.cid))
        await asyncio.sleep(action.rank * desk.config.wait_turn_s)
        id_ = result_id(result)
        name = desk.name("post", opening.serial, action.attempt, id_.hex()[:16])
        body = {"id": id_.hex(), "included": hex(action.included), "cid": str(computed.cid)}
        await desk.send(desk.coordinator.post(result), name, body, not_before=action.not_before)

    async def enlist(self, action: Enlist) -> None:
        """Take a place in the turns."""
        desk = self._desk
        await desk.send(desk.coordinator.enlist(desk.info.job), desk.name("enlist", action.mark), {})

    async def collect(self, action: Collect) -> None:
        """Claim posts that are final, or a bond that a void result left behind."""
        desk = self._desk
        if action.what == "releaseBond":
            call = desk.coordinator.release_bond(desk.info.job, action.number, desk.local.identity)
            name = desk.name("releaseBond", action.number, len(desk.view.posts))
            await desk.send(call, name, {"number": action.number})
            return
        posts = [post for post in desk.view.posts.values() if post.serial in action.serials]
        posts = [post for post in posts if post.void is None]
        call = desk.coordinator.claim_posts([post.result for post in posts])
        name = desk.name("claimPosts", action.serials[0], action.serials[-1])
        final_at = max((post.final_at or 0 for post in posts), default=0)
        await desk.send(call, name, {"serials": list(action.serials)}, not_before=final_at)
