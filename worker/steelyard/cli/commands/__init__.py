"""One module for each command group; `install` adds them all to the root."""

from __future__ import annotations

import typer

from steelyard.cli.commands import (
    account,
    aggregator,
    content,
    data,
    demo,
    doctor,
    job,
    model,
    network,
    rewards,
    run,
    token,
    verify,
    worker,
)


def install(app: typer.Typer) -> None:
    """Add every command to the root."""
    for group in (account, network, token, worker, aggregator, job, rewards, model, content, data):
        app.add_typer(group.app)
    for command in (run, verify, demo, doctor):
        command.install(app)
