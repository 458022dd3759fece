"""The demo's preparations: contracts, published data, money, a posted job, and its members."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.generated.structs import Purse
from steelyard.chain.permits import sign_permit
from steelyard.cli.collateral import deposit
from steelyard.cli.context import ChainSession
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
from steelyard.cli.jobs.joining import join
from steelyard.cli.jobs.posting import post
from steelyard.cli.jobs.publishing import Published, publish
from steelyard.content import ContentStore
from steelyard.errors import NodeError

BONDS = 6  # that an aggregator brings: one for each result that is not settled, and one to lose
JOB = 1  # the first on a fresh chain


def deploy_contracts(chain: DevChain, folder: Path) -> dict[str, Any]:
    """Deploy all contracts and write the deployment file, at once or not at all.  Returns its content."""
    from web3 import HTTPProvider, Web3

    from steelyard.chain.deploy import Web3Creator, deploy
    from steelyard.chain.deployment_plan import DeploymentSettings

    settings = DeploymentSettings(minimum_window_s=MINIMUM_WINDOW_S, unbonding_s=UNBONDING_S)
    deployed = deploy(Web3Creator(Web3(HTTPProvider(chain.url)), chain.accounts[0]), settings)
    document = deployed.document()
    part = folder / f".{DEPLOYMENT}"
    part.write_text(json.dumps(document, indent=2) + "\n")
    part.replace(folder / DEPLOYMENT)
    return document


async def publish_job(store: ContentStore, folder: Path) -> Published:
    """Put data, first model and manifest into the sponsor's store."""
    scratch = folder / "published"
    scratch.mkdir()  # local, once
    return await publish(description(), store, scratch)


@asynccontextmanager
async def at_work(actors: list[Actor]) -> AsyncIterator[dict[str, ChainSession]]:
    """A client for each account, by name."""
    async with AsyncExitStack() as stack:
        found: dict[str, ChainSession] = {}
        for actor in actors:
            session = actor.session()
            client = await stack.enter_async_context(session.client(signing=True))
            found[actor.name] = ChainSession(session=session, client=client, contracts=client.contracts)
        yield found


async def register_all(actors: list[Actor], works: dict[str, ChainSession]) -> None:
    """Mint tokens, register workers with their stake and aggregators with their bonds."""
    acts: list[Coroutine[Any, Any, None]] = []
    for actor in actors:
        at = works[actor.name]
        if actor.role == "sponsor":
            acts.append(_mint(at, POOL * ROUNDS))
        elif actor.role == "worker":
            acts.append(_worker(at))
        elif actor.role == "aggregator":
            acts.append(_aggregator(at))
    await asyncio.gather(*acts)


async def post_job(published: Published, works: dict[str, ChainSession]) -> int:
    """Post the job with its bounty in escrow.  Returns its number."""
    job = await post(works[SPONSOR], description(), published)
    if job != JOB:
        raise NodeError(f"the job is number {job}, the nodes expect {JOB}", remedy="use a fresh chain")
    return job


async def join_all(actors: list[Actor], works: dict[str, ChainSession], job: int) -> None:
    """Every worker joins with a shard of its own; then the sponsor opens the first round."""
    workers = [actor for actor in actors if actor.role == "worker"]
    await asyncio.gather(
        *(join(works[actor.name], job, shard=shard, data="") for shard, actor in enumerate(workers))
    )
    sponsor = works[SPONSOR]
    await sponsor.send(sponsor.contracts.coordinator.open_round(job), f"start job {job}")


async def _mint(at: ChainSession, tokens: int) -> None:
    token = await at.own_token()
    await at.send(token.calls.mint(at.client.address, token.parse(str(tokens))), f"mint {tokens}")


async def _worker(at: ChainSession) -> None:
    await _mint(at, STAKE)
    own = at.client.address
    units = (await at.own_token()).parse(str(STAKE))
    permit = await sign_permit(at.client, units)
    call = at.contracts.registry.register_with_permit(own, own, bytes(32), units, permit)
    await at.send(call, "register with a stake")


async def _aggregator(at: ChainSession) -> None:
    await _mint(at, BOND * BONDS)
    own = at.client.address
    await at.send(at.contracts.registry.register(own, own, bytes(32), 0), "register")
    await deposit(at, own, Purse.BOND, (await at.own_token()).parse(str(BOND * BONDS)))
