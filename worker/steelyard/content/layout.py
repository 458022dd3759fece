"""How a file becomes a DAG: 1 MiB raw leaves, balanced, 1024 links a node (the unixfs-v1-2025 profile).

Everything follows from a file's size and its leaves' digests, 32 bytes per MiB, so that is all a store keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from steelyard.content.dagpb import FILE, DagNode, Link, encode_node
from steelyard.core.cid import DAG_PB, RAW, Cid

LEAF_BYTES = 1024 * 1024
LINKS = 1024


@dataclass(frozen=True, slots=True)
class DagBlock:
    """An inner node of a file, with its CID."""

    cid: Cid
    data: bytes


@dataclass(frozen=True, slots=True)
class _Subtree:
    cid: Cid
    file_size: int
    dag_size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A file's size in bytes and its leaves' sha2-256 digests, joined (32 x leaf count bytes)."""

    size: int
    leaves: bytes

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.leaves) != 32 * leaf_count(self.size):
            raise ValueError(f"{len(self.leaves)} bytes of digests do not fit {self.size} bytes of file")

    def __len__(self) -> int:
        return len(self.leaves) // 32

    def leaf(self, index: int) -> bytes:
        """The digest of leaf `index`."""
        return self.leaves[32 * index : 32 * index + 32]

    def leaf_size(self, index: int) -> int:
        """Bytes of leaf `index`: 1 MiB but for the last."""
        return min(LEAF_BYTES, self.size - index * LEAF_BYTES)

    def root(self) -> Cid:
        """The file's CID."""
        return self.tree()[0]

    def tree(self) -> tuple[Cid, int, list[DagBlock]]:
        """(the file's CID, bytes of all its blocks, its inner nodes, of which one leaf has none)."""
        level = [
            _Subtree(Cid(RAW, self.leaf(i)), self.leaf_size(i), self.leaf_size(i)) for i in range(len(self))
        ]
        blocks: list[DagBlock] = []
        while len(level) > 1:
            level = [_join(level[i : i + LINKS], blocks) for i in range(0, len(level), LINKS)]
        return level[0].cid, level[0].dag_size, blocks


def leaf_count(size: int) -> int:
    """Leaves of a file of `size` bytes; an empty file has one, empty."""
    return max(1, -(-size // LEAF_BYTES))


def read_layout(stream: BinaryIO) -> Layout:
    """Hash a stream from where it stands to its end, in memory that does not grow with it."""
    return hash_leaves(_chunks(stream))


def hash_leaves(chunks: Iterator[bytes | memoryview]) -> Layout:
    """The layout of a file that comes in chunks of exactly 1 MiB but for the last."""
    leaves, size = bytearray(), 0
    for chunk in chunks:
        if size % LEAF_BYTES:
            raise ValueError("a chunk other than the last is not 1 MiB")
        leaves += hashlib.sha256(chunk).digest()
        size += len(chunk)
    return Layout(size, bytes(leaves) or hashlib.sha256(b"").digest())


def _chunks(stream: BinaryIO) -> Iterator[bytes | memoryview]:
    buffer = memoryview(bytearray(LEAF_BYTES))
    while True:
        filled = 0
        while filled < LEAF_BYTES:
            count = stream.readinto(buffer[filled:])  # type: ignore[attr-defined]
            if not count:
                break
            filled += count
        if filled:
            yield buffer[:filled]
        if filled < LEAF_BYTES:
            return


def _join(children: list[_Subtree], blocks: list[DagBlock]) -> _Subtree:
    node = DagNode(
        FILE,
        tuple(Link(child.cid, "", child.dag_size) for child in children),
        sum(child.file_size for child in children),
        tuple(child.file_size for child in children),
    )
    data = encode_node(node)
    block = DagBlock(Cid.of_block(DAG_PB, data), data)
    blocks.append(block)
    return _Subtree(block.cid, node.file_size, len(data) + sum(child.dag_size for child in children))
