"""Taking a seat: the manifest is fetched, compared with the chain, and shows what to join with."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.chain.calls import Call
from steelyard.chain.generated.structs import Purse
from steelyard.cli.context import ChainSession
from steelyard.cli.jobs.history import STATUS, terms_of
from steelyard.cli.jobs.own_data import check_published
from steelyard.cli.stores import fetching_only
from steelyard.content import Cid, make_store
from steelyard.errors import ConfigError, InsufficientFunds
from steelyard.jobs.manifest import MEMBERSHIPS, Manifest
from steelyard.learning.job_setup import check_recipe
from steelyard.nodes.claims import read_view
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.state.view import View

WARNING = (
    "updates are public, and can leak training data until secure aggregation exists: "
    "join only with data that may leak"
)


@dataclass(frozen=True, kw_only=True)
class JoinTerms:
    """What `join` is called with."""

    index: int
    weight: int
    codec: int
    digest: bytes
    proof: list[bytes]


async def manifest_of(at: ChainSession, job: int) -> Manifest:
    """The job's manifest, equal to what the chain says.  Raises ManifestError, ContentMissing."""
    await terms_of(at.client, job)
    config = at.session.config
    with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
        async with make_store(fetching_only(config)) as store:
            info = await JobInfo.load(
                at.client, store, job, scratch=Path(scratch), timeout_s=config.fetch_timeout_s
            )
    return info.manifest


async def join(at: ChainSession, job: int, *, shard: int | None, data: str) -> dict[str, Any]:
    """Join with the account's identity.  Raises InsufficientFunds, ManifestError, Reverted."""
    await _still_open(at, job)
    manifest = await manifest_of(at, job)
    check_recipe(manifest)
    identity = await at.identity()
    await _afford_stake(at, job, identity)
    ticket = _ticket(manifest, await read_view(at.client, job), identity, shard, data)
    if data and manifest.membership == "open":
        await check_published(at.session, manifest, data)
    elif data:
        raise ConfigError(
            f"job {job} takes no data by CID: its membership is {manifest.membership!r}",
            remedy="leave --data out; the job says which rows are yours",
        )
    at.session.out.say(WARNING)
    call: Call[None] = at.contracts.coordinator.join(
        job, ticket.index, ticket.weight, ticket.codec, ticket.digest, ticket.proof
    )
    await at.send(call, f"join job {job}" + (f" with shard {ticket.index}" if ticket.proof else ""))
    return {"job": job, "identity": identity, "shard": ticket.index, "weight": ticket.weight}


async def _still_open(at: ChainSession, job: int) -> None:
    """Raises ConfigError where nobody can join any more."""
    await terms_of(at.client, job)
    state = await at.client.read(at.contracts.coordinator.state_of(job))
    if state.status:
        raise ConfigError(
            f"job {job} is {STATUS[state.status]}; nobody joins it any more",
            remedy="choose another one: `steelyard job list`",
        )


async def _afford_stake(at: ChainSession, job: int, identity: str) -> None:
    """A refusal that names the sum, before the contract's own."""
    terms = (await terms_of(at.client, job)).terms
    balance = await at.client.read(at.contracts.vault.balance_of(identity, Purse.STAKE))
    if balance.free < terms.stake:
        token = await at.own_token()
        missing = token.show(terms.stake - balance.free).split()[0].replace(",", "")
        raise InsufficientFunds(
            f"job {job} locks a stake of {token.show(terms.stake)}, {token.show(balance.free)} is free",
            remedy=f"`steelyard worker stake {missing}`",
        )


def _ticket(manifest: Manifest, view: View, identity: str, shard: int | None, data: str) -> JoinTerms:
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
    """The shard asked for, or the first that nobody has."""
    taken = {seat.shard for seat in view.seats.values()}
    free = [index for index in range(len(manifest.shards)) if index not in taken]
    if wanted is None and free:
        return free[0]
    if wanted is not None and wanted in free:
        return wanted
    said = f"shard {wanted} is not free" if wanted is not None else "no shard is free: the job is full"
    remedy = (
        f"free shards: {', '.join(map(str, free))}"
        if free
        else "wait until a member leaves, or choose another job"
    )
    raise ConfigError(said, remedy=remedy)
