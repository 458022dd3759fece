"""A job's terms, with a clear answer where there is no such job."""

from __future__ import annotations

from steelyard.chain.client import ChainClient
from steelyard.chain.generated.structs import TermsView
from steelyard.errors import ConfigError

NOBODY = "0x" + "00" * 20
STATUS = ("running", "stopped", "closed", "aborted")  # by JobState.status


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
