"""Posting a job: its content into the store, its money into escrow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.generated.events import JobCreated
from steelyard.content import ContentStore
from steelyard.operations.chain_session import ChainSession
from steelyard.operations.description import JobDescription
from steelyard.operations.publishing import FETCH_S, PublishedJob, publish_job


@dataclass(frozen=True, kw_only=True)
class CreatedJob:
    """A posted job."""

    job: int | None  # its number; None in a dry run
    published: PublishedJob


async def create_job(
    session: ChainSession,
    store: ContentStore,
    description: JobDescription,
    *,
    scratch: Path,
    timeout_s: float = FETCH_S,
) -> CreatedJob:
    """Publish the job's data, first model and manifest, pay its bounty into escrow, and post it.

    scratch: an existing folder for files, best on the store's disk.  timeout_s: for published data that is
    named by its CID.  Raises ConfigError, ManifestError, ContentMissing, InsufficientFunds, Reverted.
    """
    session.progress("publishing data, first model and manifest ...")
    published = await publish_job(description, store, scratch, timeout_s)
    return CreatedJob(job=await post_job(session, description, published), published=published)


async def post_job(session: ChainSession, description: JobDescription, published: PublishedJob) -> int | None:
    """Pay the bounty into escrow and post a published job.

    Returns its number; None in a dry run.  Raises ConfigError, InsufficientFunds, Reverted.
    """
    terms, own = description.terms, await session.deployment_token()
    bounty = await session.token(terms.token) if terms.token else own
    now = await session.client.chain_time()
    on_chain = terms.for_chain(published.manifest, published.cid, bounty=bounty, own=own, now=now)
    escrow = on_chain.pool * on_chain.rounds
    await session.require_balance(bounty, escrow)
    if not await session.approve(bounty, escrow):
        session.progress("the job itself can be priced only after the approval was sent")
        return None
    receipt = await session.send(
        session.contracts.coordinator.create_job(on_chain),
        f"post a job of {on_chain.rounds} rounds for {bounty.format(escrow)}",
    )
    return receipt.one(JobCreated).job if receipt else None
