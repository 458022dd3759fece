"""Steering a job: opening rounds, stopping, ending, leaving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from steelyard.chain.calls import Call
from steelyard.nodes.claims import read_view
from steelyard.operations.chain_session import ChainSession
from steelyard.operations.job_terms import job_terms

JobAction = Literal["reseat", "start", "next", "stop", "abort", "close"]


async def control_job(session: ChainSession, job: int, action: JobAction) -> None:
    """Send one of the calls that steer a job.  Raises ConfigError for an unknown job, Reverted.

    reseat: move the identity's seats to its present operator key.  start, next: open the first or the next
    round.  stop: open no further round (the sponsor).  abort, close: end a job that cannot go on, or is done.
    """
    await job_terms(session.client, job)
    coordinator = session.contracts.coordinator
    calls: dict[str, Callable[[int], Call[Any]]] = {
        "start": coordinator.open_round,
        "next": coordinator.open_round,
        "stop": coordinator.stop,
        "abort": coordinator.abort,
        "close": coordinator.close,
    }
    if action == "reseat":
        identity = await session.identity()
        calls["reseat"] = lambda number: coordinator.reseat(number, identity)
    call = calls[action](job)
    await session.send(call, f"{action} job {job}")


async def leave_job(session: ChainSession, job: int) -> tuple[str, bool]:
    """Leave from the next round on, or free the stake if the identity has left or the job has ended.

    Returns the identity, and whether the stake was freed.  Raises ConfigError for an unknown job, Reverted.
    """
    await job_terms(session.client, job)
    identity = await session.identity()
    view = await read_view(session.client, job)
    seat = view.seats.get(identity)
    coordinator = session.contracts.coordinator
    if seat is not None and (seat.leaving or view.ended is not None):
        call = coordinator.release(job, identity)
        await session.send(call, f"free the stake of {identity} in job {job}")
        return identity, True
    await session.send(coordinator.leave(job), f"leave job {job}")
    return identity, False
