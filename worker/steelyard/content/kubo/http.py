"""The HTTP client for calls that wait, are long or must be cancellable; nothing large is held in memory."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from steelyard.content.kubo import failures
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.peer_client import PeerFault, PeerMiss

_READ_BUFFER = 256 * 1024
_CONNECT_S = 3.0
_WALK_S = 60.0  # a daemon with many pins looks through all of them
_MESSAGE_BYTES = 4096
_HEAD_BYTES = 16 * 1024
_AHEAD = 2  # full buffers that wait for the reader
_ABSENT = ("not found", "offline", "context deadline exceeded")


class HttpClient:
    """Requests to one daemon's RPC: single answers, lines of JSON, and bodies received into leaf buffers."""

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            headers={"Accept-Encoding": "identity", "User-Agent": "steelyard", **address.headers},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def lines(self, path: str, args: list[tuple[str, str]], what: str) -> AsyncIterator[dict[str, Any]]:
        """The JSON objects of an answer, one a line. Raises DaemonError, DiskFull."""
        try:
            async with (
                asyncio.timeout(_WALK_S),
                self._session.post(f"{self._address.url}/api/v0/{path}", params=args) as response,
            ):
                if response.status != 200:
                    raise failures.refused(self._address, what, await _read_message(response))
                async for line in response.content:
                    found = json.loads(line)
                    if isinstance(found, dict):
                        yield found
        except TimeoutError as error:
            raise failures.late(self._address, what, _WALK_S) from error
        except (aiohttp.ClientError, OSError) as error:
            raise failures.away(self._address, f"{type(error).__name__}: {error}") from error
        except ValueError as error:
            raise failures.foreign(self._address, "its answer is not JSON") from error

    @asynccontextmanager
    async def post(
        self, path: str, *, data: aiohttp.FormData | None = None, **params: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, with `data` as its body. Raises PeerFault for errors of the connection."""
        url = f"{self._address.url}/api/v0/{path}"
        try:
            async with self._session.post(url, params=params, data=data) as response:
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise self.fault(error) from error

    @asynccontextmanager
    async def leaf_stream(self, path: str, sizes: Iterator[int]) -> AsyncIterator[LeafStream]:
        """Send a request whose answer goes into buffers of `sizes` bytes. Raises PeerFault, OSError.

        aiohttp needs ten times the CPU for this (2.8 ms a MiB, here 0.28), so the body bypasses its parser.
        The request is HTTP/1.0: the body has no chunks and ends with the connection.
        """
        parts = urlsplit(self._address.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        async with asyncio.timeout(_CONNECT_S):
            transport, stream = await asyncio.get_running_loop().create_connection(
                lambda: LeafStream(sizes), host, parts.port or 80, ssl=secure or None
            )
        try:
            lines = [
                f"POST {path} HTTP/1.0",
                f"Host: {parts.netloc}",
                "User-Agent: steelyard",
                "Content-Length: 0",
                *(f"{name}: {value}" for name, value in self._address.headers.items()),
            ]
            transport.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            yield stream
        finally:
            transport.abort()

    async def expect(self, response: aiohttp.ClientResponse) -> None:
        """Raises PeerMiss, PeerFault unless the status is 200."""
        if response.status == 200:
            return
        raise self.refusal(response.status, await _read_message(response))

    def refusal(self, status: int, message: str) -> PeerMiss | PeerFault:
        """The error for an answer with another status than 200."""
        if any(text in message.lower() for text in _ABSENT):
            return PeerMiss(f"the IPFS daemon finds it nowhere: {message}")
        return PeerFault(f"IPFS daemon at {self._address.url} answers {status}: {message}")

    def fault(self, error: Exception) -> PeerFault:
        """The error for a failed connection."""
        return PeerFault(f"IPFS daemon at {self._address.url}: {type(error).__name__} {error}"[:300])


class LeafStream(asyncio.BufferedProtocol):
    """One answer, received into buffers. Read `status` first. Raises PeerFault if the connection breaks."""

    def __init__(self, sizes: Iterator[int]) -> None:
        self._sizes = sizes
        self._head = bytearray(_HEAD_BYTES)
        self._got = 0  # bytes in the head, then in the buffer
        self._buffer: bytearray | None = None
        self._full: deque[bytearray] = deque()
        self._status = 0
        self._ended: str | None = None
        self._changed = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    async def status(self) -> int:
        """The HTTP status."""
        while not self._status:
            await self._wait()
        return self._status

    async def next_buffer(self) -> bytearray:
        """The next buffer, once it is full."""
        while not self._full:
            await self._wait()
        if self._transport is not None and len(self._full) <= _AHEAD:
            self._transport.resume_reading()
        return self._full.popleft()

    async def message(self) -> str:
        """The body of an answer with another status than 200."""
        while self._ended is None:
            await self._wait()
        return bytes(self._head[: self._got]).partition(b"\r\n\r\n")[2].decode(errors="replace")

    async def _wait(self) -> None:
        if self._ended is not None:
            raise PeerFault(f"the daemon closed the connection ({self._ended})")
        self._changed.clear()
        await self._changed.wait()

    # ------------------------------------------------------------------ called by asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def get_buffer(self, _hint: int) -> memoryview:
        if self._buffer is None:
            return memoryview(self._head)[self._got :] or memoryview(bytearray(1))
        return memoryview(self._buffer)[self._got :]

    def buffer_updated(self, count: int) -> None:
        self._got += count
        if self._buffer is None:
            self._read_head()
        else:
            self._step()
        self._changed.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = str(error or "end of the answer")
        self._changed.set()

    def _read_head(self) -> None:
        head, found, rest = bytes(self._head[: min(self._got, _HEAD_BYTES)]).partition(b"\r\n\r\n")
        if not found or self._status:
            if self._got >= _HEAD_BYTES and self._transport is not None:
                self._transport.abort()
            return
        words = head.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            if self._transport is not None:
                self._transport.abort()
            return
        self._status = int(words[1])
        if self._status == 200:
            self._open()
            while rest and self._buffer is not None:
                count = min(len(rest), len(self._buffer) - self._got)
                self._buffer[self._got : self._got + count] = rest[:count]
                self._got, rest = self._got + count, rest[count:]
                self._step()

    def _open(self) -> None:
        size, self._got = next(self._sizes, 0), 0
        self._buffer = bytearray(size) if size else None
        if not size and self._transport is not None:
            self._transport.close()

    def _step(self) -> None:
        if self._buffer is None or self._got < len(self._buffer):
            return
        self._full.append(self._buffer)
        self._open()
        if len(self._full) > _AHEAD and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()


async def _read_message(response: aiohttp.ClientResponse) -> str:
    """The message in the body of an error."""
    return message_of((await response.content.read(_MESSAGE_BYTES)).decode(errors="replace"))


def message_of(text: str) -> str:
    """The message in the text of an error, at most 300 characters."""
    try:
        return str(json.loads(text)["Message"])[:300]
    except (ValueError, KeyError, TypeError):
        return text.strip()[:300]
