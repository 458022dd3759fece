"""The embedded store's HTTP side: a trustless gateway over what is provided, and the exchange of peers.

`/ipfs/<cid>?format=raw` returns one block, `/ipfs/<cid>` a whole file or a range of it,
`/ipfs/<directory>/<path>` what lies in a directory; `/peers` receives and returns addresses, `/hints/<topic>`
receives messages. What is held but not provided looks exactly like what is not held. Every leaf is checked
before it is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from steelyard.content import http_gossip
from steelyard.content.dagpb import MAX_NODE_BYTES
from steelyard.content.directories import split_path, step
from steelyard.content.gateway_rules import (
    COMMON,
    RAW_TYPE,
    Unsupported,
    block_headers,
    byte_range,
    file_headers,
    is_unchanged,
    refuse,
    wants_raw,
)
from steelyard.content.layout import LEAF_BYTES, Layout
from steelyard.content.local_store import LocalStore
from steelyard.content.peers import Peers
from steelyard.content.rate_limit import TokenBucket
from steelyard.content.store import StoreConfig
from steelyard.content.threads import in_thread
from steelyard.core.cid import Cid
from steelyard.errors import ContentCorrupt, ContentError, ContentMissing

_PROBE = "bafkqaaa"  # the empty identity block, by which clients see that a gateway is trustless
_MAX_BODY = 1024
_QUEUE_S = 10.0
_WRITE = 256 * 1024


class Gateway:
    """Serves one local store over HTTP. `app` is the aiohttp application."""

    def __init__(
        self, local_store: LocalStore, peers: Peers, gossip: http_gossip.HttpGossip, config: StoreConfig
    ) -> None:
        self._local_store = local_store
        self._peers = peers
        self._send_s = config.send_s
        self._streams = asyncio.Semaphore(config.max_streams)
        self._budget = TokenBucket()
        self._exchange = config.exchange
        self.app = web.Application(client_max_size=_MAX_BODY)
        self.app.router.add_route("GET", "/ipfs/{path:.+}", self._get)  # aiohttp does not add HEAD here
        self.app.router.add_route("HEAD", "/ipfs/{path:.+}", self._get)
        self.app.router.add_route("OPTIONS", "/ipfs/{path:.+}", self._options)
        self.app.router.add_post("/peers", self._announce)
        self.app.router.add_post(http_gossip.PATH, gossip.receive)

    async def _options(self, _request: web.Request) -> web.Response:
        return web.Response(status=204, headers=COMMON)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        """Any request under /ipfs/, with errors as HTTP statuses."""
        try:
            raw = wants_raw(request)
            if request.match_info["path"] == _PROBE:
                return web.Response(body=b"", headers=COMMON | {"Content-Type": RAW_TYPE})
            cid = await self._resolve(request.match_info["path"])
            return await (self._block(request, cid) if raw else self._file(request, cid))
        except (TimeoutError, ConnectionError):  # the client reads too slowly, or disconnected
            _abort(request)
            return refuse(408, "too slow")
        except ContentMissing as error:
            return refuse(404, error.message)
        except ContentCorrupt:
            return refuse(500, "the stored copy is damaged")
        except Unsupported as error:
            return refuse(406, error.message)
        except ContentError as error:
            return refuse(400, error.message)

    async def _resolve(self, path: str) -> Cid:
        root, _, rest = path.rstrip("/").partition("/")
        cid = Cid.parse(root)
        for name in split_path(rest):
            block = await in_thread(self._local_store.public_block, cid)
            if block is None or len(block) > MAX_NODE_BYTES:
                raise ContentMissing(f"{cid} is not here")
            cid = step(cid, block, name)
        return cid

    async def _block(self, request: web.Request, cid: Cid) -> web.StreamResponse:
        headers = block_headers(request, cid)
        async with self._turn():
            data = await in_thread(self._local_store.public_block, cid)
            if data is None:
                raise ContentMissing(f"{cid} is not here")
            if is_unchanged(request, headers["Etag"]):
                return web.Response(status=304, headers=headers)
            response = web.Response(body=data, headers=headers)
            async with asyncio.timeout(self._send_s):
                await response.prepare(request)
                await response.write_eof()
            return response

    async def _file(self, request: web.Request, cid: Cid) -> web.StreamResponse:
        layout = await in_thread(self._local_store.public_layout, cid)
        if layout is None:
            if await in_thread(self._local_store.public_block, cid) is None:
                raise ContentMissing(f"{cid} is not here")
            raise Unsupported("not a whole file: ask for ?format=raw, or for a path in the directory")
        headers = file_headers(request, cid)
        if is_unchanged(request, headers["Etag"]):
            return web.Response(status=304, headers=headers)
        try:
            start, stop, status = byte_range(request, layout.size, headers["Etag"])
        except ValueError:
            return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{layout.size}"})
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{layout.size}"
        headers["Content-Length"] = str(stop - start)
        response = web.StreamResponse(status=status, headers=headers)
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        return await self._stream(request, response, cid, layout, range(start, stop))

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, cid: Cid, layout: Layout, span: range
    ) -> web.StreamResponse:
        """Send a range leaf by leaf. If the stored file is damaged, the connection is aborted."""
        async with self._turn():
            for index in range(span.start // LEAF_BYTES, -(-span.stop // LEAF_BYTES)):
                try:
                    leaf = await in_thread(self._local_store.leaf, cid, layout, index)
                except ContentCorrupt:
                    if not response.prepared:
                        raise
                    _abort(request)
                    return response
                base = index * LEAF_BYTES
                part = memoryview(leaf)[max(0, span.start - base) : span.stop - base]
                async with asyncio.timeout(self._send_s):
                    if not response.prepared:
                        await response.prepare(request)
                    for at in range(0, len(part), _WRITE):
                        await response.write(part[at : at + _WRITE])
            if not response.prepared:
                await response.prepare(request)
            await response.write_eof()
        return response

    async def _announce(self, request: web.Request) -> web.Response:
        """Receive a peer's base URL, which is not trusted, and return the peers that answered this store."""
        if not self._exchange:
            return refuse(404, "no exchange of peers here")
        if not self._budget.take(request.remote or ""):
            return refuse(429, "too many announcements")
        try:
            async with asyncio.timeout(_QUEUE_S):
                url = json.loads(await request.read())["url"]
        except (ValueError, TypeError, KeyError, RecursionError, TimeoutError):
            return refuse(400, 'send {"url": "http://host:port"} or {"url": null}')
        if isinstance(url, str):
            self._peers.learn(url)
        reply = {"peers": self._peers.shared(), "swarm": list(self._peers.swarm)}
        return web.json_response(reply, headers=COMMON)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the bounded number of bodies in memory at once."""
        try:
            async with asyncio.timeout(_QUEUE_S):
                await self._streams.acquire()
        except TimeoutError:
            raise web.HTTPServiceUnavailable(headers=COMMON | {"Retry-After": "5"}) from None
        try:
            yield
        finally:
            self._streams.release()


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
