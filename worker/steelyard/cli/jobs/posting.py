"""Posting a job: its content into the store, its money into escrow."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from steelyard.chain.generated.events import JobCreated
from steelyard.cli.context import ChainSession
from steelyard.cli.jobs.description import JobDescription
from steelyard.cli.jobs.publishing import Published, publish
from steelyard.cli.stores import fetching_only
from steelyard.content import make_store


async def create(at: ChainSession, description: JobDescription) -> dict[str, Any]:
    """Publish into the session's own store, approve and post.  Returns what `job create` prints."""
    root = at.session.config.content_dir
    root.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=root, prefix=".job-"))
    try:
        async with make_store(fetching_only(at.session.config)) as store:
            at.session.out.say("publishing data, first model and manifest ...")
            published = await publish(description, store, scratch, at.session.config.fetch_timeout_s)
        job = await post(at, description, published)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    shards = [{"index": each.index, "cid": each.cid, "rows": each.rows} for each in published.manifest.shards]
    return {"job": job, "manifest": str(published.cid), "shards": shards, "content": root}


async def post(at: ChainSession, description: JobDescription, published: Published) -> int | None:
    """Escrow the bounty and post the job; None in a dry run.  Raises InsufficientFunds, Reverted."""
    terms, own = description.terms, await at.own_token()
    bounty = await at.token(terms.token) if terms.token else own
    now = await at.client.chain_time()
    on_chain = terms.for_chain(published.manifest, published.cid, bounty=bounty, own=own, now=now)
    escrow = on_chain.pool * on_chain.rounds
    await at.afford(bounty, escrow)
    if not await at.approve(bounty, escrow):
        at.session.out.say("the job itself can be priced only once the approval is there")
        return None
    receipt = await at.send(
        at.contracts.coordinator.create_job(on_chain),
        f"post a job of {on_chain.rounds} rounds for {bounty.show(escrow)}",
    )
    return receipt.one(JobCreated).job if receipt else None
