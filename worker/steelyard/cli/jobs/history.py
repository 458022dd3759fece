"""A job's past, folded from its events, and a list of jobs."""

from __future__ import annotations

from steelyard.chain.client import ChainClient
from steelyard.chain.records import Event
from steelyard.chain.structs import TermsView
from steelyard.errors import ConfigError
from steelyard.nodes.view import View

NOBODY = "0x" + "00" * 20


async def terms_of(client: ChainClient, job: int) -> TermsView:
    """The job's terms and sponsor.  Raises ConfigError where there is no such job."""
    coordinator = client.contracts.coordinator
    count = await client.read(coordinator.job_count())
    if not 1 <= job <= count:
        jobs = f"jobs 1 to {count}" if count else "no job yet"
        raise ConfigError(
            f"there is no job {job} on network {client.network.name}, which has {jobs}",
            remedy="`steelyard job list` shows them; check --network and --deployment",
        )
    return await client.read(coordinator.terms_of(job))


async def view_of(client: ChainClient, job: int) -> View:
    """Everything that happened in the job, as of the latest block."""
    return View.of(job, await events_of(client))


async def events_of(client: ChainClient) -> list[Event]:
    """Every event of the deployment's contracts, in order."""
    follower = client.follow(confirmations=0)
    head = await client.head(fresh=True)
    found: list[Event] = []
    while (batch := await follower.poll()) is not None:
        found += batch.events
        if batch.to_block >= head.number:
            break
    return found
