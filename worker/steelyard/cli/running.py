"""Behind `steelyard run`: a node's settings, and its events as lines."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer

from steelyard.cli.session import Session, current
from steelyard.cli.signals import stopping
from steelyard.cli.stores import serving
from steelyard.errors import ConfigError, SteelyardError
from steelyard.learning.trainer import Trainer, TrainerSettings
from steelyard.nodes.config import NodeConfig, Role
from steelyard.nodes.factories import NodeFactories
from steelyard.nodes.reporting import NodeEvent
from steelyard.nodes.runner import run_node
from steelyard.operations.job_terms import wait_for_job
from steelyard.operations.own_data import check_data_file

PARENT_GONE_S = 3.0  # to end in order after the parent process has ended
STAGED_FACTORIES: ContextVar[NodeFactories | None] = ContextVar(
    "staged_factories", default=None
)  # of the demo
QUIET = frozenset(
    {"progress", "submission", "attestation", "held", "opened", "training", "hint", "provided"}
)  # not printed for people


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of `steelyard run`."""

    job: int
    roles: frozenset[str]
    listen: str
    data: Path | None
    evaluate: bool
    claim: bool
    train_on_held: bool
    threads: int
    linger_s: float
    wait_s: float
    with_parent: bool  # end once stdin is closed
    archive: bool = False
    keep_rounds: int = 2
    keep_s: float = 600.0


async def run_roles(options: RunOptions) -> None:
    """Run the node until its job ends or a signal comes; prints its events.  Raises SteelyardError."""
    session = current()
    if options.wait_s:
        waiting = dataclasses.replace(session.config, deployment_wait_s=options.wait_s)
        session = dataclasses.replace(session, config=waiting)
    async with stopping() as stop, _early_trainer(session, options) as trainer:
        if options.with_parent:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _parent_gone, stop)
        config = await node_config(session, options)
        parts = STAGED_FACTORIES.get() or NodeFactories()
        if trainer is not None:
            parts = dataclasses.replace(parts, trainer=lambda _scratch, _settings: trainer)
        show = _json_line if session.out.json else _line
        outcome = await run_node(config, on_event=show, stop=stop, factories=parts)
        if not session.out.json:
            typer.echo(f"the node ended: {outcome.status}")


@contextlib.asynccontextmanager
async def _early_trainer(session: Session, options: RunOptions) -> AsyncIterator[Trainer | None]:
    """The training process of a worker, loaded while it waits for its seat."""
    if not options.wait_s or Role.WORKER not in options.roles:
        yield None
        return
    trainer = Trainer(session.config.home / "training", TrainerSettings(threads=options.threads))
    loading = asyncio.create_task(_load(trainer))
    try:
        yield trainer
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        await trainer.close()


async def _load(trainer: Trainer) -> None:
    """A failure occurs again, and is reported, when training starts."""
    with contextlib.suppress(SteelyardError):
        await trainer.start()


def _parent_gone(stop: asyncio.Event) -> None:
    """The pipe on stdin is closed: the process that started this one has ended."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        asyncio.get_running_loop().call_later(PARENT_GONE_S, os._exit, 1)
        stop.set()


async def node_config(session: Session, options: RunOptions) -> NodeConfig:
    """The node's settings, after the job and the seat are on chain."""
    own_rows = await asyncio.to_thread(check_data_file, options.data)
    network = await asyncio.to_thread(session.network)
    if network.deployment is None:
        raise ConfigError(f"network {network.name} has no deployment", remedy="give --deployment FILE")
    ready = dataclasses.replace(session.config, deployment_wait_s=0)
    session = dataclasses.replace(session, config=ready, patient=True)
    account = session.account_name()
    home = await _node_home(session, options, session.address_of(account))
    session.passwords().get(account)  # here, because a prompt in another thread cannot be interrupted
    return NodeConfig(
        network=network,
        home=home,
        keystores=session.config.keystore_dir,
        account=account,
        passwords=session.passwords(),
        job=options.job,
        roles=frozenset(Role(role) for role in options.roles),
        store=serving(session.config, options.listen),
        state_dir=session.config.state_dir,
        trainer=TrainerSettings(threads=options.threads),
        data=own_rows,
        train_on_held=options.train_on_held,
        evaluate=options.evaluate,
        claim=options.claim,
        linger_s=options.linger_s,
        fetch_s=session.config.fetch_timeout_s,
        hints=session.config.hints,
        archive=options.archive,
        keep_rounds=options.keep_rounds,
        keep_s=options.keep_s,
    )


async def _node_home(session: Session, options: RunOptions, address: str) -> Path:
    """The node's folder, after the job and, for a worker, the seat are on chain.  Raises ConfigError."""
    operator = address if Role.WORKER in options.roles else None
    async with session.client() as client:
        await wait_for_job(client, options.job, operator=operator, timeout_s=options.wait_s)
        name = f"{client.network.chain_id}-{client.genesis[2:10]}-{options.job}-{address.lower()}"
    return session.config.home / "nodes" / name


def _json_line(event: NodeEvent) -> None:
    sys.stdout.write(json.dumps(event.json(), default=str) + "\n")
    sys.stdout.flush()


def _line(event: NodeEvent) -> None:
    if event.kind in QUIET:
        return
    moment = datetime.fromtimestamp(event.at, UTC).strftime("%H:%M:%S")
    place = f" round {event.round}" if event.round is not None else ""
    fields = ", ".join(
        f"{name} {_brief(value)}" for name, value in event.fields.items() if value not in (None, "")
    )
    typer.echo(f"{moment}{place} {event.kind}: {fields}" if fields else f"{moment}{place} {event.kind}")


def _brief(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return f"{text[:12]}…" if text.startswith("0x") and len(text) > 42 else text
