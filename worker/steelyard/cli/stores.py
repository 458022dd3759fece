"""The session's content store, as settings for `make_store`."""

from __future__ import annotations

import os

from steelyard.config import Config
from steelyard.content import StoreConfig
from steelyard.content.kubo.address import Address, find


def serving(config: Config, listen: str = "") -> StoreConfig:
    """Handing out what it provides, at `listen` or where the settings say."""
    return StoreConfig(
        root=config.content_dir,
        listen=listen or config.listen,
        peers=config.peers,
        allow_private=config.allow_private,
        ipfs=daemon(config),
    )


def fetching_only(config: Config) -> StoreConfig:
    """Only holding and fetching, for a command that ends at once."""
    return StoreConfig(
        root=config.content_dir,
        serve=False,
        exchange=False,
        peers=config.peers,
        allow_private=config.allow_private,
        ipfs=daemon(config),
    )


def daemon(config: Config) -> str | None:
    """The IPFS daemon's RPC where the store is to be on one.  Raises ConfigError where none is found."""
    kind = config.store or ("kubo" if config.ipfs_api else "embedded")
    return Address.parse(find(config.ipfs_api, os.environ)).url if kind == "kubo" else None
