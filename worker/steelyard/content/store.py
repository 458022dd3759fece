"""The ContentStore protocol, its settings and its record types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from steelyard.core.cid import Cid

FOREVER = float("inf")  # a pin that does not expire


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file or directory that a store holds."""

    cid: Cid
    kind: Literal["file", "directory"]
    size: int  # bytes of the file; of a directory, of its own block
    provided: bool  # served to others, by itself or by a directory that holds it
    pinned_until: float | None  # Unix seconds, FOREVER, or None without a pin of its own
    added: float  # Unix seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreTotals:
    """How much a store holds. Bytes count each file once."""

    files: int
    directories: int
    held_bytes: int
    pinned_bytes: int
    provided_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Freed:
    """The result of a collection."""

    entries: int
    freed_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreConfig:
    """Settings of a content store. All waits are bounded."""

    root: Path  # the store's folder; processes of one machine may share it
    serve: bool = True  # False: only hold and fetch, as the command line does
    listen: str = "127.0.0.1:0"  # host:port of the gateway; port 0 takes a free one
    public_url: str | None = None  # base URL given to others, if it differs from `listen`
    peers: tuple[str, ...] = ()  # base URLs of stores or trustless gateways that the operator chose
    exchange: bool = True  # announce this store to peers and learn further ones from them
    allow_private: bool = False  # learn loopback and private addresses too: demo and tests
    max_peers: int = 64
    ipfs: str | None = None  # RPC of an IPFS daemon, multiaddr or URL; None = the embedded store alone
    ipfs_auth: str = field(default="", repr=False)  # its `Authorization` header; secret
    max_streams: int = 12  # files served at once; each takes up to 2 MiB of memory
    connect_s: float = 3.0  # seconds until a peer must have accepted a connection
    stall_s: float = 5.0  # seconds without a byte until a peer is dropped
    leaf_s: float = 10.0  # seconds for one MiB, doubled after each failure of a peer
    send_s: float = 30.0  # seconds in which a client must take one MiB
    announce_s: float = 15.0  # seconds between announcements once all bootstrap peers have answered


class ContentStore(Protocol):
    """Files and directories by CID: stored, served or withheld, and fetched from others.

    A call that goes to the network ends by its `timeout_s`, whatever peers do, and checks every block
    against its CID before the bytes are visible. Errors are ContentError's subclasses: ContentMissing
    (no peer served it in time), ContentTooLarge, ContentCorrupt, DiskFull, CidError.
    """

    async def __aenter__(self) -> ContentStore:
        """Open the store and begin to serve, if it is configured to."""

    async def __aexit__(self, *exc: object) -> None:
        """Stop serving and close."""

    @property
    def url(self) -> str | None:
        """The base URL at which others fetch from this store; None if it does not serve."""

    async def cid_of(self, path: Path) -> Cid:
        """The CID of a file or directory, only hashed: nothing is stored or served."""

    async def add(self, path: Path, *, provide: bool = True, pin_until: float | None = None) -> Cid:
        """Keep a file and, unless `provide` is false, serve it.

        The bytes are hard-linked if the file system can, else copied: do not change the file afterwards.
        """

    async def add_bytes(self, data: bytes, *, provide: bool = True, pin_until: float | None = None) -> Cid:
        """Keep a small file that is in memory."""

    async def add_directory(
        self, source: Path | Mapping[str, Path], *, provide: bool = True, pin_until: float | None = None
    ) -> Cid:
        """Keep a directory: a folder, or files by their relative path ("shards/0.bin").

        Raises ContentTooLarge if a listing passes 256 KiB, ContentError for links and odd names.
        """

    async def provide(self, cid: Cid) -> None:
        """Serve what is held and was withheld; a directory with all in it. ContentMissing if not held."""

    async def withhold(self, cid: Cid) -> None:
        """Stop serving it; it stays held."""

    async def has(self, cid: Cid) -> bool:
        """Whether all of it is held here."""

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
        """Put the file `cid`, or the file at `path` in the directory `cid`, at `dest`, and keep it.

        What is held is verified and linked; the rest comes from `hints` (base URLs) and the known peers,
        several at once, to disk, and a later call resumes an interrupted one. It waits for a file that
        no peer serves yet. `dest` appears whole or not at all; treat it as read-only.
        """

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
        """Put the whole directory `cid` at the new folder `dest`; the limits are over all its files."""

    async def listing(
        self, cid: Cid, *, timeout_s: float, path: str = "", hints: Sequence[str] = ()
    ) -> dict[str, Cid]:
        """The names in a directory and their CIDs, fetched if necessary."""

    async def read(self, cid: Cid, offset: int, length: int) -> bytes:
        """Up to `length` bytes of a held file from `offset`, verified. For small ranges: it is one buffer.

        Raises ContentMissing if it is not held, ContentCorrupt if the disk lost what was stored.
        """

    async def pin(self, cid: Cid, *, until: float = FOREVER) -> None:
        """Keep it, and all in it, until a Unix time at the least; an earlier time never shortens a pin."""

    async def unpin(self, cid: Cid) -> None:
        """Remove its pin; the next collection may delete it."""

    async def ls(self) -> list[Entry]:
        """All that is held, by CID."""

    async def held(self) -> StoreTotals:
        """How much is held."""

    async def gc(self, *, grace_s: float = 3600.0) -> Freed:
        """Remove what no unexpired pin keeps and was added or fetched longer than `grace_s` ago."""

    def add_peers(self, urls: Sequence[str]) -> None:
        """Add base URLs of others' stores: bounded in number, never trusted."""
