"""The session's content store, as settings of the embedded one."""

from __future__ import annotations

from steelyard.config import Config
from steelyard.content import StoreConfig


def serving(config: Config, listen: str = "") -> StoreConfig:
    """Handing out what it provides, at `listen` or where the settings say."""
    return StoreConfig(
        root=config.content_dir,
        listen=listen or config.listen,
        peers=config.peers,
        allow_private=config.allow_private,
    )


def fetching_only(config: Config) -> StoreConfig:
    """Only holding and fetching, for a command that ends at once."""
    return StoreConfig(
        root=config.content_dir,
        serve=False,
        exchange=False,
        peers=config.peers,
        allow_private=config.allow_private,
    )
