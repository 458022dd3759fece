"""`steelyard job grant`, `withdraw` and `access`: who may read private shards."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import facts, table
from steelyard.cli.session import current, do

Job = Annotated[int, typer.Argument(help="Number of the job.", min=1)]
Shard = Annotated[int | None, typer.Option(min=0, help="Which shard; all of the worker's if left out.")]


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

    Run it again after somebody joined or registered another key: it does what is missing. Whose access was
    withdrawn gets it back only by name.
    """
    do(_grant(job, worker, shard))


async def _grant(job: int, worker: str | None, shard: int | None) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.jobs import access as acts
    from steelyard.cli.stores import way_out

    who = current().address_of(worker) if worker else None
    async with work(signing=True) as at:
        document = await acts.grant(at, job, await at.identity(who) if who else None, shard)
        told = [(f"shard {each['shard']}", f"{each['worker']} may read it") for each in document["granted"]]
        at.finish(document, facts(told or [("job", "everybody who should read a shard can")]))
        if told:
            at.session.out.say(way_out(at.session.config, "the wrapped keys"))


def withdraw(
    job: Job,
    worker: Annotated[str, typer.Argument(help="Account name or address.")],
    shard: Shard = None,
) -> None:
    """Take access to encrypted shards away, and encrypt them anew for those who keep it.

    What a worker has read stays read: this stops later grants and rounds, it recalls nothing.
    """
    do(_withdraw(job, worker, shard))


async def _withdraw(job: int, worker: str, shard: int | None) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.jobs import access as acts

    who = current().address_of(worker)
    async with work(signing=True) as at:
        identity = await at.identity(who)
        document = await acts.withdraw(at, job, identity, shard)
        told = [(f"shard {each}", f"{identity} may no longer read it") for each in document["withdrawn"]]
        told += [
            (f"shard {each['shard']}", f"{each['worker']} reads it anew") for each in document["granted"]
        ]
        at.finish(document, facts(told))
        at.session.out.say(acts.READ_STAYS_READ)


def access(job: Job) -> None:
    """The log of grants and withdrawals, as it is on chain, and who may read what now."""
    do(_access(job))


async def _access(job: int) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.jobs import access as acts

    async with work() as at:
        document = await acts.log(at, job)
        columns = (">block", "act", ">shard", "worker", "wrapped key", "transaction")
        rows = [
            [each[name] for name in ("block", "act", "shard", "worker", "envelope", "transaction")]
            for each in document["log"]
        ]
        now = [(f"shard {each['shard']}", each["worker"]) for each in document["readers"]]
        at.session.out.emit(document, table(columns, rows), facts(now))
        if not rows:
            at.session.out.say(f"nothing was granted yet: `steelyard job grant {job}`")
