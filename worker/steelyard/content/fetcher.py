"""Fetches a CID to a file on disk: held bytes are checked, the rest fetched, no partial file visible."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from steelyard.content.block_source import BlockSource, Exchange, layout_below, too_large
from steelyard.content.dagpb import DIRECTORY, MAX_NODE_BYTES, decode_node
from steelyard.content.directories import MAX_DEPTH, entries, split_path
from steelyard.content.disk import make_folder, move_folder, try_lock
from steelyard.content.layout import LEAF_BYTES, Layout, hash_leaves
from steelyard.content.leaf_download import Download
from steelyard.content.local_store import LocalStore
from steelyard.content.part_file import PartFile
from steelyard.content.peer_client import PeerClient
from steelyard.content.peers import Peers
from steelyard.content.threads import in_thread
from steelyard.core.cid import RAW, Cid
from steelyard.errors import ContentCorrupt, ContentError, ContentMissing, ContentTooLarge, DiskFull

_LOCK_POLL_S = 0.02


@dataclass(slots=True)
class _Limits:
    """Remaining limits of one directory fetch."""

    room: int  # bytes
    names: int

    def spend(self, cid: Cid, size: int) -> None:
        self.room, self.names = self.room - size, self.names - 1
        if self.room < 0 or self.names < 0:
            what = "bytes" if self.room < 0 else "names"
            raise ContentTooLarge(
                f"directory {cid} holds more {what} than are expected here", remedy="raise the limit"
            )


class Fetcher:
    """Fetches into one local store."""

    def __init__(
        self,
        local_store: LocalStore,
        client: PeerClient,
        peers: Peers,
        on_miss: Callable[[], None],
        exchange: Exchange | None = None,
    ) -> None:
        self._local_store = local_store
        self._client = client
        self._peers = peers
        self._on_miss = on_miss
        self._exchange = exchange

    @asynccontextmanager
    async def session(self, cid: Cid, timeout_s: float, hints: Sequence[str]) -> AsyncIterator[BlockSource]:
        """A source of blocks. Raises ContentMissing at the deadline."""
        source = BlockSource(self._client, self._peers, hints, self._on_miss, self._exchange)
        try:
            async with asyncio.timeout(timeout_s):
                yield source
        except TimeoutError:
            if source.damage is not None:
                raise source.damage from None
            raise ContentMissing(
                f"{cid} did not arrive within {timeout_s:g} s ({source.progress.summary()})",
                remedy="check that its publisher is up and among the peers, or allow more time",
            ) from None

    async def file(self, cid: Cid, max_bytes: int, source: BlockSource) -> Layout:
        """Fetch the file `cid` unless it is held, and check it. One process fetches; others wait."""
        layout = await self._held(cid, max_bytes, source)
        if layout is None:
            async with self._lock(cid):
                layout = await self._held(cid, max_bytes, source)
                if layout is None:
                    layout = await self._fetch(cid, max_bytes, source)
        return layout

    async def at_path(self, cid: Cid, path: str, source: BlockSource) -> Cid:
        """The CID at a path in the directory `cid`."""
        for name in split_path(path):
            names = await self.names(cid, source)
            if name not in names:
                raise ContentMissing(f"directory {cid} has no {name!r}", remedy="see `steelyard content ls`")
            cid = names[name]
        return cid

    async def names(self, cid: Cid, source: BlockSource) -> dict[str, Cid]:
        """The names in a directory, which is stored (its listing, not its files)."""
        names = await in_thread(self._local_store.names, cid)
        if names is None:
            if cid.codec == RAW:
                raise ContentError(f"{cid} is a file, not a directory", remedy="get it without a path")
            block = await source.block(cid, MAX_NODE_BYTES)
            names = entries(cid, block)
            await in_thread(self._local_store.index.put_directory, cid, block, provide=False)
        return names

    async def directory(
        self, cid: Cid, dest: Path, max_bytes: int, max_files: int, source: BlockSource
    ) -> None:
        """Write the directory to the new folder `dest`, which appears when it is complete."""
        beside = dest.with_name(f".{dest.name[:100]}.{uuid.uuid4().hex[:8]}")
        try:
            await self._tree(cid, beside, _Limits(max_bytes, max_files), 0, source)
            await in_thread(move_folder, beside, dest)
        finally:
            await in_thread(shutil.rmtree, beside, ignore_errors=True)

    async def _tree(self, cid: Cid, folder: Path, budget: _Limits, depth: int, source: BlockSource) -> None:
        if depth > MAX_DEPTH:
            raise ContentTooLarge(f"directory {cid} lies over {MAX_DEPTH} deep", remedy="flatten it")
        await in_thread(make_folder, folder)
        for name, child in (await self.names(cid, source)).items():
            if await self._is_directory(child, source):
                budget.spend(cid, 0)
                await self._tree(child, folder / name, budget, depth + 1, source)
            else:
                layout = await self.file(child, budget.room, source)
                budget.spend(cid, layout.size)
                await in_thread(self._local_store.folder.export, child, folder / name)

    async def _is_directory(self, cid: Cid, source: BlockSource) -> bool:
        if cid.codec == RAW:
            return False
        kind = await in_thread(self._local_store.index.kind, cid)
        if kind is not None:
            return kind == "directory"
        return decode_node(await source.block(cid, MAX_NODE_BYTES)).kind == DIRECTORY

    async def _held(self, cid: Cid, max_bytes: int, source: BlockSource) -> Layout | None:
        """The layout of a held file, every byte checked; None if it is not held or damaged."""
        layout = await in_thread(self._local_store.index.layout, cid)
        if layout is not None and layout.size > max_bytes:
            raise too_large(cid, layout.size, max_bytes)
        try:
            return await in_thread(self._local_store.verified, cid)
        except ContentCorrupt as error:
            source.damage = error
            return None

    async def _fetch(self, cid: Cid, max_bytes: int, source: BlockSource) -> Layout:
        if cid.codec == RAW:
            data = await source.block(cid, LEAF_BYTES)
            if len(data) > max_bytes:
                raise too_large(cid, len(data), max_bytes)
            self._local_store.folder.need_room(len(data))
            await in_thread(self._local_store.add_bytes, data, provide=False, pin_until=None)
            return hash_leaves(iter((data,)))
        root = decode_node(await source.block(cid, MAX_NODE_BYTES))
        if root.kind == DIRECTORY:
            raise ContentError(f"{cid} is a directory", remedy="get it as a directory, or name a file in it")
        layout = await layout_below(source, cid, root, max_bytes)
        await self._leaves(cid, layout, source)
        await in_thread(self._local_store.add_part, cid, layout)
        return layout

    async def _leaves(self, cid: Cid, layout: Layout, source: BlockSource) -> None:
        path = self._local_store.folder.part(cid)
        self._local_store.folder.need_room(layout.size, path)
        try:
            with PartFile(path, layout) as part:
                missing = await in_thread(part.missing)
                await Download(source, cid, layout, part, missing).run()
        except DiskFull:
            path.unlink(missing_ok=True)
            raise

    @asynccontextmanager
    async def _lock(self, cid: Cid) -> AsyncIterator[None]:
        path = self._local_store.folder.lock(self._local_store.folder.part(cid))
        while True:
            with try_lock(path) as mine:
                if mine:
                    yield
                    return
            await asyncio.sleep(_LOCK_POLL_S)
