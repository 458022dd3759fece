"""Files by their hash: CIDs, what a store of them promises, and the embedded one that needs no daemon."""

from steelyard.content.cid import Cid
from steelyard.content.config import StoreConfig
from steelyard.content.embedded import EmbeddedStore
from steelyard.content.factory import make_store
from steelyard.content.hashing import cid_of_path
from steelyard.content.store import FOREVER, ContentStore, Entry, Freed, HeldFile

__all__ = [
    "FOREVER",
    "Cid",
    "ContentStore",
    "EmbeddedStore",
    "Entry",
    "Freed",
    "HeldFile",
    "StoreConfig",
    "cid_of_path",
    "make_store",
]
