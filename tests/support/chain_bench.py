"""A small contract, clients on any development chain, and a middleman that misbehaves as networks do."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from steelyard.chain.calls import Contract
from steelyard.chain.client import ChainClient
from steelyard.chain.codec import Interface
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.networks import KNOWN, Network
from steelyard.chain.wallets import Wallet

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "tests"


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
    return dataclasses.replace(KNOWN[name].with_url(chain.url), **changes)


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
            network.with_url(url) if url else network,
            None if account is None else self.wallet(account),
            state_dir=self.state_dir,
            interfaces={self.address: self.interface},
            on_step=on_step,
        )
        self.clients.append(made)
        return made


MakeBench = Callable[[DevChain], Awaitable[Bench]]


@dataclass
class Middleman:
    """A JSON-RPC proxy. `rules` are asked in turn for each request; the first that answers decides.

    A rule gives None (forward), a dict (merged into the answer: a `result` or an `error`), an int (that HTTP
    status), a tuple (status, dict), "cut" (the connection breaks), "late" (it breaks with the chain done), or
    "mute" (no answer until the caller hangs up).
    """

    target: str
    url: str = ""
    rules: list[Callable[[str, list[Any]], Any]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    batches: bool = True

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if isinstance(body, list):
            if self.batches:
                return web.json_response(await self._forward(body))
            error = {"code": -32600, "message": "batch requests are not supported"}
            return web.json_response({"jsonrpc": "2.0", "id": None, "error": error})
        method, params = body["method"], body["params"]
        self.seen.append(method)
        for rule in self.rules:
            verdict = rule(method, params)
            if verdict is None:
                continue
            return await self._misbehave(request, body, verdict)
        return web.json_response(await self._forward(body))

    async def _misbehave(self, request: web.Request, body: Any, verdict: Any) -> web.StreamResponse:
        if isinstance(verdict, int):
            return web.Response(status=verdict)
        if isinstance(verdict, tuple):
            status, answer = verdict
            return web.json_response({"jsonrpc": "2.0", "id": body["id"], **answer}, status=status)
        if isinstance(verdict, dict):
            return web.json_response({"jsonrpc": "2.0", "id": body["id"], **verdict})
        if verdict == "mute":
            while request.transport is not None:
                await asyncio.sleep(0.05)
            return web.Response()
        if verdict == "late":
            await self._forward(body)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _forward(self, body: Any) -> Any:
        async with aiohttp.ClientSession() as session, session.post(self.target, json=body) as answer:
            return await answer.json()


StartMiddleman = Callable[[str], Awaitable[Middleman]]


def times(count: int, verdict: Any, *methods: str) -> Callable[[str, list[Any]], Any]:
    """A rule that gives `verdict` for the first `count` requests of these methods (none named: of any)."""
    left = [count]

    def rule(method: str, params: list[Any]) -> Any:
        if left[0] > 0 and (not methods or method in methods):
            left[0] -= 1
            return verdict
        return None

    return rule
