"""Access to a job's encrypted shards: its sponsor grants and withdraws it, worker by worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from steelyard.chain.generated.events import AccessWithdrawn
from steelyard.errors import ConfigError
from steelyard.operations.grants import Grant, JobGrants, SealedShard


@dataclass(frozen=True, kw_only=True)
class PendingGrant:
    """Access that could not be given yet."""

    worker: str
    shard: int
    why: str


@dataclass(frozen=True, kw_only=True)
class AccessChange:
    """The outcome of `grant_access` or `withdraw_access`."""

    withdrawn: tuple[int, ...] = ()  # shards
    granted: tuple[Grant, ...]
    waiting: tuple[PendingGrant, ...]


async def grant_access(
    grants: JobGrants, worker: str | None = None, shard: int | None = None
) -> AccessChange:
    """Bring access up to date: of one worker, or of every member whose shard was encrypted here.

    Raises ConfigError if nothing can be granted, Reverted.
    """
    targets = _targets(grants, worker, shard)
    granted, waiting = await _grant_all(grants, targets, strict=worker is not None)
    return AccessChange(granted=granted, waiting=waiting)


async def withdraw_access(grants: JobGrants, worker: str, shard: int | None = None) -> AccessChange:
    """Withdraw a worker's access, and re-encrypt the shards for those who keep theirs.

    shard: all that the worker may read if None.  Raises ConfigError if it may read none, Reverted.
    """
    session, job, access = grants.session, grants.job, grants.view.access
    shards = [each for each in access.shards_of(worker) if shard in (None, each)]
    if not shards:
        message = (
            f"{worker} has access to no shard" if shard is None else f"{worker} has no access to {shard}"
        )
        raise ConfigError(f"{message} of job {job}", remedy=f"`steelyard job access {job}` shows who has")
    for each in shards:
        call = session.contracts.coordinator.withdraw_access(job, worker, each)
        receipt = await session.send(call, f"withdraw access of {worker} to shard {each} of job {job}")
        if receipt is not None:
            access.entries += receipt.all(AccessWithdrawn)
    readers = [(entry.worker, each) for each in shards for entry in access.readers(each)]
    remaining = [pair for pair in readers if pair[0] != worker]  # in a dry run it still reads
    granted, waiting = await _grant_all(grants, remaining, strict=False)
    return AccessChange(withdrawn=tuple(shards), granted=granted, waiting=waiting)


def _targets(grants: JobGrants, worker: str | None, shard: int | None) -> list[tuple[str, int]]:
    """The workers and shards that `grant_access` means."""
    if worker is not None and shard is not None:
        return [(worker, shard)]
    seats = [seat for seat in grants.view.seats.values() if not seat.leaving and seat.shard is not None]
    wanted = [
        (seat.worker, seat.shard)
        for seat in seats
        if seat.shard is not None and worker in (None, seat.worker) and shard in (None, seat.shard)
    ]
    if worker is not None and not wanted:
        raise ConfigError(
            f"{worker} has no shard in job {grants.job}",
            remedy="it joins first, or say which one it may read: --shard N",
        )
    return wanted if worker is not None else _members_and_readers(grants, wanted, shard)


def _members_and_readers(
    grants: JobGrants, members: list[tuple[str, int]], shard: int | None
) -> list[tuple[str, int]]:
    """Members of the shards that were encrypted here, and everybody who can read one of them already."""
    sealed = grants.sealed_here()
    if not sealed:
        raise ConfigError(
            f"no shard of job {grants.job} was encrypted here: {grants.ring.folder} holds no key of one",
            remedy="choose the --home in which `steelyard data publish --encrypt` ran",
        )
    access = grants.view.access
    kept = [  # access that was withdrawn is given back only by name
        pair for pair in members if pair[1] in sealed and not isinstance(access.last(*pair), AccessWithdrawn)
    ]
    readers = [(entry.worker, each) for each in sealed for entry in access.readers(each)]
    return list(dict.fromkeys(kept + [pair for pair in readers if shard in (None, pair[1])]))


async def _grant_all(
    grants: JobGrants, targets: Iterable[tuple[str, int]], *, strict: bool
) -> tuple[tuple[Grant, ...], tuple[PendingGrant, ...]]:
    """Grant what is missing.  strict: raise ConfigError for a worker without a key; else it is returned."""
    contents: dict[int, SealedShard] = {}
    granted: list[Grant] = []
    waiting: list[PendingGrant] = []
    for worker, shard in targets:
        if shard not in contents:
            contents[shard] = await grants.content(shard)
        try:
            done = await grants.grant(worker, shard, contents[shard])
        except ConfigError as error:
            if strict:
                raise
            grants.session.progress(str(error))
            waiting.append(PendingGrant(worker=worker, shard=shard, why=error.message))
            continue
        if done is not None:
            granted.append(done)
    return tuple(granted), tuple(waiting)
