"""A small contract, clients on any development chain, and a middleman that misbehaves as networks do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from steelyard.chain.calls import creation
from steelyard.chain.client import ChainClient
from steelyard.chain.codec import Interface
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.wallets import Wallet
from support.chain_bench import BUILD, Bench, MakeBench, Middleman, StartMiddleman, compile_box, network_of
from support.chains import StartChain


@pytest.fixture(scope="session")
def box_interface() -> Interface:
    """Box.sol, compiled by the project's solc; kept under build/ until the source changes."""
    source = (Path(__file__).parent / "Box.sol").read_text("utf-8")
    kept = BUILD / "Box.json"
    if kept.is_file() and json.loads(kept.read_text("utf-8"))["source"] == source:
        document = json.loads(kept.read_text("utf-8"))
    else:
        document = {**compile_box(source), "source": source}
        BUILD.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(document), "utf-8")
    return Interface("Box", document["abi"], bytes.fromhex(document["bytecode"]))


@pytest.fixture
async def make_bench(box_interface: Interface, tmp_path: Path) -> AsyncIterator[MakeBench]:
    """`await make_bench(chain)`: a fresh Box there, deployed by the chain's last account."""
    benches: list[Bench] = []

    async def make(chain: DevChain) -> Bench:
        deployer = Wallet(chain.accounts[-1])
        network = network_of(chain)
        async with await ChainClient.connect(network, deployer, state_dir=tmp_path) as client:
            receipt = await client.send(creation(box_interface, 0))
        assert receipt.created is not None
        benches.append(Bench(chain, box_interface, receipt.created, tmp_path))
        return benches[-1]

    yield make
    for bench in benches:
        for client in bench.clients:
            await client.close()


@pytest.fixture
async def bench(chain: DevChain, make_bench: MakeBench, start_chain: StartChain) -> Bench:
    """A Box on each development chain in turn.

    geth gives each block a second of its own: a chain that was busy is far ahead of the clock, and another
    one is started.
    """
    ahead_s = int(chain.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16) - time.time()
    return await make_bench(chain if ahead_s < 5 else start_chain(chain.kind, accounts=40))


@pytest.fixture
async def anvil_bench(anvil: DevChain, make_bench: MakeBench) -> Bench:
    """A Box on the anvil that all tests share: for tests that do nothing to the chain itself."""
    return await make_bench(anvil)


@pytest.fixture
async def middleman() -> AsyncIterator[StartMiddleman]:
    """`await middleman(url)`: a proxy in front of that RPC."""
    runners: list[web.AppRunner] = []

    async def start(target: str) -> Middleman:
        made = Middleman(target)
        application = web.Application()
        application.router.add_post("/{path:.*}", made.handle)
        runner = web.AppRunner(application)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return made

    yield start
    for runner in runners:
        await asyncio.wait_for(runner.cleanup(), 60)
