"""The store that settings ask for."""

from __future__ import annotations

from steelyard.content.config import StoreConfig
from steelyard.content.embedded import EmbeddedStore


def make_store(config: StoreConfig) -> EmbeddedStore:
    """The embedded store, or one on an IPFS daemon where `config.ipfs` names one. Raises ConfigError."""
    if config.ipfs is None:
        return EmbeddedStore(config)
    from steelyard.content.kubo.store import KuboStore  # noqa: PLC0415 - only users of a daemon need it

    return KuboStore(config)
