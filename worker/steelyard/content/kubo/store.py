"""The ContentStore on an IPFS daemon.

Files are kept in a folder, as by the embedded store, and served by its gateway. What is provided is put into
the daemon as well and pinned there; what is fetched comes from peers and through the daemon at once. Until it
is provided nothing of a file is in the daemon.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from steelyard.content.embedded import EmbeddedStore
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.kubo.client import KuboClient
from steelyard.content.kubo.ledger import DaemonLedger
from steelyard.content.kubo.publishing import Publisher
from steelyard.content.kubo.swarm import PER_REPLY, Swarm, peer_of
from steelyard.content.layout import Layout
from steelyard.content.peer_client import Put
from steelyard.content.store import ContentStore, Freed, StoreConfig
from steelyard.content.threads import in_thread
from steelyard.core.cid import RAW, Cid
from steelyard.errors import ConfigError, ContentError

_EMPTY = Cid.of_block(RAW, b"")


class KuboStore(EmbeddedStore):
    """A ContentStore whose provided files are in an IPFS daemon too. Enter it before use."""

    def __init__(self, config: StoreConfig) -> None:
        super().__init__(config)
        if config.ipfs is None:
            raise ConfigError("no IPFS daemon is named", remedy="give the address of its RPC with --ipfs")
        self._address = DaemonAddress.parse(config.ipfs, config.ipfs_auth)
        self._daemon: KuboClient | None = None
        self._ledger: DaemonLedger | None = None
        self._swarm: Swarm | None = None
        self._publisher_or_none: Publisher | None = None
        self.peer_id = ""  # of the daemon

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            self._daemon = daemon = await in_thread(KuboClient, self._address)
            self.peer_id, addresses = await daemon.identity()
            self._ledger = ledger = await in_thread(DaemonLedger, self._config.root / "daemon.sqlite")
            self._publisher_or_none = Publisher(self._local_store, ledger, daemon)
            self._exchange = DaemonSource(daemon, ledger)
            self._join(daemon, addresses)
            if self._config.serve:
                await self._publisher_or_none.repair()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._exchange = self._publisher_or_none = None
        await super().__aexit__()
        swarm, self._swarm = self._swarm, None
        daemon, self._daemon = self._daemon, None
        ledger, self._ledger = self._ledger, None
        if swarm is not None:
            await swarm.close()
        if daemon is not None:
            await daemon.close()
        if ledger is not None:
            await in_thread(ledger.close)

    async def provide(self, cid: Cid) -> None:
        """Serve it on the gateway, and put it into the daemon, pinned.

        If the daemon fails, its gateway serves it anyway, and DaemonError or DiskFull is raised:
        another `provide`, or the next start, repeats the rest.
        """
        publisher = self._publisher
        if self.url is not None:
            await super().provide(cid)
        await publisher.publish(cid)
        await super().provide(cid)

    async def withhold(self, cid: Cid) -> None:
        """Stop serving it: remove its pin, and its blocks unless another pin keeps them.

        If the daemon does not answer, DaemonError is raised and the removal is repeated later.
        """
        await super().withhold(cid)
        await self._publisher.withdraw(cid)

    async def gc(self, *, grace_s: float = 3600.0) -> Freed:
        """Remove what nothing keeps, from the daemon too, but only blocks of this store."""
        freed = await super().gc(grace_s=grace_s)
        await self._publisher.tidy(time.time() - grace_s)
        return freed

    async def clear(self) -> None:
        """Remove everything of this store from the daemon; the folder keeps its files."""
        await self._publisher.clear()

    def _join(self, daemon: KuboClient, addresses: list[str]) -> None:
        """Announce the daemon to other stores, and connect it to theirs."""
        private = self._config.allow_private
        if self._config.exchange:
            fit = [text for text in addresses if peer_of(text, allow_private=private) == self.peer_id]
            self._peers.swarm = tuple(fit[:PER_REPLY])
            self._swarm = Swarm(daemon, self.peer_id, allow_private=private)
            self._peers.on_swarm = self._swarm.learn

    @property
    def _publisher(self) -> Publisher:
        if self._publisher_or_none is None:
            raise ContentError("the content store is not open", remedy="use it inside `async with`")
        return self._publisher_or_none


class DaemonSource:
    """The daemon as a source of blocks; it records in the ledger what the daemon fetched."""

    def __init__(self, daemon: KuboClient, ledger: DaemonLedger) -> None:
        self._daemon = daemon
        self._ledger = ledger

    async def block(self, cid: Cid, limit: int) -> bytes:
        """The block, checked, once somebody has it. Raises PeerMiss, PeerFault."""
        if cid == _EMPTY:
            return b""  # bitswap does not transfer an empty block
        data = await self._daemon.block(cid, limit)
        await in_thread(self._ledger.fetching, cid)
        return data

    async def leaves(self, cid: Cid, layout: Layout, span: range, put: Put) -> None:
        """Leaves one after the other, unchecked. Raises PeerMiss, PeerFault."""
        await self._daemon.leaves(cid, layout, span, put)


if TYPE_CHECKING:

    def _conforms(store: KuboStore) -> ContentStore:
        return store
