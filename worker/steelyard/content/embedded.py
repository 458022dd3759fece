"""The default ContentStore: a folder, an HTTP gateway for provided content, a client of other gateways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from steelyard.content.announce import Announcer
from steelyard.content.block_source import Exchange
from steelyard.content.directories import cid_of_path
from steelyard.content.fetcher import Fetcher
from steelyard.content.gateway import Gateway
from steelyard.content.http_gossip import HttpGossip
from steelyard.content.listener import Server
from steelyard.content.local_store import LocalStore
from steelyard.content.peer_client import PeerClient
from steelyard.content.peers import Peers
from steelyard.content.store import FOREVER, ContentStore, Entry, Freed, StoreConfig, StoreTotals
from steelyard.content.threads import in_thread
from steelyard.core.cid import Cid
from steelyard.errors import ContentError, ContentMissing


class EmbeddedStore(ContentStore):
    """A ContentStore without a daemon. Enter it before use."""

    def __init__(self, config: StoreConfig) -> None:
        self._config = config
        self._peers = Peers(config.peers, allow_private=config.allow_private, limit=config.max_peers)
        self._local_store_or_none: LocalStore | None = None
        self._client: PeerClient | None = None
        self._server: Server | None = None
        self._announcer: Announcer | None = None
        self.gossip = HttpGossip(self._peers)
        self._exchange: Exchange | None = None  # in addition to the peers, if there is one

    async def __aenter__(self) -> Self:
        self._local_store_or_none = await in_thread(LocalStore, self._config.root)
        try:
            self._client = self.gossip.client = PeerClient(self._config)
            if self._config.serve:
                gateway = Gateway(self._local_store, self._peers, self.gossip, self._config)
                self._server = await Server.start(gateway, self._config)
                self._peers.own = self._server.url
            if self._config.exchange:
                self._announcer = Announcer(self._client, self._peers, self._config)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        for part in (self._announcer, self._server, self._client):
            if part is not None:
                await part.close()
        self._announcer = self._server = self._client = self.gossip.client = None
        local_store, self._local_store_or_none = self._local_store_or_none, None
        if local_store is not None:
            await in_thread(local_store.close)

    @property
    def url(self) -> str | None:
        return self._server.url if self._server else None

    def add_peers(self, urls: Sequence[str]) -> None:
        for url in urls:
            self._peers.learn(url)

    async def cid_of(self, path: Path) -> Cid:
        return await in_thread(cid_of_path, path)

    async def add(self, path: Path, *, provide: bool = True, pin_until: float | None = None) -> Cid:
        cid = await in_thread(self._local_store.add, path, provide=False, pin_until=pin_until)
        return await self._provide_if(cid, provide)

    async def add_bytes(self, data: bytes, *, provide: bool = True, pin_until: float | None = None) -> Cid:
        cid = await in_thread(self._local_store.add_bytes, data, provide=False, pin_until=pin_until)
        return await self._provide_if(cid, provide)

    async def add_directory(
        self, source: Path | Mapping[str, Path], *, provide: bool = True, pin_until: float | None = None
    ) -> Cid:
        cid = await in_thread(self._local_store.add_directory, source, provide=False, pin_until=pin_until)
        return await self._provide_if(cid, provide)

    async def provide(self, cid: Cid) -> None:
        await self._set_provided(cid, provided=True)

    async def withhold(self, cid: Cid) -> None:
        await self._set_provided(cid, provided=False)

    async def has(self, cid: Cid) -> bool:
        return await in_thread(self._local_store.holds, cid)

    async def get(
        self,
        cid: Cid,
        dest: Path,
        *,
        max_bytes: int,
        timeout_s: float,
        path: str = "",
        hints: Sequence[str] = (),
        provide: bool = False,
        pin_until: float | None = None,
    ) -> Path:
        fetcher = self._fetcher
        async with fetcher.session(cid, timeout_s, hints) as source:
            found = await fetcher.at_path(cid, path, source)
            await fetcher.file(found, max_bytes, source)
            await in_thread(self._local_store.note, found, provide=False, pin_until=pin_until)
            await in_thread(self._local_store.folder.export, found, dest)
        await self._provide_if(found, provide)
        return dest

    async def get_directory(
        self,
        cid: Cid,
        dest: Path,
        *,
        max_bytes: int,
        timeout_s: float,
        max_files: int = 10_000,
        hints: Sequence[str] = (),
        provide: bool = False,
        pin_until: float | None = None,
    ) -> Path:
        fetcher = self._fetcher
        async with fetcher.session(cid, timeout_s, hints) as source:
            await fetcher.directory(cid, dest, max_bytes, max_files, source)
            await in_thread(self._local_store.note, cid, provide=False, pin_until=pin_until)
        await self._provide_if(cid, provide)
        return dest

    async def listing(
        self, cid: Cid, *, timeout_s: float, path: str = "", hints: Sequence[str] = ()
    ) -> dict[str, Cid]:
        fetcher = self._fetcher
        async with fetcher.session(cid, timeout_s, hints) as source:
            return await fetcher.names(await fetcher.at_path(cid, path, source), source)

    async def read(self, cid: Cid, offset: int, length: int) -> bytes:
        return await in_thread(self._local_store.read, cid, offset, length)

    async def pin(self, cid: Cid, *, until: float = FOREVER) -> None:
        if not await in_thread(self._local_store.index.kind, cid):
            raise ContentMissing(f"{cid} is not held here", remedy="get or add it first")
        await in_thread(self._local_store.index.pin, cid, until)

    async def unpin(self, cid: Cid) -> None:
        await in_thread(self._local_store.index.unpin, cid)

    async def ls(self) -> list[Entry]:
        return await in_thread(self._local_store.index.entries)

    async def held(self) -> StoreTotals:
        return await in_thread(self._local_store.index.held)

    async def gc(self, *, grace_s: float = 3600.0) -> Freed:
        return await in_thread(self._local_store.collect, grace_s)

    async def _provide_if(self, cid: Cid, wanted: bool) -> Cid:
        if wanted:
            await self.provide(cid)
        return cid

    async def _set_provided(self, cid: Cid, *, provided: bool) -> None:
        if not await in_thread(self._local_store.index.set_provided, cid, provided=provided):
            raise ContentMissing(f"{cid} is not held here", remedy="get or add it first")

    @property
    def _local_store(self) -> LocalStore:
        if self._local_store_or_none is None:
            raise ContentError("the content store is not open", remedy="use it inside `async with`")
        return self._local_store_or_none

    @property
    def _fetcher(self) -> Fetcher:
        if self._client is None:
            raise ContentError("the content store is not open", remedy="use it inside `async with`")
        hurry = self._announcer.hurry if self._announcer else _nothing
        return Fetcher(self._local_store, self._client, self._peers, hurry, self._exchange)


def _nothing() -> None:
    """Without exchange of peers, a missing file triggers no announcement."""
