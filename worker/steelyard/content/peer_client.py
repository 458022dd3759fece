"""One peer over HTTP: blocks and ranges of files, every byte checked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import aiohttp

from steelyard.content.layout import LEAF_BYTES, Layout
from steelyard.content.peer_addresses import GuardedResolver, host_of, normal_url
from steelyard.content.store import StoreConfig
from steelyard.core.cid import RAW, Cid
from steelyard.errors import ContentError

Put: TypeAlias = Callable[[int, bytearray], Awaitable[None]]  # (leaf index, its bytes)

_RAW_TYPE = "application/vnd.ipld.raw"
_MAX_PEERS_REPLY = 16 * 1024
_READ_BUFFER = 256 * 1024


class PeerMiss(ContentError):
    """The peer does not serve this file."""


class PeerFault(ContentError):
    """The peer stalled, disconnected or, if `lied` is set, sent bytes that do not match their hash."""

    def __init__(self, message: str, *, lied: bool = False) -> None:
        super().__init__(message)
        self.lied = lied


class NoRanges(ContentError):
    """The peer serves single blocks only."""


class PeerClient:
    """A session for many peers. It follows no redirect, keeps no cookie and unpacks nothing."""

    def __init__(self, config: StoreConfig) -> None:
        trusted = [host_of(url) for url in map(normal_url, config.peers) if url]
        resolver = GuardedResolver(allow_private=config.allow_private, trusted=trusted)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=64, limit_per_host=8),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=config.connect_s, sock_read=config.stall_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            headers={"Accept-Encoding": "identity", "User-Agent": "steelyard"},
        )
        self._leaf_s = config.leaf_s
        self._stall_s = config.stall_s

    async def close(self) -> None:
        """Drop all connections."""
        await self._session.close()

    async def block(self, url: str, cid: Cid, limit: int, patience: float = 1.0) -> bytes:
        """One block of at most `limit` bytes, equal to its hash. Raises PeerMiss or PeerFault."""
        headers = {"Accept": _RAW_TYPE}
        leaf_s = self._leaf_s * patience
        async with self._get(f"{url}/ipfs/{cid}?format=raw", headers, leaf_s) as response:
            _expect(response, url, 200)
            declared = response.content_length
            if declared is not None and declared > limit:
                raise PeerFault(f"{url} declares {declared} bytes for a block of at most {limit}")
            async with asyncio.timeout(leaf_s):
                data = await read_all(response.content, limit, url)
        if not cid.matches(data):
            raise PeerFault(f"{url} sent {len(data)} bytes that do not match the hash of {cid}", lied=True)
        return bytes(data)

    async def leaves(
        self, url: str, cid: Cid, layout: Layout, span: range, put: Put, patience: float = 1.0
    ) -> None:
        """Pass the leaves of `span`, unchecked, to `put` one by one.

        Raises PeerMiss, PeerFault, NoRanges if the peer answers no range request, and what `put` raises.
        """
        first, end = span.start * LEAF_BYTES, min(layout.size, span.stop * LEAF_BYTES)
        leaf_s = self._leaf_s * patience
        async with self._get(f"{url}/ipfs/{cid}", {"Range": f"bytes={first}-{end - 1}"}, leaf_s) as response:
            if response.status in (200, 400, 406, 416, 501):
                raise NoRanges(f"{url} answers {response.status} to a range")
            _expect(response, url, 206)
            body = Body(response.content, url)
            for index in span:
                buffer = bytearray(layout.leaf_size(index))
                async with asyncio.timeout(leaf_s):
                    await body.fill(buffer)
                await put(index, buffer)

    async def leaf(self, url: str, layout: Layout, index: int, patience: float = 1.0) -> bytes:
        """One leaf as a block of its own."""
        return await self.block(url, Cid(RAW, layout.leaf(index)), layout.leaf_size(index), patience)

    async def announce(self, url: str, own: str | None) -> tuple[list[str], list[str]]:
        """Announce `own` to a peer, if given. Returns the peers that it knows and its daemon's addresses.

        Raises PeerMiss, PeerFault.
        """
        body = json.dumps({"url": own}).encode()
        request = self._session.post(f"{url}/peers", data=body, allow_redirects=False)
        try:
            async with asyncio.timeout(self._stall_s), request as response:
                _expect(response, url, 200)
                data = await read_all(response.content, _MAX_PEERS_REPLY, url)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PeerFault(f"{url}: {type(error).__name__} {error}") from error
        return parse_peers(data), parse_peers(data, "swarm", optional=True)

    async def send(self, url: str, data: bytes) -> None:
        """Send a short message; the body of the answer is ignored. Raises PeerMiss, PeerFault."""
        request = self._session.post(url, data=data, allow_redirects=False)
        try:
            async with asyncio.timeout(self._stall_s), request as response:
                _expect(response, url, 204)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise PeerFault(f"{url}: {type(error).__name__} {error}") from error

    @asynccontextmanager
    async def _get(
        self, url: str, headers: dict[str, str], answer_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with asyncio.timeout(answer_s):
                response = await self._session.get(url, headers=headers, allow_redirects=False)
            async with response:
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise PeerFault(f"{url}: {type(error).__name__} {error}") from error


def parse_peers(data: bytes, name: str = "peers", *, optional: bool = False) -> list[str]:
    """The texts under one name of a peers reply, at most 64. Raises PeerFault."""
    try:
        reply = json.loads(data)
        urls = (reply.get(name, []) if optional else reply[name])[:64]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PeerFault(f"malformed list of peers ({type(error).__name__})") from error
    return [url for url in urls if isinstance(url, str)]


async def read_all(content: aiohttp.StreamReader, limit: int, url: str) -> bytes:
    """A body of at most `limit` bytes. Raises PeerFault for a longer one."""
    data = bytearray()
    async for chunk in content.iter_any():
        data += chunk
        if len(data) > limit:
            raise PeerFault(f"{url} sends over {limit} bytes")
    return bytes(data)


class Body:
    """A body read into buffers of our own; the rest of a chunk goes into the next buffer."""

    def __init__(self, content: aiohttp.StreamReader, url: str) -> None:
        self._content = content
        self._url = url
        self._rest = memoryview(b"")

    async def fill(self, buffer: bytearray) -> None:
        """Fill the whole buffer. Raises PeerFault if the body ends before."""
        view = memoryview(buffer)
        while view:
            if not self._rest:
                chunk, _ = await self._content.readchunk()
                if not chunk and self._content.at_eof():
                    raise PeerFault(f"{self._url} disconnected {len(view)} bytes early")
                self._rest = memoryview(chunk)
            count = min(len(view), len(self._rest))
            view[:count] = self._rest[:count]
            view, self._rest = view[count:], self._rest[count:]


def _expect(response: aiohttp.ClientResponse, url: str, status: int) -> None:
    if response.status in (404, 410):
        raise PeerMiss(f"{url} does not have it")
    if response.status != status:
        raise PeerFault(f"{url} answers {response.status}")
