"""Content stores for tests: embedded ones, and ones on IPFS daemons, real or played back."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from steelyard.content import Cid, EmbeddedStore, StoreConfig, make_store
from steelyard.content.kubo.ledger import DaemonLedger
from steelyard.content.layout import LEAF_BYTES
from support.kubo import Daemon

MakeStore = Callable[..., Awaitable[EmbeddedStore]]
SHORT_S = 1.0  # for content that nobody serves


def striped(seed: str, size: int) -> bytes:
    """Bytes that differ from MiB to MiB and from seed to seed, and shrink to nothing in a recording."""
    leaves = range(-(-size // LEAF_BYTES))
    return b"".join(hashlib.shake_256(f"{seed}/{n}".encode()).digest(512) * 2048 for n in leaves)[:size]


class Yard:
    """Stores that reach each other, number n on daemon n if there are daemons, and a stranger.

    apis: base URLs of the daemons' RPC, none for embedded stores; the last one is the stranger's. real: the
    daemons behind them, none if they are played back; what is done with these is not recorded.
    """

    def __init__(
        self, folder: Path, stack: AsyncExitStack, apis: list[str], seed: str, real: Sequence[Daemon] = ()
    ) -> None:
        self.folder = folder
        self.apis = apis
        self.seed = seed
        self.real = real
        self.http = aiohttp.ClientSession()
        self._stack = stack
        self._urls: list[str] = []
        self._count = 0

    @property
    def on_ipfs(self) -> bool:
        return bool(self.apis)

    def file(self, size: int, name: str = "file") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(striped(f"{self.seed}/{name}", size))
        return path

    async def store(self, number: int, *, root: str = "", **settings: object) -> EmbeddedStore:
        """An open store. On a daemon it neither serves nor asks peers: all goes through the daemons."""
        folder = self.folder / (root or f"store{number}")
        self._count += 1
        if not self.on_ipfs:
            defaults: dict[str, object] = {
                "peers": tuple(self._urls),
                "allow_private": True,
                "exchange": False,
            }
        else:
            folder.mkdir(parents=True, exist_ok=True)
            _name_owner(folder / "daemon.sqlite", f"owner-of-{root or number}")
            defaults = {"ipfs": self.apis[number], "serve": False, "exchange": False, "allow_private": True}
        config = StoreConfig(root=folder, **(defaults | settings))  # type: ignore[arg-type]
        store = await self._stack.enter_async_context(make_store(config))
        self._urls += [store.url] if store.url else []
        return store

    async def stranger_gets(self, cid: Cid) -> bool:
        """Whether somebody gets this block who has nothing to do with the stores."""
        if not self.on_ipfs:
            found = [await self._get(f"{url}/ipfs/{cid}?format=raw") for url in self._urls]
            return any(found)
        got = (await self.rpc(-1, "block/get", arg=str(cid), timeout=f"{SHORT_S:g}s"))[0] == 200
        if got:
            await self.rpc(-1, "block/rm", arg=str(cid))
        return got

    async def rpc(self, number: int, path: str, **params: str) -> tuple[int, bytes]:
        """A call to a daemon as its owner would make it: status and body."""
        async with self.http.post(f"{self.apis[number]}/api/v0/{path}", params=params) as response:
            return response.status, await response.read()

    async def _get(self, url: str) -> bool:
        try:
            async with self.http.get(url) as response:
                return response.status == 200
        except aiohttp.ClientConnectorError:  # that store is closed
            return False


def _name_owner(path: Path, name: str) -> None:
    """A name that is the same in every run, as recordings need."""
    ledger = DaemonLedger(path)
    ledger._do("UPDATE owner SET name = ?", (name,))
    ledger.close()
