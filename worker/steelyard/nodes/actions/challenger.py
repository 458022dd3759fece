"""A challenger's actions: commit to a proof, then convict (protocol.md section 7)."""

from __future__ import annotations

from steelyard.chain.contracts import commitment, submission_id
from steelyard.chain.proof_bytes import pack_malformed
from steelyard.core.hashing import keccak
from steelyard.errors import ChainError, NodeError, Unreachable
from steelyard.nodes.actions.dispatch import Handlers
from steelyard.nodes.context import NodeContext
from steelyard.nodes.decisions.actions import Convict, ConvictUpdate

MIN_COMMIT_TIME = 0.25  # fraction of the challenge window; with less left, no commitment is sent first


class ChallengerActions:
    """The actions of one challenger in one job."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context

    def handlers(self) -> Handlers:
        """The method for each action type."""
        return {Convict: self.convict, ConvictUpdate: self.convict_update}

    async def convict(self, action: Convict) -> None:
        """Convict the poster of a wrong result."""
        context, post = self._context, self._context.post(action.id)
        proof = await context.results.conviction(context.view, post, context.fetch_s)
        if await self._has_time_to_commit(post.final_at):
            await self._commit(post.id, proof, bytes(32))
        await context.send(
            context.coordinator.convict(post.result, proof),
            context.intent_name("convict", post.serial, post.id.hex()[:16]),
            {"id": post.id.hex()},
        )

    async def convict_update(self, action: ConvictUpdate) -> None:
        """Convict the worker of a malformed update."""
        context = self._context
        checked = context.local.checked[action.serial, action.slot]
        submission = context.submission(action.serial, action.slot)
        if checked.proof is None:
            raise NodeError("there is no proof against this update", remedy="report this as a bug")
        proof, fault = pack_malformed(checked.proof), submission_id(submission)
        await self._commit(fault, proof, checked.update_root)
        await context.send(
            context.coordinator.convict_update(submission, checked.update_root, proof),
            context.intent_name("convictUpdate", action.serial, action.slot, fault.hex()[:16]),
            {"worker": submission.worker},
        )

    async def _has_time_to_commit(self, final_at: int | None) -> bool:
        if final_at is None:
            return True
        now = await self._context.client.chain_time()
        return final_at - now > MIN_COMMIT_TIME * self._context.info.terms.challenge_window

    async def _commit(self, fault: bytes, proof: bytes, update_root: bytes) -> None:
        """Commit to the proof, which secures the reward. If this fails, the conviction is sent without it."""
        context = self._context
        committed = commitment(
            context.info.chain_id,
            context.coordinator.address,
            context.client.address,
            fault,
            proof,
            update_root,
        )
        name = context.intent_name("commit", keccak(committed).hex()[:16])
        try:
            await context.send(context.coordinator.commit(committed), name, {"fault": fault.hex()})
        except Unreachable:
            raise
        except ChainError as error:
            context.report.emit(
                "problem",
                what="commit",
                error=type(error).__name__,
                message=error.message,
                remedy=error.remedy,
            )
