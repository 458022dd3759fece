"""`steelyard job grant`, `withdraw` and `access`: access to encrypted shards."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import facts, table
from steelyard.cli.session import current, do

Job = Annotated[int, typer.Argument(help="Number of the job.", min=1)]
Shard = Annotated[int | None, typer.Option(min=0, help="Which shard; all of the worker's if left out.")]


WITHDRAWAL_NOTICE = (
    "what it has fetched until now stays readable to it; the shard is re-encrypted at the next grant"
)


def install(job: typer.Typer) -> None:
    """Add the commands to `steelyard job`."""
    for command in (grant, withdraw, access):
        job.command(command.__name__)(command)


def grant(
    job: Job,
    worker: Annotated[
        str | None, typer.Option(help="Account name or address; every member if left out.")
    ] = None,
    shard: Shard = None,
) -> None:
    """Let members read the encrypted shards that they joined with, each by its own wrapped key.

    Run it again after somebody joined or registered another key: it grants what is missing. Access that was
    withdrawn is given back only by name.
    """
    do(_grant(job, worker, shard))


async def _grant(job: int, worker: str | None, shard: int | None) -> None:
    from steelyard.cli.context import chain_session, emit_result
    from steelyard.cli.jobs.access import job_grants
    from steelyard.cli.stores import how_to_serve
    from steelyard.operations.access import grant_access

    command = current()
    account = command.address_of(worker) if worker else None
    async with chain_session(signing=True) as session:
        async with job_grants(session, job) as grants:
            identity = await session.identity(account) if account else None
            done = await grant_access(grants, identity, shard)
        lines = [(f"shard {each.shard}", f"{each.worker} may read it") for each in done.granted]
        document = {"job": job, "granted": done.granted, "waiting": done.waiting}
        emit_result(session, document, facts(lines or [("job", "everybody who should read a shard can")]))
        if lines:
            command.out.say(how_to_serve(command.config, "the wrapped keys"))


def withdraw(
    job: Job,
    worker: Annotated[str, typer.Argument(help="Account name or address.")],
    shard: Shard = None,
) -> None:
    """Withdraw access to encrypted shards, and re-encrypt them for those who keep it.

    A worker keeps what it has read: this stops later grants and rounds, it recalls nothing.
    """
    do(_withdraw(job, worker, shard))


async def _withdraw(job: int, worker: str, shard: int | None) -> None:
    from steelyard.cli.context import chain_session, emit_result
    from steelyard.cli.jobs.access import job_grants
    from steelyard.operations.access import withdraw_access

    account = current().address_of(worker)
    async with chain_session(signing=True) as session:
        identity = await session.identity(account)
        async with job_grants(session, job) as grants:
            done = await withdraw_access(grants, identity, shard)
        lines = [(f"shard {each}", f"{identity} may no longer read it") for each in done.withdrawn]
        lines += [(f"shard {each.shard}", f"{each.worker} has a new key of it") for each in done.granted]
        document = {
            "job": job,
            "worker": identity,
            "withdrawn": done.withdrawn,
            "granted": done.granted,
            "waiting": done.waiting,
        }
        emit_result(session, document, facts(lines))
        current().out.say(WITHDRAWAL_NOTICE)


def access(job: Job) -> None:
    """Show the log of grants and withdrawals, and the present readers of each shard."""
    do(_access(job))


async def _access(job: int) -> None:
    from steelyard.cli.context import chain_session
    from steelyard.cli.jobs.access import access_document

    async with chain_session() as session:
        document = await access_document(session, job)
        columns = (">block", "act", ">shard", "worker", "wrapped key", "transaction")
        rows = [
            [each[name] for name in ("block", "act", "shard", "worker", "envelope", "transaction")]
            for each in document["log"]
        ]
        now = [(f"shard {each['shard']}", each["worker"]) for each in document["readers"]]
        current().out.emit(document, table(columns, rows), facts(now))
        if not rows:
            current().out.say(f"nothing was granted yet: `steelyard job grant {job}`")
