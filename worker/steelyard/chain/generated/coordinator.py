"""Typed calls of `Coordinator`.

Written by scripts/build_chain_types.py from the contracts; as long as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.chain.calls import Call, Contract
from steelyard.chain.generated.structs import (
    Aggregator,
    JobState,
    JobTerms,
    Member,
    Result,
    RoundView,
    Seat,
    Submission,
    TermsView,
    TurnView,
)


@dataclass(frozen=True)
class Coordinator:
    """Jobs, rounds, disputes and rewards."""

    contract: Contract

    @property
    def address(self) -> str:
        """Where it stands."""
        return self.contract.address

    def min_window(self) -> Call[int]:
        """`Coordinator.MIN_WINDOW`."""
        return self.contract.call("MIN_WINDOW")

    def prover(self) -> Call[str]:
        """`Coordinator.PROVER`."""
        return self.contract.call("PROVER")

    def registry(self) -> Call[str]:
        """`Coordinator.REGISTRY`."""
        return self.contract.call("REGISTRY")

    def vault(self) -> Call[str]:
        """`Coordinator.VAULT`."""
        return self.contract.call("VAULT")

    def abort(self, job: int) -> Call[None]:
        """`abort`, in short.

        Ends a job in which no posted result can become final any more, after too many failures or its
        deadline.
        """
        return self.contract.call("abort", job)

    def aggregator_of(self, job: int, operator: str) -> Call[Aggregator]:
        """`Coordinator.aggregatorOf`."""
        return self.contract.call("aggregatorOf", job, operator)

    def aggregators_of(self, job: int) -> Call[tuple[str, ...]]:
        """The operator keys of the 32 aggregator seats, zero where free."""
        return self.contract.call("aggregatorsOf", job)

    def attest(self, job: int, serial: int, parent: bytes, tries: int, bitmap: int) -> Call[None]:
        """Says which updates the caller holds. Its own bit is always set. `tries` is the round's."""
        return self.contract.call("attest", job, serial, parent, tries, bitmap)

    def attestation_of(self, job: int, serial: int, tries: int, slot: int) -> Call[int]:
        """`Coordinator.attestationOf`."""
        return self.contract.call("attestationOf", job, serial, tries, slot)

    def claim(self, results: Sequence[Result], submissions: Sequence[Submission]) -> Call[None]:
        """`claim`, in short.

        Pays the shares of submissions in final rounds: to the worker if included and not malformed, else back
        to the sponsor; likewise the attestor's share. `results[i]` belongs to `submissions[i]`. Anyone may
        call.
        """
        return self.contract.call("claim", results, submissions)

    def claim_posts(self, results: Sequence[Result]) -> Call[None]:
        """Pays the posters of final results and unlocks their bonds. Anyone may call."""
        return self.contract.call("claimPosts", results)

    def close(self, job: int) -> Call[None]:
        """Ends a job of which every result is final and in which no round is open or can open."""
        return self.contract.call("close", job)

    def commit(self, commitment: bytes) -> Call[None]:
        """`commit`, in short.

        Announces a conviction, for half of what is slashed: `keccak256(abi.encode(block.chainid, coordinator,
        prover, keccak256(abi.encode(id, updateRoot, proof))))`, where `id` is the result's id and
        `updateRoot` zero, or `id` is `keccak256(abi.encode(submission))`. It counts from the next block on,
        and for a result only if made no earlier than the post.
        """
        return self.contract.call("commit", commitment)

    def convict(self, result: Result, proof: bytes) -> Call[None]:
        """Convicts the poster of a result: voids it and all built on it and slashes its bond."""
        return self.contract.call("convict", result, proof)

    def convict_update(self, submission: Submission, update_root: bytes, proof: bytes) -> Call[None]:
        """Convicts the worker of a malformed update and slashes its stake."""
        return self.contract.call("convictUpdate", submission, update_root, proof)

    def create_job(self, terms: JobTerms) -> Call[int]:
        """Escrows `pool * rounds` (approve the Vault first) and opens the job for members and aggregators."""
        return self.contract.call("createJob", terms)

    def draw_committee(self, job: int, serial: int) -> Call[None]:
        """Draws the committee of 16 where there are more submitters."""
        return self.contract.call("drawCommittee", job, serial)

    def elected_of(self, job: int) -> Call[TurnView]:
        """The aggregator whose turn the open round is, and from when on anyone may post."""
        return self.contract.typed("electedOf", (job,), lambda values: TurnView(*values))

    def enlist(self, job: int) -> Call[None]:
        """Enters the caller's identity in the turn of aggregators. Needs a free bond of the job's size."""
        return self.contract.call("enlist", job)

    def grant_access(self, job: int, worker: str, shard: int, codec: int, digest: bytes) -> Call[None]:
        """The sponsor's log of who may read a private shard (CID of its wrapped key)."""
        return self.contract.call("grantAccess", job, worker, shard, codec, digest)

    def hold(self, job: int, serial: int, id_: bytes) -> Call[None]:
        """`hold`, in short.

        A committee member holds a result; any other member says that it is there, so that submissions wait
        for it.
        """
        return self.contract.call("hold", job, serial, id_)

    def is_final(self, job: int, serial: int) -> Call[bool]:
        """`Coordinator.isFinal`."""
        return self.contract.call("isFinal", job, serial)

    def job_count(self) -> Call[int]:
        """`Coordinator.jobCount`."""
        return self.contract.call("jobCount")

    def join(
        self, job: int, index: int, weight: int, codec: int, digest: bytes, proof: Sequence[bytes]
    ) -> Call[None]:
        """Takes a seat with the caller's identity and locks the job's stake.

        By shards: `index`, `weight`, CID and `proof` show a leaf of the admission root; by invitation: the
        caller's identity with `weight` and CID; open: a weight of 1, and the CID of own data if it is
        published (else zeros).
        """
        return self.contract.call("join", job, index, weight, codec, digest, proof)

    def leave(self, job: int) -> Call[None]:
        """Leaves from the next opening on. By the operator or the identity."""
        return self.contract.call("leave", job)

    def member_of(self, job: int, worker: str) -> Call[Member]:
        """`Coordinator.memberOf`."""
        return self.contract.call("memberOf", job, worker)

    def open_round(self, job: int) -> Call[None]:
        """Opens the first round, or one that did not open with a post.

        The sponsor, or anyone where the job opens rounds by itself and has `minUpdates` members.
        """
        return self.contract.call("openRound", job)

    def post(self, result: Result) -> Call[None]:
        """Posts a result. `attempt` and `poster` in it are filled in by the contract and must match."""
        return self.contract.call("post", result)

    def record_seed(self, job: int, serial: int) -> Call[None]:
        """Records the seed of the draw where no submission did (more than 16 submitters only)."""
        return self.contract.call("recordSeed", job, serial)

    def release(self, job: int, worker: str) -> Call[None]:
        """`release`, in short.

        Unlocks the stake of one who left, once every opening that it took part in is settled or void, and
        frees its slot and shard. Anyone may call.
        """
        return self.contract.call("release", job, worker)

    def release_bond(self, job: int, number: int, account: str) -> Call[None]:
        """Unlocks a bond left behind by a void result, once its round has a final one or the job is over."""
        return self.contract.call("releaseBond", job, number, account)

    def remove_aggregator(self, job: int, account: str) -> Call[None]:
        """`removeAggregator`, in short.

        Removes an aggregator whose last three turns others took, in results that stand and with no post of
        its own since, or that cannot cover the bond.
        """
        return self.contract.call("removeAggregator", job, account)

    def remove_member(self, job: int, worker: str) -> Call[None]:
        """`removeMember`, in short.

        Removes a member that submitted to none of the last three openings that came to a result and that it
        was a member of.
        """
        return self.contract.call("removeMember", job, worker)

    def reopen(self, job: int, serial: int) -> Call[None]:
        """A fresh opening after too few submissions, a seed never recorded, or the last try.

        Counts as a failure. Where no round may open, the failed opening is dropped instead.
        """
        return self.contract.call("reopen", job, serial)

    def reseat(self, job: int, worker: str) -> Call[None]:
        """Moves a member's or aggregator's seats to its present operator key. Anyone may call."""
        return self.contract.call("reseat", job, worker)

    def retire(self, job: int) -> Call[None]:
        """`Coordinator.retire`."""
        return self.contract.call("retire", job)

    def retry(self, job: int, serial: int) -> Call[None]:
        """Attesting again: too few included, no post in time, or the result not held (which voids it)."""
        return self.contract.call("retry", job, serial)

    def round_of(self, job: int, serial: int) -> Call[RoundView]:
        """`Coordinator.roundOf`."""
        return self.contract.typed("roundOf", (job, serial), lambda values: RoundView(*values))

    def seat_of(self, job: int, operator: str) -> Call[Seat]:
        """`Coordinator.seatOf`."""
        return self.contract.call("seatOf", job, operator)

    def settle(self, job: int) -> Call[None]:
        """Makes final what can be."""
        return self.contract.call("settle", job)

    def state_of(self, job: int) -> Call[JobState]:
        """`Coordinator.stateOf`."""
        return self.contract.call("stateOf", job)

    def stop(self, job: int) -> Call[None]:
        """No further round opens. Only the sponsor."""
        return self.contract.call("stop", job)

    def submission_of(self, job: int, serial: int, slot: int) -> Call[bytes]:
        """`Coordinator.submissionOf`."""
        return self.contract.call("submissionOf", job, serial, slot)

    def submit(
        self, job: int, serial: int, parent: bytes, sealed_root: bytes, codec: int, digest: bytes
    ) -> Call[None]:
        """Seals an update. Says as well that the caller holds the parent."""
        return self.contract.call("submit", job, serial, parent, sealed_root, codec, digest)

    def terms_of(self, job: int) -> Call[TermsView]:
        """`Coordinator.termsOf`."""
        return self.contract.typed("termsOf", (job,), lambda values: TermsView(*values))

    def withdraw_access(self, job: int, worker: str, shard: int) -> Call[None]:
        """`Coordinator.withdrawAccess`."""
        return self.contract.call("withdrawAccess", job, worker, shard)
