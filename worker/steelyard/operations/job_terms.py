"""A job's terms, its status, and waiting for it."""

from __future__ import annotations

import asyncio
import time

from steelyard.chain.client import ChainClient
from steelyard.chain.generated.structs import TermsView
from steelyard.chain.types import ZERO_ADDRESS
from steelyard.errors import ConfigError

JOB_STATUS = ("running", "stopped", "closed", "aborted")  # by JobState.status
WAIT_STEP_S = 0.3


async def job_terms(client: ChainClient, job: int) -> TermsView:
    """The job's terms and sponsor.  Raises ConfigError if there is no such job."""
    coordinator = client.contracts.coordinator
    count = await client.read(coordinator.job_count())
    if not 1 <= job <= count:
        jobs = f"jobs 1 to {count}" if count else "no job yet"
        raise ConfigError(
            f"there is no job {job} on network {client.network.name}, which has {jobs}",
            remedy="`steelyard job list` shows them; check --network and --deployment",
        )
    return await client.read(coordinator.terms_of(job))


async def wait_for_job(
    client: ChainClient, job: int, *, operator: str | None = None, timeout_s: float = 0.0
) -> None:
    """Wait until the job exists and, if an operator is given, until it has a seat there.

    Raises ConfigError after `timeout_s`.
    """
    coordinator = client.contracts.coordinator
    until = time.monotonic() + timeout_s
    while True:
        exists = await client.read(coordinator.job_count()) >= job
        if exists and operator is None:
            return
        if exists and (await client.read(coordinator.seat_of(job, str(operator)))).worker != ZERO_ADDRESS:
            return
        if time.monotonic() >= until:
            break
        await asyncio.sleep(WAIT_STEP_S)
    if not exists:
        remedy = "`steelyard job list` shows the jobs; check --network and --deployment"
        raise ConfigError(f"there is no job {job} on network {client.network.name}", remedy=remedy)
    raise ConfigError(
        f"{operator} has no seat in job {job}",
        remedy=f"`steelyard job join {job}`, or choose --account",
    )
