"""Joining a job: its manifest is fetched, compared with the chain, and gives the arguments of `join`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.calls import Call
from steelyard.chain.client import ChainClient
from steelyard.chain.generated.structs import Collateral
from steelyard.content import Cid, ContentStore
from steelyard.errors import ConfigError, InsufficientFunds
from steelyard.jobs.manifest import MEMBERSHIPS, Manifest
from steelyard.learning.job_setup import check_recipe
from steelyard.nodes.claims import read_view
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.state.view import View
from steelyard.operations.chain_session import ChainSession
from steelyard.operations.job_terms import JOB_STATUS, job_terms
from steelyard.operations.own_data import check_published_rows

WARNING = (
    "updates are public, and can leak training data until secure aggregation exists: "
    "join only with data that may leak"
)


@dataclass(frozen=True, kw_only=True)
class JoinTerms:
    """The arguments of the contract's `join`, after the job."""

    index: int
    weight: int
    codec: int
    digest: bytes
    proof: list[bytes]


@dataclass(frozen=True, kw_only=True)
class JoinedJob:
    """A seat in a job."""

    job: int
    identity: str
    shard: int
    weight: int


async def job_manifest(client: ChainClient, store: ContentStore, job: int, *, timeout_s: float) -> Manifest:
    """The job's manifest, fetched, and checked against the chain.  Raises ManifestError, ContentMissing."""
    await job_terms(client, job)
    with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
        info = await JobInfo.load(client, store, job, scratch=Path(scratch), timeout_s=timeout_s)
    return info.manifest


async def join_job(
    session: ChainSession,
    store: ContentStore,
    job: int,
    *,
    shard: int | None = None,
    data: str = "",
    timeout_s: float = 60.0,
) -> JoinedJob:
    """Join with the account's identity; the job locks its stake.

    shard: the first free one if left out.  data: CID of the member's own rows, in an open job.
    timeout_s: to fetch the manifest.  Raises ConfigError, InsufficientFunds, ManifestError, ContentMissing,
    Reverted.
    """
    await _check_open(session.client, job)
    manifest = await job_manifest(session.client, store, job, timeout_s=timeout_s)
    check_recipe(manifest)
    identity = await session.identity()
    await _check_stake(session, job, identity)
    terms = _join_terms(manifest, await read_view(session.client, job), identity, shard, data)
    if data and manifest.membership == "open":
        await check_published_rows(store, manifest, Cid.parse(data), progress=session.progress)
    elif data:
        raise ConfigError(
            f"job {job} takes no data by CID: its membership is {manifest.membership!r}",
            remedy="leave --data out; the job says which rows are yours",
        )
    session.progress(WARNING)
    call: Call[None] = session.contracts.coordinator.join(
        job, terms.index, terms.weight, terms.codec, terms.digest, terms.proof
    )
    await session.send(call, f"join job {job}" + (f" with shard {terms.index}" if terms.proof else ""))
    return JoinedJob(job=job, identity=identity, shard=terms.index, weight=terms.weight)


async def _check_open(client: ChainClient, job: int) -> None:
    """Raise ConfigError if nobody can join any more."""
    await job_terms(client, job)
    state = await client.read(client.contracts.coordinator.state_of(job))
    if state.status:
        raise ConfigError(
            f"job {job} is {JOB_STATUS[state.status]}; nobody joins it any more",
            remedy="choose another one: `steelyard job list`",
        )


async def _check_stake(session: ChainSession, job: int, identity: str) -> None:
    """Raise InsufficientFunds with the missing sum, before the contract reverts."""
    terms = (await job_terms(session.client, job)).terms
    balance = await session.client.read(session.contracts.vault.balance_of(identity, Collateral.STAKE))
    if balance.free < terms.stake:
        token = await session.deployment_token()
        missing = token.format(terms.stake - balance.free).split()[0].replace(",", "")
        raise InsufficientFunds(
            f"job {job} locks a stake of {token.format(terms.stake)}, {token.format(balance.free)} is free",
            remedy=f"`steelyard worker stake {missing}`",
        )


def _join_terms(manifest: Manifest, view: View, identity: str, shard: int | None, data: str) -> JoinTerms:
    kind = MEMBERSHIPS.index(manifest.membership)
    if kind == MEMBERSHIPS.index("open"):
        codec, digest = Cid.parse(data).to_chain() if data else (0, bytes(32))
        return JoinTerms(index=0, weight=1, codec=codec, digest=digest, proof=[])
    if kind == MEMBERSHIPS.index("invitations"):
        position = manifest.shards.index(manifest.shard_of(identity))
    else:
        position = _free_shard(manifest, view, shard)
    chosen = manifest.shards[position]
    codec, digest = Cid.parse(chosen.cid).to_chain() if chosen.cid else (0, bytes(32))
    proof = manifest.member_proof(position)
    return JoinTerms(index=chosen.index, weight=chosen.weight, codec=codec, digest=digest, proof=proof)


def _free_shard(manifest: Manifest, view: View, wanted: int | None) -> int:
    """The wanted shard, or the first free one.  Raises ConfigError."""
    taken = {seat.shard for seat in view.seats.values()}
    free = [index for index in range(len(manifest.shards)) if index not in taken]
    if wanted is None and free:
        return free[0]
    if wanted is not None and wanted in free:
        return wanted
    message = f"shard {wanted} is not free" if wanted is not None else "no shard is free: the job is full"
    remedy = (
        f"free shards: {', '.join(map(str, free))}"
        if free
        else "wait until a member leaves, or choose another job"
    )
    raise ConfigError(message, remedy=remedy)
