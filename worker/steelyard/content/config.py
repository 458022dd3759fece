"""Settings of a content store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreConfig:
    """Where the store lies, what it serves and whom it asks. Every wait below ends by itself."""

    root: Path  # the folder; processes of one machine may share it
    serve: bool = True  # False: only hold and fetch, as the command line does
    listen: str = "127.0.0.1:0"  # host:port of the gateway; port 0 takes a free one
    public_url: str | None = None  # base URL given to others, where it differs from `listen`
    peers: tuple[str, ...] = ()  # base URLs of stores or trustless gateways that the operator chose
    exchange: bool = True  # tell peers of this store and learn of others from them
    allow_private: bool = False  # learn loopback and private addresses too: demo and tests
    max_peers: int = 64
    ipfs: str | None = None  # RPC of an IPFS daemon, multiaddr or URL; None = the embedded store alone
    ipfs_auth: str = field(default="", repr=False)  # what `Authorization` says to it; secret
    max_streams: int = 12  # files handed out at once; each takes up to 2 MiB of memory
    connect_s: float = 3.0  # seconds until a peer must have answered the door
    stall_s: float = 5.0  # seconds without a byte until a peer is dropped
    leaf_s: float = 10.0  # seconds for one MiB, doubled after each failure of a peer
    send_s: float = 30.0  # seconds in which a client must take one MiB
    announce_s: float = 15.0  # seconds between announcements once all bootstrap peers have answered
