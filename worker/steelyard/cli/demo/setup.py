"""The demo's preparations: contracts, published data, money, a posted job, and its members."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from steelyard.chain.dev.devnet import DevChain
from steelyard.cli.demo.accounts import DEPLOYMENT, SPONSOR, Actor
from steelyard.cli.demo.settings import (
    BOND,
    MINIMUM_WINDOW_S,
    POOL,
    ROUNDS,
    STAKE,
    UNBONDING_S,
    description,
)
from steelyard.cli.stores import fetching_only
from steelyard.content import ContentStore, make_store
from steelyard.errors import NodeError
from steelyard.operations import posting, publishing
from steelyard.operations.chain_session import ChainSession
from steelyard.operations.joining import join_job
from steelyard.operations.publishing import PublishedJob
from steelyard.operations.registration import register_aggregator, register_worker

BONDS = 6  # of an aggregator: one for each unsettled result, and one to lose
JOB = 1  # the first on a fresh chain


def deploy_contracts(chain: DevChain, folder: Path) -> dict[str, Any]:
    """Deploy all contracts and write the deployment file atomically.  Returns its content."""
    from web3 import HTTPProvider, Web3

    from steelyard.chain.deploy import deploy
    from steelyard.chain.deployment_plan import DeploymentSettings
    from steelyard.chain.web3_creator import Web3Creator

    settings = DeploymentSettings(minimum_window_s=MINIMUM_WINDOW_S, unbonding_s=UNBONDING_S)
    deployed = deploy(Web3Creator(Web3(HTTPProvider(chain.url)), chain.accounts[0]), settings)
    document = deployed.document()
    part = folder / f".{DEPLOYMENT}"
    part.write_text(json.dumps(document, indent=2) + "\n")
    part.replace(folder / DEPLOYMENT)
    return document


async def publish_job(store: ContentStore, folder: Path) -> PublishedJob:
    """Put data, first model and manifest into the sponsor's store."""
    scratch = folder / "published"
    scratch.mkdir()
    return await publishing.publish_job(description(), store, scratch)


@asynccontextmanager
async def chain_sessions(actors: list[Actor]) -> AsyncIterator[dict[str, ChainSession]]:
    """A client for each account, by name."""
    async with AsyncExitStack() as stack:
        found: dict[str, ChainSession] = {}
        for actor in actors:
            client = await stack.enter_async_context(actor.session().client(signing=True))
            found[actor.name] = ChainSession(client=client)
        yield found


async def register_all(actors: list[Actor], sessions: dict[str, ChainSession]) -> None:
    """Mint tokens, register workers with their stake and aggregators with their bonds."""
    tasks: list[Coroutine[Any, Any, None]] = []
    for actor in actors:
        session = sessions[actor.name]
        if actor.role == "sponsor":
            tasks.append(_mint(session, POOL * ROUNDS))
        elif actor.role == "worker":
            tasks.append(_worker(session))
        elif actor.role == "aggregator":
            tasks.append(_aggregator(session))
    await asyncio.gather(*tasks)


async def post_job(published: PublishedJob, sessions: dict[str, ChainSession]) -> int:
    """Post the job with its bounty in escrow.  Returns its number."""
    job = await posting.post_job(sessions[SPONSOR], description(), published)
    if job != JOB:
        raise NodeError(f"the job is number {job}, the nodes expect {JOB}", remedy="use a fresh chain")
    return job


async def join_all(actors: list[Actor], sessions: dict[str, ChainSession], job: int) -> None:
    """Every worker joins with its own shard; then the sponsor opens the first round."""
    workers = [actor for actor in actors if actor.role == "worker"]
    await asyncio.gather(
        *(_join(actor, sessions[actor.name], job, shard) for shard, actor in enumerate(workers))
    )
    sponsor = sessions[SPONSOR]
    await sponsor.send(sponsor.contracts.coordinator.open_round(job), f"start job {job}")


async def _join(actor: Actor, session: ChainSession, job: int, shard: int) -> None:
    async with make_store(fetching_only(actor.session().config)) as store:
        await join_job(session, store, job, shard=shard)


async def _mint(session: ChainSession, tokens: int) -> None:
    token = await session.deployment_token()
    await session.send(token.calls.mint(session.client.address, token.parse(str(tokens))), f"mint {tokens}")


async def _worker(session: ChainSession) -> None:
    await _mint(session, STAKE)
    await register_worker(session, stake_units=(await session.deployment_token()).parse(str(STAKE)))


async def _aggregator(session: ChainSession) -> None:
    await _mint(session, BOND * BONDS)
    await register_aggregator(session, (await session.deployment_token()).parse(str(BOND * BONDS)))
