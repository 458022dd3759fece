"""`steelyard job`: posting, finding, joining and ending jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.commands import access
from steelyard.cli.output import facts, table
from steelyard.cli.session import do

if TYPE_CHECKING:
    from steelyard.cli.context import ChainSession

app = typer.Typer(name="job", help="Jobs: post, find, join, steer and end them.", no_args_is_help=True)

Job = Annotated[int, typer.Argument(help="Number of the job.", min=1)]


@app.command()
def create(
    source: Annotated[
        Path,
        typer.Argument(help="A job.toml, a folder with one, or a finished manifest.json beside its files."),
    ],
    pool: Annotated[
        str, typer.Option(help="Tokens for each final round, instead of the description's.")
    ] = "",
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds, instead of the description's.")] = None,
    duration: Annotated[str, typer.Option(help="Time until the deadline, like 7d.")] = "",
) -> None:
    """Publish a job's data and manifest, pay its bounty in, and post it."""
    given = {"pool": pool or None, "rounds": rounds, "duration": duration or None}
    do(_create(source, {key: value for key, value in given.items() if value is not None}))


async def _create(source: Path, given: dict[str, Any]) -> None:
    import dataclasses

    from steelyard.cli.context import work
    from steelyard.cli.jobs.description import JobDescription
    from steelyard.cli.jobs.posting import create as post_job
    from steelyard.cli.stores import way_out

    description = JobDescription.read(source)
    description = dataclasses.replace(description, terms=dataclasses.replace(description.terms, **given))
    async with work(signing=True) as at:
        document = await post_job(at, description)
        pairs = [
            ("job", document["job"]),
            ("manifest", document["manifest"]),
            ("content", document["content"]),
        ]
        at.finish(document, facts(pairs))
        at.session.out.say(f"{way_out(at.session.config, 'its data')}; members and aggregators may join now")


@app.command()
def show(job: Job) -> None:
    """Terms, money, members, rounds and what the job waits for."""
    do(_show(job))


async def _show(job: int) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.jobs.showing import show as look

    async with work() as at:
        document, human = await look(at, job)
        at.session.out.emit(document, *human)


@app.command("list")
def list_() -> None:
    """Every job of the deployment."""
    do(_list())


async def _list() -> None:
    from steelyard.cli.context import work
    from steelyard.cli.jobs.showing import overview

    async with work() as at:
        document, rows = await overview(at)
        columns = (">job", "status", ">rounds", ">pool", "membership", "sponsor")
        at.session.out.emit(document, table(columns, rows))
        if not rows:
            at.session.out.say("no job yet: `steelyard job create FOLDER` posts one")


@app.command()
def join(
    job: Job,
    shard: Annotated[
        int | None, typer.Option(min=0, help="Which shard; the first free one if left out.")
    ] = None,
    data: Annotated[str, typer.Option(help="In an open job: CID of your data, where it is published.")] = "",
) -> None:
    """Take a seat and lock the job's stake. Updates are public, and can leak training data."""
    do(_join(job, shard, data))


async def _join(job: int, shard: int | None, data: str) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.jobs.joining import join as take_seat

    async with work(signing=True) as at:
        document = await take_seat(at, job, shard=shard, data=data)
        at.finish(document)
        if not at.session.dry_run:
            at.session.out.say(f"now train: `steelyard run --role worker --job {job}`")


@app.command()
def leave(job: Job) -> None:
    """Leave from the next round on; run again once your rounds are settled, it frees the stake."""
    do(_leave(job))


async def _leave(job: int) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.jobs.history import terms_of
    from steelyard.nodes.claims import read_view

    async with work(signing=True) as at:
        await terms_of(at.client, job)
        identity = await at.identity()
        view = await read_view(at.client, job)
        seat = view.seats.get(identity)
        coordinator = at.contracts.coordinator
        if seat is not None and (seat.leaving or view.ended is not None):
            await at.send(coordinator.release(job, identity), f"free the stake of {identity} in job {job}")
        else:
            await at.send(coordinator.leave(job), f"leave job {job}")
            at.session.out.say(
                f"the stake is freed by `steelyard job leave {job}` once your rounds are settled"
            )
        at.finish({"job": job, "identity": identity})


@app.command()
def reseat(job: Job) -> None:
    """Move the identity's seats to its present operator key."""
    do(_act(job, "reseat"))


@app.command()
def start(job: Job) -> None:
    """Open the first round."""
    do(_act(job, "start"))


@app.command("next")
def next_(job: Job) -> None:
    """Open the next round, in a job whose rounds do not open by themselves."""
    do(_act(job, "next"))


@app.command()
def stop(job: Job) -> None:
    """Open no further round; only the sponsor can."""
    do(_act(job, "stop"))


@app.command()
def abort(job: Job) -> None:
    """End a job in which nothing can become final any more; unspent escrow goes back to the sponsor."""
    do(_act(job, "abort"))


@app.command()
def close(job: Job) -> None:
    """End a job that is done; unearned shares go back to the sponsor."""
    do(_act(job, "close"))


async def _act(job: int, act: str) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.jobs.history import terms_of

    async with work(signing=True) as at:
        await terms_of(at.client, job)
        await at.send(await _call(at, job, act), f"{act} job {job}")
        at.finish({"job": job, "act": act})


async def _call(at: ChainSession, job: int, act: str) -> Any:
    coordinator = at.contracts.coordinator
    if act == "reseat":
        return coordinator.reseat(job, await at.identity())
    calls = {
        "start": coordinator.open_round,
        "next": coordinator.open_round,
        "stop": coordinator.stop,
        "abort": coordinator.abort,
        "close": coordinator.close,
    }
    return calls[act](job)


access.install(app)
