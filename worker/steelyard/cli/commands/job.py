"""`steelyard job`: posting, finding, joining and ending jobs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.commands import access
from steelyard.cli.output import facts, table
from steelyard.cli.session import current, do

if TYPE_CHECKING:
    from steelyard.operations.job_control import JobAction

app = typer.Typer(name="job", help="Jobs: post, find, join, control and end them.", no_args_is_help=True)

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
    """Publish a job's data and manifest, pay its bounty into escrow, and post it."""
    given = {"pool": pool or None, "rounds": rounds, "duration": duration or None}
    do(_create(source, {key: value for key, value in given.items() if value is not None}))


async def _create(source: Path, given: dict[str, Any]) -> None:
    from steelyard.cli.context import chain_session, emit_result, home_store, scratch_folder
    from steelyard.cli.stores import how_to_serve
    from steelyard.operations.description import JobDescription
    from steelyard.operations.posting import create_job

    description = JobDescription.read(source)
    description = dataclasses.replace(description, terms=dataclasses.replace(description.terms, **given))
    config = current().config
    async with chain_session(signing=True) as session:
        with scratch_folder("job") as scratch:
            async with home_store() as store:
                made = await create_job(
                    session, store, description, scratch=scratch, timeout_s=config.fetch_timeout_s
                )
        manifest = str(made.published.cid)
        shards = [
            {"index": each.index, "cid": each.cid, "rows": each.rows}
            for each in made.published.manifest.shards
        ]
        document = {"job": made.job, "manifest": manifest, "shards": shards, "content": config.content_dir}
        pairs = [("job", made.job), ("manifest", manifest), ("content", config.content_dir)]
        emit_result(session, document, facts(pairs))
        current().out.say(f"{how_to_serve(config, 'its data')}; members and aggregators may join now")


@app.command()
def show(job: Job) -> None:
    """Terms, money, members, rounds, and the state of the job."""
    do(_show(job))


async def _show(job: int) -> None:
    from steelyard.cli.context import chain_session
    from steelyard.cli.jobs.showing import show as look

    async with chain_session() as session:
        document, human = await look(session, job)
        current().out.emit(document, *human)


@app.command("list")
def list_() -> None:
    """Every job of the deployment."""
    do(_list())


async def _list() -> None:
    from steelyard.cli.context import chain_session
    from steelyard.cli.jobs.showing import overview

    async with chain_session() as session:
        document, rows = await overview(session)
        columns = (">job", "status", ">rounds", ">pool", "membership", "sponsor")
        current().out.emit(document, table(columns, rows))
        if not rows:
            current().out.say("no job yet: `steelyard job create FOLDER` posts one")


@app.command()
def join(
    job: Job,
    shard: Annotated[
        int | None, typer.Option(min=0, help="Which shard; the first free one if left out.")
    ] = None,
    data: Annotated[str, typer.Option(help="In an open job: CID of your data, if it is published.")] = "",
) -> None:
    """Join a job and lock its stake. Updates are public, and can leak training data."""
    do(_join(job, shard, data))


async def _join(job: int, shard: int | None, data: str) -> None:
    from steelyard.cli.context import chain_session, emit_result, home_store
    from steelyard.operations.joining import join_job

    async with chain_session(signing=True) as session:
        async with home_store() as store:
            timeout_s = current().config.fetch_timeout_s
            joined = await join_job(session, store, job, shard=shard, data=data, timeout_s=timeout_s)
        emit_result(session, dataclasses.asdict(joined))
        if not session.dry_run:
            current().out.say(f"now train: `steelyard run --role worker --job {job}`")


@app.command()
def leave(job: Job) -> None:
    """Leave from the next round on. Run it again after your rounds are settled to free the stake."""
    do(_leave(job))


async def _leave(job: int) -> None:
    from steelyard.cli.context import chain_session, emit_result
    from steelyard.operations.job_control import leave_job

    async with chain_session(signing=True) as session:
        identity, freed = await leave_job(session, job)
        if not freed:
            current().out.say(
                f"the stake is freed by `steelyard job leave {job}` once your rounds are settled"
            )
        emit_result(session, {"job": job, "identity": identity})


@app.command()
def reseat(job: Job) -> None:
    """Move the identity's seats to its present operator key."""
    do(_control(job, "reseat"))


@app.command()
def start(job: Job) -> None:
    """Open the first round."""
    do(_control(job, "start"))


@app.command("next")
def next_(job: Job) -> None:
    """Open the next round, in a job without automatic opening."""
    do(_control(job, "next"))


@app.command()
def stop(job: Job) -> None:
    """Open no further round; only the sponsor can."""
    do(_control(job, "stop"))


@app.command()
def abort(job: Job) -> None:
    """End a job in which no round can become final; unspent escrow goes back to the sponsor."""
    do(_control(job, "abort"))


@app.command()
def close(job: Job) -> None:
    """End a finished job; unearned shares go back to the sponsor."""
    do(_control(job, "close"))


async def _control(job: int, action: JobAction) -> None:
    from steelyard.cli.context import chain_session, emit_result
    from steelyard.operations.job_control import control_job

    async with chain_session(signing=True) as session:
        await control_job(session, job, action)
        emit_result(session, {"job": job, "act": action})


access.install(app)
