"""Blocks of one file from any peer that has them, and the layout of its DAG."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from steelyard.content.dagpb import FILE, MAX_NODE_BYTES, DagNode, decode_node
from steelyard.content.layout import LEAF_BYTES, LINKS, Layout, leaf_count
from steelyard.content.peer_client import PeerClient, PeerFault, PeerMiss, Put
from steelyard.content.peers import Peers
from steelyard.core.cid import RAW, Cid
from steelyard.errors import ContentCorrupt, ContentTooLarge

_STAGGER_S = 0.05  # seconds until the next peer is asked for the same block
_AT_ONCE = 8
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
_LONGEST_SEARCH_PAUSE_S = 2.0
EXCHANGE = "ipfs"  # in place of a peer's base URL
_PROFILE = "its publisher must add it with the unixfs-v1-2025 profile"


@dataclass(slots=True)
class FetchProgress:
    """Progress of a fetch, for the message at its timeout."""

    asked: set[str] = field(default_factory=set)
    faults: dict[str, str] = field(default_factory=dict)
    leaves_done: int = 0
    leaves: int = 0
    searching: bool = False  # through an IPFS daemon

    def summary(self) -> str:
        """The progress in one line."""
        parts = [f"{len(self.asked)} peers asked" + (" and the IPFS daemon" if self.searching else "")]
        if self.leaves:
            parts.append(f"{self.leaves_done} of {self.leaves} MiB here")
        parts += list(self.faults.values())[-3:]
        return "; ".join(parts)


class Exchange(Protocol):
    """A source of blocks in addition to the peers: an IPFS daemon."""

    async def block(self, cid: Cid, limit: int) -> bytes:
        """The block, checked; waits until it is found. Raises PeerMiss, PeerFault."""

    async def leaves(self, cid: Cid, layout: Layout, span: range, put: Put) -> None:
        """Pass the leaves of `span`, unchecked, to `put`. Raises PeerMiss, PeerFault."""


class BlockSource:
    """Single blocks from the first peer that has them. Calls retry until the caller's deadline."""

    def __init__(
        self,
        client: PeerClient,
        peers: Peers,
        hints: Sequence[str],
        on_miss: Callable[[], None],
        exchange: Exchange | None = None,
    ) -> None:
        self.client = client
        self.peers = peers
        self.hints = hints
        self.exchange = exchange
        self.progress = FetchProgress()
        self.damage: ContentCorrupt | None = None  # found in the local store during the fetch
        self._last: tuple[Cid, bytes] | None = None
        self._on_miss = on_miss

    async def block(self, cid: Cid, limit: int) -> bytes:
        """The block, checked; retries until a peer serves it."""
        if self._last is None or self._last[0] != cid:
            data = await (self._from_peers(cid, limit) if self.exchange is None else self._both(cid, limit))
            self._last = cid, data
        return self._last[1]

    async def _both(self, cid: Cid, limit: int) -> bytes:
        """From a peer or through the exchange, whichever is first."""
        tasks = [asyncio.create_task(get(cid, limit)) for get in (self._from_peers, self.searched)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def searched(self, cid: Cid, limit: int) -> bytes:
        """The block through the exchange, with retries; waits forever if there is none."""
        pause, self.progress.searching = _FIRST_PAUSE_S, self.exchange is not None
        while self.exchange is not None:
            try:
                return await self.exchange.block(cid, limit)
            except (PeerMiss, PeerFault) as fault:
                self.progress.faults[EXCHANGE] = fault.message
            await asyncio.sleep(pause)
            pause = min(_LONGEST_SEARCH_PAUSE_S, pause * 2.0)
        return await asyncio.Future()

    async def _from_peers(self, cid: Cid, limit: int) -> bytes:
        pause = _FIRST_PAUSE_S
        while True:
            data = await self._race(cid, limit)
            if data is not None:
                return data
            self._on_miss()
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 1.5)

    async def _race(self, cid: Cid, limit: int) -> bytes | None:
        """Ask the peers in order, starting the next one after _STAGGER_S if none has answered."""
        waiting = deque(self.peers.ranked(self.hints))
        running: set[asyncio.Task[bytes | None]] = set()
        try:
            while waiting or running:
                if waiting and len(running) < _AT_ONCE:
                    running.add(asyncio.create_task(self._ask(waiting.popleft(), cid, limit)))
                done, running = await asyncio.wait(
                    running, timeout=_STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    data = task.result()
                    if data is not None:
                        return data
            return None
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _ask(self, url: str, cid: Cid, limit: int) -> bytes | None:
        self.progress.asked.add(url)
        try:
            data = await self.client.block(url, cid, limit, self.peers.patience(url))
        except PeerMiss:
            self.peers.missed(url)
        except PeerFault as fault:
            self.progress.faults[url] = fault.message
            self.peers.failed(url, fault.message, lied=fault.lied)
        else:
            self.peers.served(url)
            return data
        return None


async def layout_below(source: BlockSource, cid: Cid, root: DagNode, max_bytes: int) -> Layout:
    """The layout of the file whose root node is `root`, whose inner nodes are fetched and checked.

    Raises ContentTooLarge before anything of a larger file is fetched, ContentCorrupt if the DAG is not
    the one that the profile gives to its bytes: then the same bytes would have another CID.
    """
    if root.file_size > max_bytes:
        raise too_large(cid, root.file_size, max_bytes)
    level, span = 1, LEAF_BYTES
    while span * LINKS < root.file_size:
        level, span = level + 1, span * LINKS
    leaves = bytearray()
    if leaf_count(root.file_size) > 1:
        await _walk(source, cid, root, level, root.file_size, leaves)
    layout = Layout(root.file_size, bytes(leaves)) if len(leaves) == 32 * leaf_count(root.file_size) else None
    if layout is None or layout.root() != cid:
        raise ContentCorrupt(f"{cid} is not a file of the profile", remedy=_PROFILE)
    return layout


async def _walk(
    source: BlockSource, cid: Cid, node: DagNode, level: int, size: int, leaves: bytearray
) -> None:
    span = LEAF_BYTES * LINKS ** (level - 1)
    sizes = tuple(min(span, size - start) for start in range(0, size, span))
    wanted = [level == 1] * len(sizes)
    shape = [link.cid.codec == RAW for link in node.links]
    if (node.kind, node.file_size, node.block_sizes) != (FILE, size, sizes) or shape != wanted:
        raise ContentCorrupt(f"{cid} is not laid out by the profile", remedy=_PROFILE)
    for link, below in zip(node.links, sizes, strict=True):
        if level == 1:
            leaves += link.cid.digest
        else:
            child = decode_node(await source.block(link.cid, MAX_NODE_BYTES))
            await _walk(source, cid, child, level - 1, below, leaves)


def too_large(cid: Cid, size: int, max_bytes: int) -> ContentTooLarge:
    """The error for a file over the caller's limit."""
    return ContentTooLarge(
        f"{cid} has {size} bytes, over the {max_bytes} that are expected here",
        remedy="ask for more only if you know what it is",
    )
