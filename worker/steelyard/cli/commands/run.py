"""`steelyard run`: a node of one account in one job, in one or several roles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.session import do

ROLES = ("worker", "aggregator", "challenger")


def install(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("run")(run)


def run(
    job: Annotated[int, typer.Option(help="Number of the job.", min=1)],
    role: Annotated[list[str], typer.Option(help="worker, aggregator or challenger; repeatable.")],
    listen: Annotated[str, typer.Option(help="host:port at which files are served.")] = "",
    data: Annotated[Path | None, typer.Option(help="File of own rows.")] = None,
    evaluate: Annotated[bool, typer.Option(help="Test each rebuilt model on the job's test rows.")] = False,
    claim: Annotated[bool, typer.Option(help="Claim this identity's shares after the job's end.")] = False,
    train_on_held: Annotated[bool, typer.Option(help="Train on a held result before rebuilding it.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of training.")] = 1,
    linger: Annotated[float, typer.Option(min=0, help="Seconds to serve files after the end.")] = 0.0,
    archive: Annotated[bool, typer.Option(help="Keep all files of the job permanently.")] = False,
    keep_rounds: Annotated[int, typer.Option(min=1, help="Final rounds whose files are kept.")] = 2,
    keep_for: Annotated[str, typer.Option(help="How much longer files of earlier rounds are kept.")] = "10m",
    wait: Annotated[float, typer.Option(min=0, help="Seconds for deployment, job and seat to appear.")] = 0.0,
    with_parent: Annotated[bool, typer.Option(help="End when stdin is closed.", hidden=True)] = False,
) -> None:
    """Take part in a job until it ends. After Ctrl-C or a crash the same command resumes.

    Prints one line for each event; with --json one JSON object a line.
    """
    from steelyard.cli.running import RunOptions, run_roles
    from steelyard.operations.units import parse_duration

    unknown = sorted(set(role) - set(ROLES))
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)}: worker, aggregator or challenger", param_hint="--role"
        )
    options = RunOptions(
        job=job, roles=frozenset(role), listen=listen, data=data, evaluate=evaluate, claim=claim,
        train_on_held=train_on_held, threads=threads, linger_s=linger, wait_s=wait,
        with_parent=with_parent, archive=archive, keep_rounds=keep_rounds,
        keep_s=parse_duration(keep_for, "--keep-for"),
    )  # fmt: skip
    do(run_roles(options))
