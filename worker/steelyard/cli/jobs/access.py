"""Behind `steelyard job grant`, `withdraw` and `access`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from steelyard.chain.generated.events import AccessGranted, AccessWithdrawn
from steelyard.cli.context import home_store, scratch_folder
from steelyard.cli.encryption import own_secrets, ring_of
from steelyard.cli.session import current
from steelyard.nodes.claims import read_view
from steelyard.nodes.state.view import envelope_cid
from steelyard.operations.chain_session import ChainSession
from steelyard.operations.grants import JobGrants
from steelyard.operations.job_terms import job_terms


@asynccontextmanager
async def job_grants(session: ChainSession, job: int) -> AsyncIterator[JobGrants]:
    """For the job's sponsor.  Raises ConfigError for any other account."""
    command = current()
    with scratch_folder("access") as scratch:
        async with home_store() as store:
            yield await JobGrants.load(
                session,
                store,
                job,
                scratch=scratch,
                ring=ring_of(command),
                unlock=lambda: own_secrets(command),
                timeout_s=command.config.fetch_timeout_s,
            )


async def access_document(session: ChainSession, job: int) -> dict[str, Any]:
    """Every grant and withdrawal of a job, and the present readers of each shard."""
    terms = await job_terms(session.client, job)
    access = (await read_view(session.client, job)).access
    shards = sorted({entry.shard for entry in access.entries})
    readers = [
        {"shard": shard, "worker": entry.worker} for shard in shards for entry in access.readers(shard)
    ]
    log = [_entry(entry) for entry in access.entries]
    return {"job": job, "sponsor": terms.sponsor, "log": log, "readers": readers}


def _entry(entry: AccessGranted | AccessWithdrawn) -> dict[str, Any]:
    granted = isinstance(entry, AccessGranted)
    return {
        "block": entry.position.block,
        "act": "granted" if granted else "withdrawn",
        "worker": entry.worker,
        "shard": entry.shard,
        "envelope": str(envelope_cid(entry)) if isinstance(entry, AccessGranted) else None,
        "transaction": entry.position.transaction,
    }
