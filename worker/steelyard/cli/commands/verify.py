"""`steelyard verify`: a posted round, recomputed from public data."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.failures import WRONG_RESULT
from steelyard.cli.output import facts
from steelyard.cli.session import current, do
from steelyard.errors import Unverifiable


def install(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("verify")(verify)


def verify(
    job: Annotated[int, typer.Argument(help="Number of the job.", min=1)],
    round_: Annotated[
        int | None, typer.Option("--round", min=1, help="Round; the latest posted one.")
    ] = None,
) -> None:
    """Recompute a posted round: right (exit 0), wrong, with the coordinate (11), or files expired (10)."""
    do(_verify(job, round_))


async def _verify(job: int, number: int | None) -> None:
    from steelyard.cli.context import job_files
    from steelyard.nodes.verify import verify_round

    async with job_files(job) as (session, store, scratch):
        timeout_s = current().config.fetch_timeout_s
        found = await verify_round(session.client, store, job, number, scratch=scratch, timeout_s=timeout_s)
    if found.verdict == "unverifiable":
        files = ", ".join(found.missing)
        raise Unverifiable(
            f"round {found.number} of job {job} is unverifiable: {found.why}; missing: {files or 'nothing'}",
            remedy="give --peer URL of a store that still has the files",
        )
    document = {
        "job": job,
        "round": found.number,
        "serial": found.serial,
        "result": found.id,
        "verdict": found.verdict,
        "why": found.why,
        "block": found.block,
        "coordinate": found.coordinate,
    }
    pairs: list[tuple[str, object]] = [
        ("round", found.number),
        ("result", found.id),
        ("verdict", found.verdict),
    ]
    if found.verdict != "right":
        pairs += [("why", found.why), ("block", found.block), ("coordinate", found.coordinate)]
    current().out.emit(document, facts(pairs))
    if found.verdict != "right":
        raise typer.Exit(WRONG_RESULT)
