"""Exchanges with an IPFS daemon's RPC: recorded on the way to a real one, or played back without one.

An exchange is found again by its daemon, method, path, query and the hash of its body (a multipart boundary
counts as the same). Playing back fails on an exchange that was not recorded and on one that is not used. An
answer comes no earlier than those that came before it in the recording, so waiting is played back as well;
what the client gave up waiting for then, it has to give up again. A subscription is told bit by bit: each bit
comes no earlier than the requests that were made before it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import re
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

ORDER_S = 10.0  # until the answers before one have been asked for
STREAMS = ("/api/v0/pubsub/sub",)  # answers that come over time and go on until the client has enough
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')


@dataclass(kw_only=True)
class Exchange:
    """One request and its answer. `ended` counts all daemons' answers; None where none was awaited."""

    daemon: int
    method: str
    path: str
    query: str
    body: str  # sha256 of the request's body
    status: int = 0
    reply: str = ""  # base64 of the deflated bytes
    ended: int | None = None
    bits: list[tuple[int, str]] = field(
        default_factory=list
    )  # of a stream: requests made before each bit, and the bit like `reply`

    @property
    def key(self) -> tuple[int, str, str, str, str]:
        return self.daemon, self.method, self.path, self.query, self.body

    def __str__(self) -> str:
        return f"daemon {self.daemon}: {self.method} {self.path}?{self.query} body {self.body[:12]}"


class Tape:
    """All exchanges of one test with its daemons."""

    def __init__(self, exchanges: list[Exchange] | None = None) -> None:
        self.exchanges = exchanges or []
        self.problems: list[str] = []
        self._open = list(self.exchanges)
        self._begun = self._ended = 0
        self._turn = asyncio.Condition()

    @classmethod
    def load(cls, path: Path) -> Tape:
        return cls([Exchange(**found) for found in map(json.loads, path.read_text().splitlines())])

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(_told(each)) + "\n" for each in self.exchanges))

    def begin(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def end(self, exchange: Exchange, status: int, reply: bytes) -> None:
        exchange.status, exchange.ended = status, self._ended
        exchange.reply = _packed(reply)
        self._ended += 1

    async def take(self, wanted: Exchange) -> Exchange | None:
        """The first recorded exchange like it that is still open."""
        for index, each in enumerate(self._open):
            if each.key == wanted.key:
                async with self._turn:
                    self._begun += 1
                    self._turn.notify_all()
                return self._open.pop(index)
        self.problems.append(f"not recorded: {wanted}")
        return None

    async def begun(self, count: int) -> None:
        """Wait until so many requests have been made."""
        async with self._turn:
            await self._turn.wait_for(lambda: self._begun >= count)

    async def turn(self, exchange: Exchange) -> None:
        """Wait until all answers that were earlier have been given."""
        async with self._turn:
            try:
                async with asyncio.timeout(ORDER_S):
                    await self._turn.wait_for(lambda: self._ended == exchange.ended)
            except TimeoutError:
                self.problems.append(f"asked for before its time: {exchange}")

    async def given(self) -> None:
        async with self._turn:
            self._ended += 1
            self._turn.notify_all()

    def check(self) -> None:
        """Raises AssertionError for what was not recorded or not used."""
        unused = [f"not used: {each}" for each in self._open]
        if self.problems or unused:
            raise AssertionError("\n".join([*self.problems, *unused]))


@asynccontextmanager
async def recorder(tape: Tape, daemon: int, target: str) -> AsyncIterator[str]:
    """A proxy to a real daemon; yields its base URL."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            data = await request.read()
            exchange = _exchange(daemon, request, data)
            tape.begin(exchange)
            kind = {"Content-Type": request.headers["Content-Type"]} if data else {}
            url = f"{target}{request.rel_url}"
            async with session.request(request.method, url, data=io.BytesIO(data), headers=kind) as response:
                if request.path in STREAMS and response.status == 200:
                    return await _relay(request, tape, exchange, response)
                reply = await response.read()
            tape.end(exchange, response.status, reply)
            return await _answer(request, response.status, reply)

        async with _serving(handle) as url:
            yield url


@asynccontextmanager
async def player(tape: Tape, daemon: int) -> AsyncIterator[str]:
    """A daemon as it was recorded; yields its base URL."""

    async def handle(request: web.Request) -> web.StreamResponse:
        found = await tape.take(_exchange(daemon, request, await request.read()))
        if found is None:
            return web.json_response({"Message": "not recorded", "Code": 0, "Type": "error"}, status=500)
        if found.bits:
            await _tell_again(request, tape, found)
        if found.ended is None:
            await asyncio.sleep(3600)
        await tape.turn(found)
        await tape.given()
        return await _answer(request, found.status, _unpacked(found.reply))

    async with _serving(handle) as url:
        yield url


async def _relay(
    request: web.Request, tape: Tape, exchange: Exchange, source: aiohttp.ClientResponse
) -> web.StreamResponse:
    """Pass a stream on as it comes, until the client leaves."""
    exchange.status = source.status
    response = web.StreamResponse()
    await response.prepare(request)
    async for bit in source.content.iter_any():
        exchange.bits.append((len(tape.exchanges), _packed(bit)))
        await response.write(bit)
    return response


async def _tell_again(request: web.Request, tape: Tape, found: Exchange) -> None:
    response = web.StreamResponse(status=found.status)
    await response.prepare(request)
    for begun, bit in found.bits:
        await tape.begun(begun)
        await response.write(_unpacked(bit))
    await asyncio.sleep(3600)


async def _answer(request: web.Request, status: int, reply: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=status)
    await response.prepare(request)
    await response.write(reply)
    await response.write_eof()
    return response


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _told(exchange: Exchange) -> dict[str, object]:
    """For the file; most have no stream."""
    return {name: value for name, value in asdict(exchange).items() if name != "bits" or value}


def _exchange(daemon: int, request: web.Request, data: bytes) -> Exchange:
    boundary = _BOUNDARY.search(request.headers.get("Content-Type", ""))
    if boundary is not None:
        data = data.replace(boundary[1].encode(), b"boundary")
    return Exchange(
        daemon=daemon,
        method=request.method,
        path=request.path,
        query=request.query_string,
        body=hashlib.sha256(data).hexdigest(),
    )


@asynccontextmanager
async def _serving(handle: object) -> AsyncIterator[str]:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handle)  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await runner.cleanup()
