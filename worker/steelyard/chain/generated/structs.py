"""The contracts' structs, with fields in Python's spelling.

Written by scripts/build_chain_types.py from the contracts; as long as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Step:
    """The arithmetic that a job fixes at its creation. Fits one storage slot."""

    block_count: int  # blocks of 32 values in the model, 1 to 2^28
    encoding: int  # of updates: 0 raw32, 1 bfp8, 2 bfp4
    rule: int  # 0 FedAvg; 1 TrimmedMean and 2 Median are reserved
    trim: int  # values that TrimmedMean drops at either end
    beta: int  # momentum, 16.16, 0 to 1.0; 0 means that there is no momentum tree
    lr: int  # server learning rate, 16.16, at most 2^24
    bound2: int  # bound of an update's energy (squared norm) for clipping, 0 = none


@dataclass(frozen=True, kw_only=True)
class JobTerms:
    """What a sponsor fixes when it creates a job; in storage in this order, eight slots.

    Windows are in seconds, at most 365 days.
    """

    step: Step
    submit_window: int  # also how long a result may wait to be held
    attest_window: int
    turn_window: int  # after attesting: only the elected aggregator posts before this has passed
    post_window: int  # after attesting: no one posts after this has passed
    deadline: int  # absolute time from which on nothing is posted, at most 10 years of 365 days ahead
    rounds: int  # at most; fewer where the sponsor stops or the deadline is near
    min_updates: int  # submissions and included updates that make a round
    max_tries: int  # attestings of one opening after the first, at least 2
    max_failures: int  # failed openings that the job survives
    auto_open: bool  # rounds after the first open by themselves; else by the sponsor's call
    stake: int  # locked per member
    bond: int  # locked per posted result
    pool: int  # paid per final round; pool * rounds is escrowed at creation
    worker_bps: int  # of the pool, to included workers; 1 = 0.01 %
    aggregator_bps: int  # of the pool, to the poster
    attestor_bps: int  # of the pool, to attestors; the three add up to 10,000
    max_members: int  # 1 to 256
    max_slashed: int  # convictions that a member may have at most
    challenge_window: int  # after the K-th member holds
    admission: int  # 0 open (weight 1), 1 by shards, 2 by invitation
    manifest_codec: int  # CID of the manifest: 0x55 raw or 0x70 dag-pb
    token: str  # of the bounty, any plain ERC-20
    min_included: int  # included rounds that a member must have at least
    admission_root: bytes  # Merkle root over shards or invitations
    manifest_digest: bytes
    state_root: bytes  # of the initial model; the initial momentum is all zeros


@dataclass(frozen=True, kw_only=True)
class Result:
    """A posted result.

    Its id is `keccak256(abi.encode(result))`. The CID is that of the new state file, followed in the same
    file by the new momentum where the job uses it.
    """

    job: int
    serial: int
    attempt: int  # how many results were posted for this serial before
    parent: bytes  # id of the result that it builds on
    included: int  # bitmap of slots
    state_root: bytes
    momentum_root: bytes  # zero where the job uses no momentum
    transcript_root: bytes
    table: bytes
    codec: int
    digest: bytes
    poster: str  # identity


@dataclass(frozen=True, kw_only=True)
class Aggregator:
    """An aggregator's seat in a job, found by its operator key. One slot."""

    account: str  # identity
    index: int  # plus one
    since: int  # last serial given out before it enlisted


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A submission. Stored is `keccak256(abi.encode(submission))`, and zero once claimed."""

    job: int
    serial: int
    slot: int
    worker: str  # identity
    weight: int
    sealed_root: bytes
    codec: int  # CID of the update file
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member found by its identity. One slot."""

    operator: str  # under which its seat is found
    ready: int  # serial of the opening that waits for it on its own request
    shard: int  # index + 1 where admitted by shards
    staked: bool  # its stake is locked; false once slashed


@dataclass(frozen=True, kw_only=True)
class Round:
    """One opening of submissions, and what came of it.

    One slot; three fields change their meaning with a post.
    """

    number: int  # 1 for the first round; serials differ where a round was opened again
    parent_serial: int  # of the result it builds on; 0 is the initial model
    weight_sum: int  # of all submissions
    set_version: int  # which member set takes part
    tries: int  # attestings after the first
    posts: int  # results posted so far
    flags: int  # see RoundLib
    clock: int  # before a post: when submissions end (or ended), or the current try began; after: when posted
    mark: int  # before a post: block number of the opening; after: when the K-th member held it, 0 = not yet
    tally: int  # before a post: seed (32 bits, low), awaited submissions (16); after: see RoundLib


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A member's seat, found by its operator key. One slot."""

    worker: str  # identity
    slot: int
    weight: int
    since: int  # last serial given out before it joined
    until: int  # last serial it takes part in; max = stays


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job's moving parts. One slot."""

    head: int  # the latest opening that still stands
    last_serial: int  # given out so far
    settled_serial: int  # the latest final result
    settled_number: int  # its round's number = final rounds so far
    set_version: int  # member set for the next opening
    unresolved: int  # shares of final rounds that were neither claimed nor returned
    failures: int
    status: int  # 0 running, 1 stopped, 2 closed, 3 aborted
    aggregators: int  # bitmap of taken aggregator seats
    frozen: bool  # an opening uses member set `setVersion`, so a change makes a new one


class Purse(IntEnum):
    """Solidity's `Purse`."""

    STAKE = 0
    BOND = 1


@dataclass(frozen=True, kw_only=True)
class Balance:
    """One account's purse of one kind. Two slots."""

    free: int  # may be locked or unbonded
    locked: int  # backs jobs or posts
    unbonding: int  # leaves at `withdrawableAt`
    withdrawable_at: int  # time in seconds


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the registry knows of an identity. The first four fields share one slot."""

    operator: str  # hot key that acts in jobs; the identity itself unless it named another
    submitted: int  # submissions in final rounds, counted when claimed
    included: int  # of those, how many were included
    slashed: int  # convictions
    registered: bool
    payout: str  # where the Vault sends this identity's money
    encryption_key: bytes  # X25519 public key for private shards, zero = none


@dataclass(frozen=True, kw_only=True)
class Permit:
    """A permit of the deployment's token (EIP-2612), to stake in the same transaction."""

    deadline: int
    v: int
    r: bytes
    s: bytes


@dataclass(frozen=True)
class TurnView:
    """What `Coordinator.electedOf` answers."""

    account: str
    anyone_from: int


@dataclass(frozen=True)
class RoundView:
    """What `Coordinator.roundOf` answers."""

    round: Round
    result: bytes
    submitted: int
    committee: int
    malformed: int


@dataclass(frozen=True)
class TermsView:
    """What `Coordinator.termsOf` answers."""

    terms: JobTerms
    sponsor: str


@dataclass(frozen=True)
class EscrowView:
    """What `Vault.escrowOf` answers."""

    token: str
    amount: int


# By Solidity's names: what the decoder makes of a struct or an enum.
KINDS: dict[str, Any] = {
    "Step": Step,
    "JobTerms": JobTerms,
    "Result": Result,
    "Aggregator": Aggregator,
    "Submission": Submission,
    "Member": Member,
    "Round": Round,
    "Seat": Seat,
    "JobState": JobState,
    "Purse": Purse,
    "Balance": Balance,
    "Account": Account,
    "Permit": Permit,
}
