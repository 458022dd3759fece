"""A node from its settings to its end: keystore, chain, store, job, and the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.client import ChainClient
from steelyard.chain.networks import default_state_dir
from steelyard.chain.wallets import Keystores, Wallet
from steelyard.content import ContentStore
from steelyard.core import kernels
from steelyard.errors import NodeError, Reverted, SteelyardError
from steelyard.nodes.actions.training import TrainerLike
from steelyard.nodes.claims import claim_own
from steelyard.nodes.config import NodeConfig, Role
from steelyard.nodes.context import NodeContext
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.factories import NodeFactories
from steelyard.nodes.files.results import Results
from steelyard.nodes.files.updates import Updates
from steelyard.nodes.gossip.peer_gossip import FanoutListener, hinting
from steelyard.nodes.job_info import ZERO_ADDRESS, JobInfo
from steelyard.nodes.journal import Journal
from steelyard.nodes.node import Node
from steelyard.nodes.reporting import Listener, Reporter
from steelyard.nodes.state.local import LocalState
from steelyard.sealing.keyring import Keyring, SecretKeys


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a node ended: "closed", "aborted" (the job), "left" (its seat), "stopped" (by its operator)."""

    status: str


async def run_node(
    config: NodeConfig,
    *,
    on_event: Listener | None = None,
    stop: asyncio.Event | None = None,
    parts: NodeFactories | None = None,
) -> Outcome:
    """Run one node until its job ends, its seat is gone, or `stop` is set.

    Cancelling, or killing the process, loses nothing: the next run goes on where the chain says things stand.
    Raises SteelyardError where it cannot go on; each says why and what to do.
    """
    parts = parts or NodeFactories()
    ears = FanoutListener(on_event)
    async with AsyncExitStack() as stack:
        desk = await _open(config, ears, parts, stack)
        trainer: TrainerLike | None = None
        if Role.WORKER in config.roles:
            trainer = await stack.enter_async_context(_training(desk, parts))
        desk.report.say(
            "started",
            roles=sorted(str(role) for role in config.roles),
            identity=desk.local.identity,
            operator=desk.client.address,
            url=desk.store.url,
        )
        await stack.enter_async_context(hinting(desk, ears))
        status = await Node(desk, parts, trainer).run(stop or asyncio.Event())
        if status in ("closed", "aborted") and config.claim:
            await claim_own(desk)
        return Outcome(status=status)


async def _open(
    config: NodeConfig, on_event: Listener | None, parts: NodeFactories, stack: AsyncExitStack
) -> NodeContext:
    wallet, keys = await asyncio.to_thread(_unlock, config)
    client = await stack.enter_async_context(
        await ChainClient.connect(
            config.network,
            wallet,
            state_dir=config.state_dir or default_state_dir(),
            on_step=crashpoint,
        )
    )
    identity = await _identity(client)
    folder = config.home / f"job-{config.network.chain_id}-{config.job}-{identity[2:10].lower()}"
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(
        folder / "journal.sqlite",
        {
            "chain": str(config.network.chain_id),
            "genesis": client.genesis,
            "coordinator": client.contracts.coordinator.address,
            "job": str(config.job),
            "account": identity,
        },
    )
    stack.callback(journal.close)
    store: ContentStore = await stack.enter_async_context(parts.store(config.store))
    info = await JobInfo.load(client, store, config.job, scratch=folder / "data", timeout_s=config.fetch_s)
    await _check_seat(client, info, config, identity)
    await asyncio.to_thread(kernels.get)
    desk = _desk(config, client, store, info, journal, identity, folder, on_event)
    desk.keys = keys
    return desk


def _unlock(config: NodeConfig) -> tuple[Wallet, SecretKeys]:
    """The operator key and, for a worker, the encryption keys kept under the same password.

    Raises AccountMissing, WrongPassword.
    """
    password = config.passwords.get(config.account)
    wallet = Keystores(config.keystores).open(config.account, password)
    if Role.WORKER not in config.roles:
        return wallet, SecretKeys()
    return wallet, Keyring.beside(config.keystores).unlock(wallet.address, password)


def _desk(
    config: NodeConfig,
    client: ChainClient,
    store: ContentStore,
    info: JobInfo,
    journal: Journal,
    identity: str,
    folder: Path,
    on_event: Listener | None,
) -> NodeContext:
    local = LocalState(identity=identity)
    updates = Updates(info, store, folder / "updates")
    return NodeContext(
        config=config,
        client=client,
        store=store,
        info=info,
        journal=journal,
        local=local,
        updates=updates,
        results=Results(info, store, updates, local, folder / "results"),
        report=Reporter(identity, config.job, on_event),
        folder=folder,
    )


async def _identity(client: ChainClient) -> str:
    """The identity that the key acts for; the key itself where it is not registered, as a challenger may."""
    try:
        return await client.read(client.contracts.registry.identity_of(client.address))
    except Reverted as error:
        if error.name != "NotRegistered":
            raise
        return client.address


async def _check_seat(client: ChainClient, info: JobInfo, config: NodeConfig, identity: str) -> None:
    """Raises NodeError for a worker without a seat, or with one under another key."""
    if Role.WORKER not in config.roles:
        return
    seat = await client.read(info.contracts.coordinator.seat_of(config.job, client.address))
    if seat.worker == ZERO_ADDRESS:
        raise NodeError(
            f"{identity} has no seat in job {config.job} under the key {client.address}",
            remedy="`steelyard job join` first, or `job reseat` after a change of the operator key",
        )


@asynccontextmanager
async def _training(desk: NodeContext, parts: NodeFactories) -> AsyncIterator[TrainerLike]:
    """The training process, started early; a failure to start is told by the first training."""
    trainer = parts.trainer(desk.folder / "training", desk.config.trainer)

    async def start() -> None:
        with contextlib.suppress(SteelyardError):
            await trainer.start()

    starting = asyncio.create_task(start())
    try:
        yield trainer
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await trainer.close()
