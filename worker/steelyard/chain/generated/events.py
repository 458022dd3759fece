"""The contracts' events as frozen dataclasses.

Written by scripts/build_chain_types.py from the contracts; as long as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.chain.generated.structs import JobTerms, Purse, Result
from steelyard.chain.types import Event


@dataclass(frozen=True, kw_only=True)
class AccessGranted(Event):
    """`Coordinator.AccessGranted`."""

    job: int
    worker: str
    shard: int
    codec: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class AccessWithdrawn(Event):
    """`Coordinator.AccessWithdrawn`."""

    job: int
    worker: str
    shard: int


@dataclass(frozen=True, kw_only=True)
class AggregatorEnlisted(Event):
    """`Coordinator.AggregatorEnlisted`."""

    job: int
    account: str
    index: int


@dataclass(frozen=True, kw_only=True)
class AggregatorPaid(Event):
    """`Coordinator.AggregatorPaid`."""

    job: int
    serial: int
    account: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class AggregatorRetired(Event):
    """`Coordinator.AggregatorRetired`."""

    job: int
    account: str
    index: int
    removed: bool


@dataclass(frozen=True, kw_only=True)
class Attested(Event):
    """`Coordinator.Attested`."""

    job: int
    serial: int
    tries: int
    slot: int
    bitmap: int


@dataclass(frozen=True, kw_only=True)
class BondReleased(Event):
    """`Coordinator.BondReleased`."""

    job: int
    number: int
    account: str


@dataclass(frozen=True, kw_only=True)
class Claimed(Event):
    """`Coordinator.Claimed`."""

    job: int
    serial: int
    worker: str
    slot: int
    work: int
    attesting: int


@dataclass(frozen=True, kw_only=True)
class Committed(Event):
    """`Coordinator.Committed`."""

    commitment: bytes
    sender: str


@dataclass(frozen=True, kw_only=True)
class CommitteeDrawn(Event):
    """`Coordinator.CommitteeDrawn`."""

    job: int
    serial: int
    committee: int


@dataclass(frozen=True, kw_only=True)
class Convicted(Event):
    """`Coordinator.Convicted`."""

    job: int
    serial: int
    poster: str
    prover: str
    id: bytes
    rewarded: bool


@dataclass(frozen=True, kw_only=True)
class Final(Event):
    """`Coordinator.Final`."""

    job: int
    serial: int
    number: int
    id: bytes


@dataclass(frozen=True, kw_only=True)
class Held(Event):
    """`Coordinator.Held`."""

    job: int
    serial: int
    id: bytes
    worker: str
    slot: int


@dataclass(frozen=True, kw_only=True)
class HeldByAll(Event):
    """HeldByAll, in short.

    K members hold it, by `hold` or by having submitted to the opening that came with it, and were counted: it
    is final from `finalAt` on once its parent is.
    """

    job: int
    serial: int
    id: bytes
    final_at: int


@dataclass(frozen=True, kw_only=True)
class JobCreated(Event):
    """`Coordinator.JobCreated`."""

    job: int
    sponsor: str
    terms: JobTerms


@dataclass(frozen=True, kw_only=True)
class JobEnded(Event):
    """`Coordinator.JobEnded`."""

    job: int
    aborted: bool
    final_rounds: int
    returned: int


@dataclass(frozen=True, kw_only=True)
class JobStopped(Event):
    """`Coordinator.JobStopped`."""

    job: int


@dataclass(frozen=True, kw_only=True)
class Joined(Event):
    """`Coordinator.Joined`."""

    job: int
    worker: str
    operator: str
    slot: int
    weight: int
    shard: int
    codec: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Left(Event):
    """`Coordinator.Left`."""

    job: int
    worker: str
    slot: int
    until: int
    removed: bool


@dataclass(frozen=True, kw_only=True)
class OpeningVoid(Event):
    """`Coordinator.OpeningVoid`."""

    job: int
    serial: int


@dataclass(frozen=True, kw_only=True)
class Posted(Event):
    """`threshold` members of the committee must hold it before `holdBy`."""

    job: int
    serial: int
    id: bytes
    result: Result
    committee_size: int
    hold_by: int


@dataclass(frozen=True, kw_only=True)
class Ready(Event):
    """The opening waits for a member that was away for the last round."""

    job: int
    serial: int
    worker: str
    slot: int


@dataclass(frozen=True, kw_only=True)
class Released(Event):
    """`Coordinator.Released`."""

    job: int
    worker: str
    slot: int


@dataclass(frozen=True, kw_only=True)
class Reopened(Event):
    """`Coordinator.Reopened`."""

    job: int
    serial: int
    failures: int


@dataclass(frozen=True, kw_only=True)
class Reseated(Event):
    """`Coordinator.Reseated`."""

    job: int
    account: str
    operator: str


@dataclass(frozen=True, kw_only=True)
class ResultVoid(Event):
    """`cause`: 0 not held in time, 1 convicted, 2 built on a result that is void."""

    job: int
    serial: int
    id: bytes
    poster: str
    cause: int


@dataclass(frozen=True, kw_only=True)
class Retried(Event):
    """`Coordinator.Retried`."""

    job: int
    serial: int
    tries: int
    committee: int


@dataclass(frozen=True, kw_only=True)
class Returned(Event):
    """`Coordinator.Returned`."""

    job: int
    serial: int
    amount: int


@dataclass(frozen=True, kw_only=True)
class RoundOpened(Event):
    """`Coordinator.RoundOpened`."""

    job: int
    serial: int
    number: int
    parent: bytes
    parent_serial: int
    members: int
    awaited: int
    submit_by: int


@dataclass(frozen=True, kw_only=True)
class SubmissionsClosed(Event):
    """Everyone awaited has submitted."""

    job: int
    serial: int


@dataclass(frozen=True, kw_only=True)
class Submitted(Event):
    """`Coordinator.Submitted`."""

    job: int
    serial: int
    worker: str
    slot: int
    weight: int
    sealed_root: bytes
    codec: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class UpdateMalformed(Event):
    """`Coordinator.UpdateMalformed`."""

    job: int
    serial: int
    worker: str
    slot: int
    prover: str


@dataclass(frozen=True, kw_only=True)
class Deposited(Event):
    """`Vault.Deposited`."""

    account: str
    purse: Purse
    amount: int


@dataclass(frozen=True, kw_only=True)
class Funded(Event):
    """`Vault.Funded`."""

    job: int
    token: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class Slashed(Event):
    """`Vault.Slashed`."""

    account: str
    purse: Purse
    burned: int
    prover: str
    rewarded: int


@dataclass(frozen=True, kw_only=True)
class UnbondingStarted(Event):
    """`Vault.UnbondingStarted`."""

    account: str
    purse: Purse
    amount: int
    withdrawable_at: int


@dataclass(frozen=True, kw_only=True)
class Withdrawn(Event):
    """`Vault.Withdrawn`."""

    token: str
    account: str
    payout: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class EncryptionKeyChanged(Event):
    """`WorkerRegistry.EncryptionKeyChanged`."""

    worker: str
    encryption_key: bytes


@dataclass(frozen=True, kw_only=True)
class OperatorChanged(Event):
    """`WorkerRegistry.OperatorChanged`."""

    worker: str
    operator: str


@dataclass(frozen=True, kw_only=True)
class PayoutChanged(Event):
    """`WorkerRegistry.PayoutChanged`."""

    worker: str
    payout: str


@dataclass(frozen=True, kw_only=True)
class Registered(Event):
    """`WorkerRegistry.Registered`."""

    worker: str
    operator: str
    payout: str
    encryption_key: bytes


@dataclass(frozen=True, kw_only=True)
class Approval(Event):
    """`TestToken.Approval`."""

    owner: str
    spender: str
    value: int


@dataclass(frozen=True, kw_only=True)
class EIP712DomainChanged(Event):
    """`TestToken.EIP712DomainChanged`."""


@dataclass(frozen=True, kw_only=True)
class Transfer(Event):
    """`TestToken.Transfer`."""

    from_: str
    to: str
    value: int


KINDS: dict[tuple[str, str], type[Event]] = {
    ("Coordinator", "AccessGranted"): AccessGranted,
    ("Coordinator", "AccessWithdrawn"): AccessWithdrawn,
    ("Coordinator", "AggregatorEnlisted"): AggregatorEnlisted,
    ("Coordinator", "AggregatorPaid"): AggregatorPaid,
    ("Coordinator", "AggregatorRetired"): AggregatorRetired,
    ("Coordinator", "Attested"): Attested,
    ("Coordinator", "BondReleased"): BondReleased,
    ("Coordinator", "Claimed"): Claimed,
    ("Coordinator", "Committed"): Committed,
    ("Coordinator", "CommitteeDrawn"): CommitteeDrawn,
    ("Coordinator", "Convicted"): Convicted,
    ("Coordinator", "Final"): Final,
    ("Coordinator", "Held"): Held,
    ("Coordinator", "HeldByAll"): HeldByAll,
    ("Coordinator", "JobCreated"): JobCreated,
    ("Coordinator", "JobEnded"): JobEnded,
    ("Coordinator", "JobStopped"): JobStopped,
    ("Coordinator", "Joined"): Joined,
    ("Coordinator", "Left"): Left,
    ("Coordinator", "OpeningVoid"): OpeningVoid,
    ("Coordinator", "Posted"): Posted,
    ("Coordinator", "Ready"): Ready,
    ("Coordinator", "Released"): Released,
    ("Coordinator", "Reopened"): Reopened,
    ("Coordinator", "Reseated"): Reseated,
    ("Coordinator", "ResultVoid"): ResultVoid,
    ("Coordinator", "Retried"): Retried,
    ("Coordinator", "Returned"): Returned,
    ("Coordinator", "RoundOpened"): RoundOpened,
    ("Coordinator", "SubmissionsClosed"): SubmissionsClosed,
    ("Coordinator", "Submitted"): Submitted,
    ("Coordinator", "UpdateMalformed"): UpdateMalformed,
    ("Vault", "Deposited"): Deposited,
    ("Vault", "Funded"): Funded,
    ("Vault", "Slashed"): Slashed,
    ("Vault", "UnbondingStarted"): UnbondingStarted,
    ("Vault", "Withdrawn"): Withdrawn,
    ("WorkerRegistry", "EncryptionKeyChanged"): EncryptionKeyChanged,
    ("WorkerRegistry", "OperatorChanged"): OperatorChanged,
    ("WorkerRegistry", "PayoutChanged"): PayoutChanged,
    ("WorkerRegistry", "Registered"): Registered,
    ("TestToken", "Approval"): Approval,
    ("TestToken", "EIP712DomainChanged"): EIP712DomainChanged,
    ("TestToken", "Transfer"): Transfer,
}
