"""A small contract, clients on any development chain, and a middleman that misbehaves as networks do."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from steelyard.chain.calls import Contract, creation
from steelyard.chain.client import ChainClient
from steelyard.chain.codec import Interface
from steelyard.chain.devnet import DevChain
from steelyard.chain.networks import KNOWN, Network
from steelyard.chain.wallets import Wallet

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / "tests"


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


def compile_box(source: str) -> dict[str, Any]:
    request = {
        "language": "Solidity",
        "sources": {"Box.sol": {"content": source}},
        "settings": {
            "evmVersion": "shanghai",
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        },
    }
    ran = subprocess.run(
        [str(ROOT / "scripts" / "solc"), "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    unit = json.loads(ran.stdout)["contracts"]["Box.sol"]["Box"]
    return {"abi": unit["abi"], "bytecode": unit["evm"]["bytecode"]["object"]}


def network_of(chain: DevChain, **changes: Any) -> Network:
    name = "anvil" if chain.kind == "anvil" else "ganache"
    return dataclasses.replace(KNOWN[name].at(chain.url), **changes)


@dataclass
class Bench:
    """A Box on a chain, and clients of any of its accounts; all share `state_dir`."""

    chain: DevChain
    interface: Interface
    address: str
    state_dir: Path
    clients: list[ChainClient] = field(default_factory=list)

    @property
    def box(self) -> Contract:
        return Contract(self.interface, self.address)

    def wallet(self, account: int) -> Wallet:
        return Wallet(self.chain.accounts[account])

    async def client(
        self,
        account: int | None = 0,
        *,
        url: str | None = None,
        on_step: Callable[[str], None] | None = None,
        **changes: Any,
    ) -> ChainClient:
        network = network_of(self.chain, **changes)
        made = await ChainClient.connect(
            network.at(url) if url else network,
            None if account is None else self.wallet(account),
            state_dir=self.state_dir,
            interfaces={self.address: self.interface},
            on_step=on_step,
        )
        self.clients.append(made)
        return made


MakeBench = Callable[[DevChain], Awaitable[Bench]]


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
async def bench(chain: DevChain, make_bench: MakeBench) -> Bench:
    """A Box on each development chain in turn."""
    return await make_bench(chain)


@pytest.fixture
async def anvil_bench(anvil: DevChain, make_bench: MakeBench) -> Bench:
    """A Box on the anvil that all tests share: for tests that do nothing to the chain itself."""
    return await make_bench(anvil)


@dataclass
class Middleman:
    """A JSON-RPC proxy. `rules` are asked in turn for each request; the first that answers decides.

    A rule gives None (forward), a dict (merged into the answer: a `result` or an `error`), an int (that HTTP
    status), or "cut" (the connection breaks), "late" (after the chain has answered, it breaks).
    """

    target: str
    url: str = ""
    rules: list[Callable[[str, list[Any]], Any]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        method, params = body["method"], body["params"]
        self.seen.append(method)
        for rule in self.rules:
            verdict = rule(method, params)
            if verdict is None:
                continue
            if isinstance(verdict, int):
                return web.Response(status=verdict)
            if isinstance(verdict, dict):
                return web.json_response({"jsonrpc": "2.0", "id": body["id"], **verdict})
            if verdict == "late":
                await self._forward(body)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.json_response(await self._forward(body))

    async def _forward(self, body: Any) -> Any:
        async with aiohttp.ClientSession() as session, session.post(self.target, json=body) as answer:
            return await answer.json()


@pytest.fixture
async def middleman() -> AsyncIterator[Callable[[str], Awaitable[Middleman]]]:
    """`await middleman(url)`: a proxy in front of that RPC."""
    runners: list[web.AppRunner] = []

    async def start(target: str) -> Middleman:
        made = Middleman(target)
        application = web.Application()
        application.router.add_post("/", made.handle)
        runner = web.AppRunner(application)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return made

    yield start
    for runner in runners:
        await asyncio.wait_for(runner.cleanup(), 10)


def times(count: int, verdict: Any, *methods: str) -> Callable[[str, list[Any]], Any]:
    """A rule that gives `verdict` for the first `count` requests of these methods (of any, where none is named)."""
    left = [count]

    def rule(method: str, params: list[Any]) -> Any:
        if left[0] > 0 and (not methods or method in methods):
            left[0] -= 1
            return verdict
        return None

    return rule
