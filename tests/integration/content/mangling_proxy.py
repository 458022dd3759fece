"""A peer that stands between a fetching store and an honest one, and does what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self
from urllib.parse import urlsplit

Reply = Callable[[bytes, bytes, asyncio.StreamWriter], Awaitable[None]]  # (head, body, to the client)


async def honest(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """Pass the answer on."""
    writer.write(head + body)
    await writer.drain()


class Proxy:
    """Forwards each request to `upstream` and lets `reply` answer. Counts what it sends."""

    def __init__(self, upstream: str | None, reply: Reply = honest) -> None:
        self._upstream = urlsplit(upstream) if upstream else None
        self.reply = reply
        self.requests: list[str] = []
        self.body_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            first = request.split(b"\r\n", 1)[0].decode()
            self.requests.append(first + range_of(request))
            head, body = await self._forward(request)
            self.body_bytes += len(body)
            await self.reply(head, body, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _forward(self, request: bytes) -> tuple[bytes, bytes]:
        if self._upstream is None:
            return b"HTTP/1.1 200 OK\r\n\r\n", b""
        reader, writer = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        lines = [line for line in request.split(b"\r\n")[:-2] if not line.lower().startswith(b"connection")]
        writer.write(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n")
        answer = await reader.read()
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n", body


def range_of(request: bytes) -> str:
    """The Range header of a request, for the log."""
    for line in request.split(b"\r\n"):
        if line.lower().startswith(b"range:"):
            return " " + line.split(b":")[1].strip().decode()
    return ""


def status(code: int, *headers: str) -> Reply:
    """Always this status."""

    async def reply(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} X", "Content-Length: 0", "Connection: close", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        await writer.drain()

    return reply


async def wrong_byte(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """One bit is wrong, in the middle."""
    middle = len(body) // 2
    changed = bytes([body[middle] ^ 1]) if body else b""
    await honest(head, body[:middle] + changed + body[middle + 1 :], writer)


def cut_after(count: int) -> Reply:
    """The connection breaks off after so many bytes of body."""

    async def reply(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        await honest(head, body[:count], writer)

    return reply


def dies_after(count: int) -> Reply:
    """Gives single blocks, and of everything else so many bytes in all; then it is gone."""
    left = count

    async def reply(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        if b"application/vnd.ipld.raw" in head:
            await honest(head, body, writer)
            return
        part, left = body[:left], max(0, left - len(body))
        await honest(head, part, writer)

    return reply


def stall_after(count: int) -> Reply:
    """Silence after so many bytes of body."""

    async def reply(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        await honest(head, body[:count], writer)
        await asyncio.sleep(3600)

    return reply


async def trickle(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """A byte at a time, for ever."""
    writer.write(head)
    for at in range(len(body)):
        writer.write(body[at : at + 1])
        await writer.drain()
        await asyncio.sleep(0.05)


async def never_answers(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing."""
    await asyncio.sleep(3600)


def endless(declared: int | None) -> Reply:
    """A body without an end, declared as so many bytes or not at all."""

    async def reply(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        code = b"206 Partial Content" if b" 206 " in head.split(b"\r\n")[0] else b"200 OK"
        length = b"" if declared is None else b"Content-Length: %d\r\n" % declared
        writer.write(b"HTTP/1.1 " + code + b"\r\n" + length + b"Connection: close\r\n\r\n")
        chunk = bytes(256 * 1024)
        while True:
            writer.write(chunk)
            await writer.drain()

    return reply


async def endless_headers(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """Headers without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Padding: " + b"x" * 4000 + b"\r\n")
        await writer.drain()


async def blocks_only(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """A strict trustless gateway: raw blocks and no more."""
    if b"application/vnd.ipld.raw" in head:
        await honest(head, body, writer)
    else:
        await status(406)(head, body, writer)


async def ignores_ranges(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """Answers every range with 200 and the bytes of something."""
    await honest(head.replace(b"206 Partial Content", b"200 OK"), body, writer)


async def shifted_range(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """Answers a range with bytes from elsewhere."""
    await honest(head, body if b" 200 " in head.split(b"\r\n")[0] else body[1:] + body[:1], writer)


async def zipped(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """Claims a packed body, as a bomb would."""
    await honest(head.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), body, writer)


def only_files(reply: Reply) -> Reply:
    """Right blocks, so that a fetch begins; then `reply` for the ranges of the file."""

    async def split(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        await (honest if b"application/vnd.ipld.raw" in head else reply)(head, body, writer)

    return split


async def garbage(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    """No HTTP at all."""
    writer.write(b"\x00\xff\x16\x03" * 5000)
    await writer.drain()
