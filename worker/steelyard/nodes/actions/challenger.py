"""A challenger's acts: announce a proof, then convict, in time (protocol.md section 7)."""

from __future__ import annotations

from steelyard.chain.contracts import commitment, submission_id
from steelyard.chain.generated.structs import Submission
from steelyard.chain.proof_bytes import pack_malformed
from steelyard.core.hashing import keccak
from steelyard.errors import ChainError, NodeError, Unreachable
from steelyard.nodes.actions.types import Convict, ConvictUpdate
from steelyard.nodes.context import NodeContext

HURRY = 0.25  # of the challenge window: with less than this left a conviction is not announced first


class ChallengerActions:
    """One challenger's acts in one job."""

    def __init__(self, desk: NodeContext) -> None:
        self._desk = desk

    async def convict(self, action: Convict) -> None:
        """Convict the poster of a wrong result."""
        desk, post = self._desk, self._desk.post(action.id)
        proof = await desk.results.conviction(desk.view, post, desk.fetch_s)
        if await self._time_to_announce(post.final_at):
            await self._announce(post.id, proof, bytes(32))
        await desk.send(
            desk.coordinator.convict(post.result, proof),
            desk.name("convict", post.serial, post.id.hex()[:16]),
            {"id": post.id.hex()},
        )

    async def convict_update(self, action: ConvictUpdate) -> None:
        """Convict the worker of a malformed update."""
        desk = self._desk
        checked = desk.local.checked[action.serial, action.slot]
        sealed = desk.sealed(action.serial, action.slot)
        if checked.proof is None:
            raise NodeError("there is no proof against this update", remedy="report this")
        submission = Submission(
            job=desk.info.job,
            serial=action.serial,
            slot=action.slot,
            worker=sealed.worker,
            weight=sealed.weight,
            sealed_root=sealed.sealed_root,
            codec=sealed.codec,
            digest=sealed.digest,
        )
        proof, fault = pack_malformed(checked.proof), submission_id(submission)
        await self._announce(fault, proof, checked.update_root)
        await desk.send(
            desk.coordinator.convict_update(submission, checked.update_root, proof),
            desk.name("convictUpdate", action.serial, action.slot, fault.hex()[:16]),
            {"worker": sealed.worker},
        )

    async def _time_to_announce(self, final_at: int | None) -> bool:
        if final_at is None:
            return True
        now = await self._desk.client.chain_time()
        return final_at - now > HURRY * self._desk.info.terms.challenge_window

    async def _announce(self, fault: bytes, proof: bytes, update_root: bytes) -> None:
        """Commit to the proof, for the reward. A conviction never waits for one that fails."""
        desk = self._desk
        promise = commitment(
            desk.info.chain_id, desk.coordinator.address, desk.client.address, fault, proof, update_root
        )
        name = desk.name("commit", keccak(promise).hex()[:16])
        try:
            await desk.send(desk.coordinator.commit(promise), name, {"fault": fault.hex()})
        except Unreachable:
            raise
        except ChainError as error:
            desk.report.say(
                "problem",
                what="commit",
                error=type(error).__name__,
                message=error.message,
                remedy=error.remedy,
            )
