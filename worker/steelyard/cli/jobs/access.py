"""Who may read a job's private shards: grants, withdrawals, and the log of both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from steelyard.chain.generated.events import AccessGranted, AccessWithdrawn
from steelyard.cli.context import ChainSession
from steelyard.cli.jobs.grants import Content, Granting, granting
from steelyard.cli.jobs.history import terms_of
from steelyard.errors import ConfigError
from steelyard.nodes.claims import read_view
from steelyard.nodes.state.access import AccessLog, envelope_of

READ_STAYS_READ = (
    "what it has fetched until now stays readable to it; from the next grant on the shard is sealed anew"
)


async def grant(at: ChainSession, job: int, worker: str | None, shard: int | None) -> dict[str, Any]:
    """Bring access up to date: of one worker, or of every member with a shard that was sealed here."""
    async with granting(at, job) as desk:
        targets = _targets(desk, worker, shard)
        granted, waiting = await _bring(desk, targets, strict=worker is not None)
    return {"job": job, "granted": granted, "waiting": waiting}


async def withdraw(at: ChainSession, job: int, worker: str, shard: int | None) -> dict[str, Any]:
    """Take access away, and seal the shard anew for those who keep it."""
    async with granting(at, job) as desk:
        readable = desk.view.access.shards_of(worker)
        shards = [each for each in readable if shard in (None, each)]
        if not shards:
            said = (
                f"{worker} has access to no shard" if shard is None else f"{worker} has no access to {shard}"
            )
            raise ConfigError(f"{said} of job {job}", remedy=f"`steelyard job access {job}` shows who has")
        for each in shards:
            call = at.contracts.coordinator.withdraw_access(job, worker, each)
            receipt = await at.send(call, f"withdraw access of {worker} to shard {each} of job {job}")
            if receipt is not None:
                desk.view.access.entries += receipt.all(AccessWithdrawn)
        access = desk.view.access
        left = [(entry.worker, each) for each in shards for entry in access.readers(each)]
        left = [pair for pair in left if pair[0] != worker]  # in a dry run it still reads
        again, waiting = await _bring(desk, left, strict=False)
    return {"job": job, "worker": worker, "withdrawn": shards, "granted": again, "waiting": waiting}


async def log(at: ChainSession, job: int) -> dict[str, Any]:
    """Every grant and withdrawal of a job, and who may read what now."""
    terms = await terms_of(at.client, job)
    access: AccessLog = (await read_view(at.client, job)).access
    entries = [
        {
            "block": entry.at.block,
            "act": "granted" if isinstance(entry, AccessGranted) else "withdrawn",
            "worker": entry.worker,
            "shard": entry.shard,
            "envelope": str(envelope_of(entry)) if isinstance(entry, AccessGranted) else None,
            "transaction": entry.at.transaction,
        }
        for entry in access.entries
    ]
    shards = sorted({entry.shard for entry in access.entries})
    readers = [
        {"shard": shard, "worker": entry.worker} for shard in shards for entry in access.readers(shard)
    ]
    return {"job": job, "sponsor": terms.sponsor, "log": entries, "readers": readers}


def _targets(desk: Granting, worker: str | None, shard: int | None) -> list[tuple[str, int]]:
    """Workers and shards that a person means."""
    if worker is not None and shard is not None:
        return [(worker, shard)]
    seats = [seat for seat in desk.view.seats.values() if not seat.leaving and seat.shard is not None]
    wanted = [
        (seat.worker, seat.shard)
        for seat in seats
        if seat.shard is not None and worker in (None, seat.worker) and shard in (None, seat.shard)
    ]
    if worker is not None and not wanted:
        raise ConfigError(
            f"{worker} has no shard in job {desk.job}",
            remedy="it joins first, or say which one it may read: --shard N",
        )
    if worker is not None:
        return wanted
    sealed = desk.sealed_here()
    if not sealed:
        raise ConfigError(
            f"no shard of job {desk.job} was encrypted here: {desk.ring.folder} holds no key of one",
            remedy="choose the --home in which `steelyard data publish --encrypt` ran",
        )
    members = [pair for pair in wanted if pair[1] in sealed and not _was_withdrawn(desk, *pair)]
    readers = [(entry.worker, each) for each in sealed for entry in desk.view.access.readers(each)]
    return list(dict.fromkeys(members + [pair for pair in readers if shard in (None, pair[1])]))


def _was_withdrawn(desk: Granting, worker: str, shard: int) -> bool:
    """Whether access was taken away: only a grant by name gives it back."""
    return isinstance(desk.view.access.last(worker, shard), AccessWithdrawn)


async def _bring(
    desk: Granting, targets: Iterable[tuple[str, int]], *, strict: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Grant where something is missing: what was granted, and who has no key to be granted anything."""
    contents: dict[int, Content] = {}
    granted: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for worker, shard in targets:
        if shard not in contents:
            contents[shard] = await desk.content(shard)
        try:
            done = await desk.grant(worker, shard, contents[shard])
        except ConfigError as error:
            if strict:
                raise
            desk.at.session.out.say(str(error))
            waiting.append({"worker": worker, "shard": shard, "why": error.message})
            continue
        if done is not None:
            granted.append(done)
    return granted, waiting
