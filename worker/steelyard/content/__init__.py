"""Content-addressed files: the ContentStore protocol, the embedded store and the store on an IPFS daemon."""

from steelyard.content.directories import cid_of_path
from steelyard.content.embedded import EmbeddedStore
from steelyard.content.store import FOREVER, ContentStore, Entry, Freed, StoreConfig, StoreTotals
from steelyard.core.cid import Cid

__all__ = [
    "FOREVER",
    "Cid",
    "ContentStore",
    "EmbeddedStore",
    "Entry",
    "Freed",
    "StoreConfig",
    "StoreTotals",
    "cid_of_path",
    "make_store",
]


def make_store(config: StoreConfig) -> EmbeddedStore:
    """The embedded store, or one on the IPFS daemon that `config.ipfs` names. Raises ConfigError."""
    if config.ipfs is None:
        return EmbeddedStore(config)
    from steelyard.content.kubo.store import KuboStore  # noqa: PLC0415 - only needed with a daemon

    return KuboStore(config)
