"""`data publish --encrypt`: shard files are sealed, and their keys kept for whoever published them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from steelyard.content import cid_of_path
from steelyard.learning.data import ShardFile
from steelyard.sealing.envelopes import Envelope
from steelyard.sealing.keyring import Keyring
from steelyard.sealing.stream import seal_file

SUFFIX = ".sealed"


def seal_shards(shards: Sequence[ShardFile], ring: Keyring, public: bytes) -> tuple[ShardFile, ...]:
    """Seal each shard beside itself, with a key of its own, and remove the open file.

    public: the publisher's encryption key, by which it opens them again and lets others read them. Raises
    DiskFull; then every open file that was not sealed yet is still there.
    """
    return tuple(_sealed(shard, ring, public) for shard in shards)


def _sealed(shard: ShardFile, ring: Keyring, public: bytes) -> ShardFile:
    path: Path = shard.path.with_suffix(SUFFIX)
    key = seal_file(shard.path, path)
    size = path.stat().st_size
    ring.own(Envelope.seal(key, content=cid_of_path(path), size=size, recipient=public))
    shard.path.unlink()
    return replace(shard, path=path, size=size)
