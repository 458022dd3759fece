"""Nodes among peers that lie, stall, flood and disconnect: rounds continue, hostile peers are dropped."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.chains import StartChain
from support.fleet import ALL, Fleet, run_all, staged

WRONG, STALL, ENDLESS, DECLARES, BREAKS, GARBAGE = (
    "wrong",
    "stall",
    "endless",
    "declares",
    "breaks",
    "garbage",
)
KINDS = (WRONG, STALL, ENDLESS, DECLARES, BREAKS, GARBAGE)
LIE_IN_PEERS = {"peers": [f"http://127.0.0.1:{port}" for port in range(1, 65)] + ["http://x" * 90, 7, None]}


class HostilePeer:
    """A peer that announces dead peers, claims to have every file, and never sends the right bytes."""

    def __init__(self, kind: str) -> None:
        self.kind, self.asked, self.sent = kind, 0, 0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST /peers"):
                body = json.dumps(LIE_IN_PEERS).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
            elif head.startswith(b"GET /ipfs/"):
                self.asked += 1
                await self._send(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _send(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        status = b"206 Partial Content" if b"range:" in head.lower() else b"200 OK"
        if self.kind == GARBAGE:
            writer.write(b"\x00\xff" * 4000)
            return
        length = {DECLARES: 10**10, ENDLESS: None}.get(self.kind, 1200)
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: application/vnd.ipld.raw\r\n")
        writer.write(b"\r\n" if length is None else b"Content-Length: %d\r\n\r\n" % length)
        if self.kind == STALL:
            writer.write(b"x" * 100)
            await writer.drain()
            await asyncio.sleep(60)
        elif self.kind == BREAKS:
            writer.write(b"x" * 100)
        while self.kind in (WRONG, ENDLESS, DECLARES):
            size = 1200 if self.kind == WRONG else 65536
            writer.write(b"x" * size)
            await writer.drain()
            self.sent += size
            if self.kind == WRONG:
                break


@asynccontextmanager
async def hostile_peers() -> AsyncIterator[list[HostilePeer]]:
    """One peer of each kind."""
    peers, servers = [HostilePeer(kind) for kind in KINDS], []
    tasks: set[asyncio.Task[None]] = set()
    for peer in peers:

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: HostilePeer = peer
        ) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await peer.answer(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        servers.append(server)
    try:
        yield peers
    finally:
        for server in servers:
            server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def among(fleet: Fleet, name: str, peers: list[HostilePeer]) -> dict[str, object]:
    """Settings of a node that asks the hostile peers before the honest one."""
    store = fleet.config(name, *ALL[name]).store
    return {"store": dataclasses.replace(store, peers=(*(peer.url for peer in peers), fleet.bootstrap))}


async def test_rounds_go_on_beside_peers_that_lie_stall_and_flood(
    start_chain: StartChain, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        hostile_peers() as peers,
        staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), rounds=3) as fleet,
    ):
        settings = {name: among(fleet, name, peers) for name in ALL}
        ended = await run_all(fleet, ALL, settings=settings, timeout_s=150)
        assert set(ended.values()) == {"closed"}
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 3
        assert not fleet.reported("void")
        assert not fleet.reported("unfit")
        assert {event.fields["verdict"] for event in fleet.reported("rebuilt")} == {"right"}
    asked = {peer.kind: peer.asked for peer in peers}
    assert all(count > 0 for count in asked.values()), asked
    nodes = len(ALL)
    assert asked[WRONG] <= nodes, "who lies is not asked again"
    for peer in peers:  # bytes in socket buffers that are never read count too
        assert peer.sent <= asked[peer.kind] * (8 << 20), "a flood is broken off"
    assert any("dropped" in record.message for record in caplog.records)
