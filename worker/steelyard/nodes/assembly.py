"""Builds a node's context from its settings: keystore, chain client, journal, store and job."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from steelyard.chain.client import ChainClient
from steelyard.chain.networks import default_state_dir
from steelyard.chain.types import ZERO_ADDRESS
from steelyard.chain.wallets import Keystores, Wallet
from steelyard.content import ContentStore
from steelyard.core import kernels
from steelyard.errors import NodeError, Reverted, SteelyardError
from steelyard.nodes.actions.training import TrainerLike
from steelyard.nodes.config import NodeConfig, Role
from steelyard.nodes.context import NodeContext
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.factories import NodeFactories
from steelyard.nodes.files.results import Results
from steelyard.nodes.files.updates import Updates
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.journal import Journal
from steelyard.nodes.reporting import Listener, Reporter
from steelyard.nodes.state.local import LocalState
from steelyard.sealing.keyring import Keyring, SecretKeys


async def open_context(
    config: NodeConfig, factories: NodeFactories, listener: Listener | None, stack: AsyncExitStack
) -> NodeContext:
    """Unlock the keys, connect, open journal and store, and load the job.

    `stack` closes them. Raises SteelyardError.
    """
    wallet, keys = await asyncio.to_thread(_unlock, config)
    client = await stack.enter_async_context(await _connect(config, wallet))
    identity = await _identity(client)
    folder = config.home / f"job-{config.network.chain_id}-{config.job}-{identity[2:10].lower()}"
    folder.mkdir(parents=True, exist_ok=True)
    journal = _journal(config, client, identity, folder)
    stack.callback(journal.close)
    store: ContentStore = await stack.enter_async_context(factories.store(config.store))
    info = await JobInfo.load(client, store, config.job, scratch=folder / "data", timeout_s=config.fetch_s)
    await _check_seat(client, info, config, identity)
    await asyncio.to_thread(kernels.get)  # compiles them before the first window
    local, updates = LocalState(identity=identity), Updates(info, store, folder / "updates")
    return NodeContext(
        config=config,
        client=client,
        store=store,
        info=info,
        journal=journal,
        local=local,
        updates=updates,
        results=Results(info, store, updates, local, folder / "results"),
        report=Reporter(identity, config.job, listener),
        folder=folder,
        keys=keys,
    )


@asynccontextmanager
async def training_process(context: NodeContext, factories: NodeFactories) -> AsyncIterator[TrainerLike]:
    """The training process, started in the background. An error to start is raised by the first training."""
    trainer = factories.trainer(context.folder / "training", context.config.trainer)

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


async def _connect(config: NodeConfig, wallet: Wallet) -> ChainClient:
    state_dir = config.state_dir or default_state_dir()
    return await ChainClient.connect(config.network, wallet, state_dir=state_dir, on_step=crashpoint)


def _journal(config: NodeConfig, client: ChainClient, identity: str, folder: Path) -> Journal:
    return Journal(
        folder / "journal.sqlite",
        {
            "chain": str(config.network.chain_id),
            "genesis": client.genesis,
            "coordinator": client.contracts.coordinator.address,
            "job": str(config.job),
            "account": identity,
        },
    )


def _unlock(config: NodeConfig) -> tuple[Wallet, SecretKeys]:
    """The operator key and, for a worker, the encryption keys under the same password.

    Raises AccountMissing, WrongPassword.
    """
    password = config.passwords.get(config.account)
    wallet = Keystores(config.keystores).open(config.account, password)
    if Role.WORKER not in config.roles:
        return wallet, SecretKeys()
    return wallet, Keyring.beside(config.keystores).unlock(wallet.address, password)


async def _identity(client: ChainClient) -> str:
    """The identity that the key acts for; the key's own address if it is not registered (a challenger)."""
    try:
        return await client.read(client.contracts.registry.identity_of(client.address))
    except Reverted as error:
        if error.name != "NotRegistered":
            raise
        return client.address


async def _check_seat(client: ChainClient, info: JobInfo, config: NodeConfig, identity: str) -> None:
    """Raises NodeError for a worker without a seat, or with a seat under another key."""
    if Role.WORKER not in config.roles:
        return
    seat = await client.read(info.contracts.coordinator.seat_of(config.job, client.address))
    if seat.worker == ZERO_ADDRESS:
        raise NodeError(
            f"{identity} has no seat in job {config.job} under the key {client.address}",
            remedy="run `steelyard job join` first, or `job reseat` after a change of the operator key",
        )
