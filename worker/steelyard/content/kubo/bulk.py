"""The body of one answer, from the socket straight into buffers of one leaf each.

What `cat` sends is most of what a daemon ever sends us. The request is one of HTTP/1.0, so the body has no
chunks, of which a daemon makes 250 a MiB otherwise, and ends with the connection; the bytes are copied once,
by the kernel.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.peer_client import PeerFault

_HEAD_BYTES = 16 * 1024
_AHEAD = 2  # full buffers that wait to be taken
_CONNECT_S = 3.0


class Bulk(asyncio.BufferedProtocol):
    """One exchange. `status` comes first, then a buffer at a time; raises PeerFault where it breaks off."""

    def __init__(self, sizes: Iterator[int]) -> None:
        self._sizes = sizes
        self._head = bytearray(_HEAD_BYTES)
        self._got = 0  # bytes in the head, then in the buffer
        self._buffer: bytearray | None = None
        self._full: deque[bytearray] = deque()
        self._status = 0
        self._ended: str | None = None
        self._news = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    async def status(self) -> int:
        """What the daemon answers with."""
        while not self._status:
            await self._wait()
        return self._status

    async def take(self) -> bytearray:
        """The next buffer, filled."""
        while not self._full:
            await self._wait()
        if self._transport is not None and len(self._full) <= _AHEAD:
            self._transport.resume_reading()
        return self._full.popleft()

    async def message(self) -> str:
        """The rest of an answer that is none of 200."""
        while self._ended is None:
            await self._wait()
        return bytes(self._head[: self._got]).partition(b"\r\n\r\n")[2].decode(errors="replace")

    async def _wait(self) -> None:
        if self._ended is not None:
            raise PeerFault(f"the daemon broke off ({self._ended})")
        self._news.clear()
        await self._news.wait()

    # ------------------------------------------------------------------ what asyncio calls
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
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = str(error or "end of the answer")
        self._news.set()

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


@asynccontextmanager
async def post(address: DaemonAddress, path: str, sizes: Iterator[int]) -> AsyncIterator[Bulk]:
    """Send a request without a body. sizes: bytes of the buffers to fill.  Raises PeerFault, OSError."""
    parts = urlsplit(address.url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    async with asyncio.timeout(_CONNECT_S):
        transport, bulk = await asyncio.get_running_loop().create_connection(
            lambda: Bulk(sizes), host, parts.port or 80, ssl=secure or None
        )
    try:
        lines = [
            f"POST {path} HTTP/1.0",
            f"Host: {parts.netloc}",
            "User-Agent: steelyard",
            "Content-Length: 0",
            *(f"{name}: {value}" for name, value in address.headers.items()),
        ]
        transport.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        yield bulk
    finally:
        transport.abort()
