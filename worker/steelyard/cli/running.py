"""Behind `steelyard run`: settings for a node, the wait for its job, and its events as lines."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer

from steelyard.chain.client import ChainClient
from steelyard.cli.jobs.history import NOBODY
from steelyard.cli.jobs.own_data import check_file
from steelyard.cli.session import Session, current
from steelyard.cli.signals import stopping
from steelyard.cli.stores import serving
from steelyard.errors import ConfigError, SteelyardError
from steelyard.learning.trainer import Trainer, TrainerSettings
from steelyard.nodes.config import NodeConfig, Role
from steelyard.nodes.factories import NodeFactories
from steelyard.nodes.reporting import NodeEvent
from steelyard.nodes.runner import run_node

WAIT_STEP_S = 0.3
PARENT_WENT_S = 3.0  # to end in order once the parent process has gone
STAGED_PARTS: ContextVar[NodeFactories | None] = ContextVar(
    "staged_parts", default=None
)  # a demonstration's own
QUIET = frozenset(
    {"progress", "submission", "attestation", "held", "opened", "training", "hint", "provided"}
)  # of people's lines


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The flags of `steelyard run`."""

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


async def run_roles(wishes: RunOptions) -> None:
    """Run the node until its job ends or a signal comes; prints its events.  Raises SteelyardError."""
    session = current()
    if wishes.wait_s:
        waiting = dataclasses.replace(session.config, deployment_wait_s=wishes.wait_s)
        session = dataclasses.replace(session, config=waiting)
    async with stopping() as stop, _early_trainer(session, wishes) as trainer:
        if wishes.with_parent:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _parent_went, stop)
        config = await node_config(session, wishes)
        parts = STAGED_PARTS.get() or NodeFactories()
        if trainer is not None:
            parts = dataclasses.replace(parts, trainer=lambda _scratch, _settings: trainer)
        show = _json_line if session.out.json else _line
        outcome = await run_node(config, on_event=show, stop=stop, parts=parts)
        if not session.out.json:
            typer.echo(f"the node ended: {outcome.status}")


@contextlib.asynccontextmanager
async def _early_trainer(session: Session, wishes: RunOptions) -> AsyncIterator[Trainer | None]:
    """The training process of a worker that waits for its seat anyway: it loads meanwhile."""
    if not wishes.wait_s or Role.WORKER not in wishes.roles:
        yield None
        return
    trainer = Trainer(session.config.home / "training", TrainerSettings(threads=wishes.threads))
    loading = asyncio.create_task(_load(trainer))
    try:
        yield trainer
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        await trainer.close()


async def _load(trainer: Trainer) -> None:
    """A failure shows again, and is told, when training is wanted."""
    with contextlib.suppress(SteelyardError):
        await trainer.start()


def _parent_went(stop: asyncio.Event) -> None:
    """The pipe on stdin is closed: whoever started this process has ended."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        asyncio.get_running_loop().call_later(PARENT_WENT_S, os._exit, 1)
        stop.set()


async def node_config(session: Session, wishes: RunOptions) -> NodeConfig:
    """The node's settings, once the chain has what it needs."""
    own_rows = await asyncio.to_thread(check_file, wishes.data)
    network = await asyncio.to_thread(session.network)
    if network.deployment is None:
        raise ConfigError(f"network {network.name} names no deployment", remedy="give --deployment FILE")
    ready = dataclasses.replace(session.config, deployment_wait_s=0)
    session = dataclasses.replace(session, config=ready, patient=True)
    account = session.account_name()
    address = session.address_of(account)
    async with session.client() as client:
        await _await_place(client, wishes, address)
        genesis = client.genesis[2:10]
    session.passwords().get(account)  # asked for here, as a prompt in another thread could not be interrupted
    home = session.config.home / "nodes" / f"{network.chain_id}-{genesis}-{wishes.job}-{address.lower()}"
    return NodeConfig(
        network=network,
        home=home,
        keystores=session.config.keystore_dir,
        account=account,
        passwords=session.passwords(),
        job=wishes.job,
        roles=frozenset(Role(role) for role in wishes.roles),
        store=serving(session.config, wishes.listen),
        state_dir=session.config.state_dir,
        trainer=TrainerSettings(threads=wishes.threads),
        data=own_rows,
        train_on_held=wishes.train_on_held,
        evaluate=wishes.evaluate,
        claim=wishes.claim,
        linger_s=wishes.linger_s,
        fetch_s=session.config.fetch_timeout_s,
        hints=session.config.hints,
        archive=wishes.archive,
        keep_rounds=wishes.keep_rounds,
        keep_s=wishes.keep_s,
    )


async def _await_place(client: ChainClient, wishes: RunOptions, operator: str) -> None:
    """Wait for the job and, as a worker, the seat.  Raises ConfigError where they do not come in time."""
    coordinator = client.contracts.coordinator
    until = time.monotonic() + wishes.wait_s
    while True:
        exists = await client.read(coordinator.job_count()) >= wishes.job
        seated = exists and (await client.read(coordinator.seat_of(wishes.job, operator))).worker != NOBODY
        if exists and (seated or Role.WORKER not in wishes.roles):
            return
        if time.monotonic() >= until:
            break
        await asyncio.sleep(WAIT_STEP_S)
    if not exists:
        remedy = "`steelyard job list` shows the jobs; check --network and --deployment"
        raise ConfigError(f"there is no job {wishes.job} on network {client.network.name}", remedy=remedy)
    raise ConfigError(
        f"{operator} has no seat in job {wishes.job}",
        remedy=f"`steelyard job join {wishes.job}`, or choose --account",
    )


def _json_line(event: NodeEvent) -> None:
    sys.stdout.write(json.dumps(event.json(), default=str) + "\n")
    sys.stdout.flush()


def _line(event: NodeEvent) -> None:
    if event.kind in QUIET:
        return
    moment = datetime.fromtimestamp(event.at, UTC).strftime("%H:%M:%S")
    place = f" round {event.round}" if event.round is not None else ""
    told = ", ".join(
        f"{name} {_brief(value)}" for name, value in event.fields.items() if value not in (None, "")
    )
    typer.echo(f"{moment}{place} {event.kind}: {told}" if told else f"{moment}{place} {event.kind}")


def _brief(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return f"{text[:12]}…" if text.startswith("0x") and len(text) > 42 else text
