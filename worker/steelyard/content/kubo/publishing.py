"""Publishes files to the daemon and withdraws them: a file's blocks, and one pin of our own that keeps them.

Several stores, and the user, may share one daemon, and it has one pin for a CID, whoever asked for it. So a
store pins a directory of its own with one link, to what it serves: it never removes a pin of others,
and the daemon refuses to remove blocks that any pin keeps.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from steelyard.content.dagpb import DIRECTORY, DagNode, Link, encode_node
from steelyard.content.kubo.client import KuboClient
from steelyard.content.kubo.ledger import DaemonLedger, LedgerRow
from steelyard.content.layout import DagBlock, Layout
from steelyard.content.local_store import LocalStore
from steelyard.content.threads import in_thread
from steelyard.core.cid import DAG_PB, RAW, Cid
from steelyard.errors import ContentError, ContentMissing, DaemonError

PIN_NAME = "steelyard"
_QUICK_PIN_S = 5.0  # if all of it should be in the daemon already
_PIN_S = 60.0
_UNDER_WAY_S = 600.0  # another process on this folder may be publishing
_SLOWEST = 20e6  # bytes a second that a daemon reads while it pins, at the least

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Parts:
    """The files and directory blocks below one CID."""

    files: list[tuple[Cid, Layout]] = field(default_factory=list)
    nodes: list[DagBlock] = field(default_factory=list)  # of directories

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(layout.size for _, layout in self.files)

    def blocks(self) -> list[Cid]:
        """All blocks."""
        found = [block.cid for block in self.nodes]
        for cid, layout in self.files:
            _, dag_size, inner = layout.tree()
            # `add` leaves a directory with the file in it, which nothing links to.
            left = encode_node(DagNode(DIRECTORY, (Link(cid, str(cid), dag_size),)))
            found.append(Cid.of_block(DAG_PB, left))
            found += [Cid(RAW, layout.leaf(i)) for i in range(len(layout))]
            found += [block.cid for block in inner] or [cid]
        return list(dict.fromkeys(found))


class Publisher:
    """Publishes files of one local store in one daemon."""

    def __init__(self, local_store: LocalStore, ledger: DaemonLedger, daemon: KuboClient) -> None:
        self._local_store = local_store
        self._ledger = ledger
        self._daemon = daemon
        self._locks: dict[Cid, asyncio.Lock] = {}

    async def publish(self, cid: Cid) -> None:
        """Put a held file or directory into the daemon and pin it.

        Raises ContentMissing if not all of it is held, DaemonError, DiskFull.
        """
        async with self._locks.setdefault(cid, asyncio.Lock()):
            parts = await in_thread(self._parts, cid)
            await in_thread(self._ledger.publishing, cid, await in_thread(parts.blocks))
            pin = self._pin_of(cid)
            await self._daemon.put_block(pin.cid, pin.data)
            patience = _PIN_S + parts.size / _SLOWEST
            if await self._daemon.has(cid) and await self._daemon.pin(pin.cid, PIN_NAME, _QUICK_PIN_S):
                return
            for _ in range(2):  # again if another store of this daemon removed a shared block meanwhile
                await self._push(parts)
                if await self._daemon.pin(pin.cid, PIN_NAME, patience):
                    return
            raise DaemonError(
                f"the IPFS daemon took {cid} and did not pin it within {patience:g} s",
                remedy="look at its log; is its repository damaged or being collected all the time?",
            )

    async def withdraw(self, cid: Cid) -> None:
        """Remove our pin and the blocks that no other pin keeps. Raises DaemonError."""
        async with self._locks.setdefault(cid, asyncio.Lock()):
            row = await in_thread(self._ledger.row, cid)
            if row is not None:
                await self._remove([row])
        self._locks.pop(cid, None)

    async def tidy(self, older_than: float) -> None:
        """Remove what is no longer served here, and what was only fetched through the daemon.

        older_than: Unix seconds; newer content stays.  Raises DaemonError.
        """
        provided = set(await in_thread(self._local_store.index.provided))
        rows = [row for row in await in_thread(self._ledger.rows) if row.cid not in provided]
        await self._remove([row for row in rows if row.since < older_than])

    async def repair(self) -> None:
        """Bring the daemon in line with the index: after a crash, or if its repository is new."""
        await self.tidy(time.time() - _UNDER_WAY_S)
        for cid in await in_thread(self._local_store.index.provided):
            row = await in_thread(self._ledger.row, cid)
            if row is None or not row.published or not await self._daemon.is_pinned(self._pin_of(cid).cid):
                try:
                    await self.publish(cid)
                except ContentError as error:
                    log.warning("%s is not in the IPFS daemon: %s", cid, error)

    async def clear(self) -> None:
        """Remove everything of this store from the daemon. Raises DaemonError."""
        await self._remove(await in_thread(self._ledger.rows))

    async def _remove(self, rows: Sequence[LedgerRow]) -> None:
        if not rows:
            return
        blocks: set[Cid] = set()
        for row in rows:
            pin = self._pin_of(row.cid)
            if row.published:
                await self._daemon.unpin(pin.cid)
                blocks.add(pin.cid)
            blocks |= set(row.blocks)
            blocks |= set() if row.published else await in_thread(self._known_blocks, row.cid)
        await self._daemon.remove(sorted(await self._loose(blocks)))
        for row in rows:
            await in_thread(self._ledger.forget, row.cid)

    async def _loose(self, blocks: set[Cid]) -> set[Cid]:
        """The blocks that are not part of the user's own files in the daemon (MFS), which need no pin."""
        root = await self._daemon.files_root()
        if root == _NO_FILES:
            return blocks
        try:
            return blocks - await self._daemon.below(root, blocks)
        except DaemonError as error:
            log.warning("unpinned, and left to the daemon's own collection: %s", error)
            return set()

    async def _push(self, parts: _Parts) -> None:
        for cid, layout in parts.files:
            await self._push_file(cid, layout)
        for block in parts.nodes:
            await self._daemon.put_block(block.cid, block.data)

    async def _push_file(self, cid: Cid, layout: Layout) -> None:
        found = await self._daemon.add(self._local_store.folder.file(cid), layout.size)
        if found == str(cid):
            return
        # A daemon that cannot make nodes of 1024 links has the right leaves; the nodes are known here.
        for block in await in_thread(lambda: layout.tree()[2]):
            await self._daemon.put_block(block.cid, block.data)

    def _parts(self, root: Cid) -> _Parts:
        parts, rest, seen = _Parts(), [root], {root}
        index = self._local_store.index
        while rest:
            cid = rest.pop()
            layout = index.layout(cid) if index.kind(cid) == "file" else None
            block = index.directory(cid) if layout is None else None
            if layout is not None:
                parts.files.append((cid, layout))
            elif block is not None:
                parts.nodes.append(DagBlock(cid, block))
                below = sorted(set(index.children(cid)) - seen)
                rest += below
                seen |= set(below)
            else:
                raise ContentMissing(f"{cid} of {root} is not held here", remedy="get or add all of it first")
        return parts

    def _known_blocks(self, cid: Cid) -> set[Cid]:
        try:
            return set(self._parts(cid).blocks())
        except ContentMissing:
            return set()

    def _pin_of(self, cid: Cid) -> DagBlock:
        """The directory that this store pins for what it serves."""
        name = f"{PIN_NAME}-{self._ledger.owner}"
        data = encode_node(DagNode(DIRECTORY, (Link(cid, name, 0),)))
        return DagBlock(Cid.of_block(DAG_PB, data), data)


_NO_FILES = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"  # the empty directory, CIDv0
