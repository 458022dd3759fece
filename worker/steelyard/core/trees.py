"""Merkle trees over blocks (protocol.md section 3), built in a stream: memory is a node or two per level.

All hashes are keccak-256. Leaves are padded with the leaf of the empty block to the next power of two; the
depth follows from the block count alone; paths are positional, the leaf's sibling first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.core import kernels
from steelyard.core.hashing import keccak
from steelyard.core.kernels.arrays import Bytes, Int64, UInt64
from steelyard.core.numbers import MAX_BLOCKS, STATE_BLOCK
from steelyard.errors import FormatError

LEAF, NODE, ENERGY_NODE, UPDATE_ROOT, TRANSCRIPT_LEAF, TABLE = range(6)
"""First byte of each hashed message: domain separation between the kinds of node."""

EMPTY_LEAF = keccak(bytes([LEAF]))
ZERO_ROOT = bytes(32)


def depth_of(block_count: int) -> int:
    """Levels above the leaves. Raises FormatError for a count outside 1 to 2^28."""
    if not 1 <= block_count <= MAX_BLOCKS:
        raise FormatError(
            f"{block_count} blocks, not 1 to {MAX_BLOCKS}", remedy="check the job's block count"
        )
    return (block_count - 1).bit_length()


def hash_rows(rows: Bytes, prefix: int) -> Bytes:
    """keccak(prefix || row) of each row. rows: (n, size), contiguous. Returns (n, 32)."""
    out = np.empty((rows.shape[0], 32), np.uint8)
    where: Int64 = np.arange(rows.shape[0], dtype=np.int64)
    kernels.get().hash_items(rows.reshape(-1), 0, rows.shape[1], prefix, where, out, 0)
    return out


def block_leaf(block: bytes) -> bytes:
    """Leaf, 32 bytes, of a block of a state, momentum or update tree. block: its bytes, empty for zeros."""
    return keccak(bytes([LEAF]) + block)


def state_leaves(data: Bytes) -> Bytes:
    """Leaves of consecutive 128-byte blocks of a state or momentum. data: (n * 128,). Returns (n, 32)."""
    return hash_rows(np.ascontiguousarray(data).reshape(-1, STATE_BLOCK), LEAF)


class StateTree:
    """A state, momentum or transcript tree from a stream of leaves: its root, and the paths of chosen leaves.

    block_count: unpadded leaves to come. watch: leaves whose paths are wanted.
    """

    _WIDTH = 32  # bytes of a node in memory
    _EMPTY = EMPTY_LEAF

    def __init__(self, block_count: int, watch: tuple[int, ...] = ()) -> None:
        self.depth = depth_of(block_count)
        self.block_count = block_count
        self._pending: list[Bytes] = [np.empty((0, self._WIDTH), np.uint8) for _ in range(self.depth + 1)]
        self._seen = [0] * (self.depth + 1)
        self._added = 0
        self._siblings: dict[int, dict[int, bytes]] = {leaf: {} for leaf in watch}
        for leaf in watch:
            if not 0 <= leaf < 1 << self.depth:
                raise FormatError(f"leaf {leaf} of {1 << self.depth}", remedy="ask for a block of the model")

    def add(self, leaves: Bytes) -> None:
        """Append consecutive leaves. leaves: (n, 32). Raises FormatError past the block count."""
        self._count(leaves)
        self._push(0, leaves)

    def root(self) -> bytes:
        """The root. Raises FormatError if leaves are missing."""
        top = self._top()
        return top[:32]

    def path(self, leaf: int) -> tuple[bytes, ...]:
        """Siblings of a watched leaf and its ancestors, from the leaf up, once `root()` was called."""
        siblings = self._siblings[leaf]
        return tuple(siblings[level] for level in range(self.depth))

    def _count(self, leaves: Bytes) -> None:
        self._added += leaves.shape[0]
        if self._added > self.block_count:
            raise FormatError(f"more than {self.block_count} leaves", remedy="feed each block once")

    def _top(self) -> bytes:
        if self._added != self.block_count:
            raise FormatError(f"{self._added} of {self.block_count} leaves", remedy="feed every block first")
        empty = np.frombuffer(self._EMPTY, np.uint8).reshape(1, self._WIDTH)
        for level in range(self.depth):
            width = 1 << (self.depth - level)
            self._watch(level, empty, self._seen[level], width)
            if self._pending[level].shape[0]:
                self._push(level, empty)
            empty = self._combine(np.concatenate([empty, empty]))
        return self._pending[self.depth].tobytes()

    def _combine(self, nodes: Bytes) -> Bytes:
        """Parents of consecutive pairs. nodes: (2n, width). Returns (n, width)."""
        return hash_rows(nodes.reshape(-1, 64), NODE)

    def _push(self, level: int, nodes: Bytes) -> None:
        while nodes.shape[0]:
            self._watch(level, nodes, self._seen[level], self._seen[level] + nodes.shape[0])
            self._seen[level] += nodes.shape[0]
            if self._pending[level].shape[0]:
                nodes = np.concatenate([self._pending[level], nodes])
            even = nodes.shape[0] // 2 * 2 if level < self.depth else 0
            self._pending[level] = nodes[even:].copy()
            nodes = self._combine(np.ascontiguousarray(nodes[:even])) if even else nodes[:0]
            level += 1

    def _watch(self, level: int, nodes: Bytes, first: int, end: int) -> None:
        """Record siblings of watched leaves' ancestors; a single row may stand for all of first to end."""
        for leaf, siblings in self._siblings.items():
            sibling = (leaf >> level) ^ 1
            if first <= sibling < end:
                siblings[level] = nodes[min(sibling - first, nodes.shape[0] - 1)].tobytes()


@dataclass(frozen=True, kw_only=True)
class EnergyStep:
    """One level of an update tree's path: the sibling, and both energies as they are hashed."""

    sibling: bytes  # 32
    own_energy: int
    sibling_energy: int


class UpdateTree(StateTree):
    """A tree whose nodes also carry the energy below them, from a stream of leaves with their energies."""

    _WIDTH = 44
    _EMPTY = EMPTY_LEAF + bytes(12)

    def add_update(self, leaves: Bytes, energies: UInt64) -> None:
        """Append consecutive leaves. leaves: (n, 32); energies: (n, 2), high and low 64 bits."""
        self._count(leaves)
        self._push(0, _join(leaves, energies[:, 0], energies[:, 1]))

    def energy(self) -> int:
        """Sum over all leaves, once every leaf was added."""
        return int.from_bytes(self._top()[32:], "big")

    def energy_path(self, leaf: int, energy: int) -> tuple[EnergyStep, ...]:
        """Path of a watched leaf of this energy, from the leaf up, once `root()` was called."""
        steps = []
        for node in self.path(leaf):
            other = int.from_bytes(node[32:], "big")
            steps.append(EnergyStep(sibling=node[:32], own_energy=energy, sibling_energy=other))
            energy += other
        return tuple(steps)

    def _combine(self, nodes: Bytes) -> Bytes:
        pairs = nodes.reshape(-1, 88)
        preimage = pairs[:, _PAIR_ORDER]
        left, right = _energy(pairs[:, 32:44]), _energy(pairs[:, 76:88])
        low = left[1] + right[1]
        high = left[0] + right[0] + (low < left[1]).astype(np.uint64)
        return _join(hash_rows(preimage, ENERGY_NODE), high, low)


_PAIR_ORDER = np.r_[0:32, 44:76, 32:44, 76:88]  # (hash, energy) twice becomes both hashes, then both energies


def _energy(field: Bytes) -> tuple[UInt64, UInt64]:
    """High 32 and low 64 bits of 12-byte numbers. field: (n, 12)."""
    high = np.ascontiguousarray(field[:, :4]).view(">u4")[:, 0].astype(np.uint64)
    return high, np.ascontiguousarray(field[:, 4:]).view(">u8")[:, 0].astype(np.uint64)


def _join(hashes: Bytes, high: UInt64, low: UInt64) -> Bytes:
    """Rows of hash and 12-byte energy. An honest sum of 2^28 blocks fits: it is at most 2^95."""
    rows = np.empty((hashes.shape[0], 44), np.uint8)
    rows[:, :32] = hashes
    rows[:, 32:36] = high.astype(">u4").view(np.uint8).reshape(-1, 4)
    rows[:, 36:] = low.astype(">u8").view(np.uint8).reshape(-1, 8)
    return rows


def state_root(data: Bytes, block_count: int, chunk: int = 4096) -> bytes:
    """Root of a state or momentum tree.

    data: uint8 (block_count * 128,), perhaps memory-mapped. chunk: blocks at a time. Returns 32 bytes.
    Raises FormatError for another length.
    """
    if data.shape != (block_count * STATE_BLOCK,):
        raise FormatError(
            f"{data.shape[0]} bytes for {block_count} blocks", remedy="check the job's block count"
        )
    tree = StateTree(block_count)
    for first in range(0, block_count, chunk):
        tree.add(state_leaves(data[first * STATE_BLOCK : (first + chunk) * STATE_BLOCK]))
    return tree.root()


@dataclass(frozen=True, kw_only=True)
class UpdateRoot:
    """The fields that an update root commits to."""

    tree_hash: bytes  # 32
    energy: int  # sum of squared decoded values before any clipping, uint96
    encoding: int
    block_count: int

    def preimage(self) -> bytes:
        """The 49 bytes after the prefix 0x03."""
        return (
            self.tree_hash
            + self.energy.to_bytes(12, "big")
            + self.encoding.to_bytes(1, "big")
            + self.block_count.to_bytes(4, "big")
        )

    def digest(self) -> bytes:
        """The update root."""
        return keccak(bytes([UPDATE_ROOT]) + self.preimage())


def sealed_root(
    *, chain_id: int, coordinator: bytes, job: int, serial: int, worker: bytes, update_root: bytes
) -> bytes:
    """The sealed root, which a worker publishes while submissions are open.

    coordinator, worker: addresses of 20 bytes; worker is the registered identity. update_root: 32 bytes.
    Returns 32 bytes. Raises FormatError for an address of another length.
    """
    for name, value in (("coordinator", coordinator), ("worker", worker)):
        if len(value) != 20:
            raise FormatError(
                f"{name} has {len(value)} bytes, not 20", remedy="pass the address as raw bytes"
            )
    words = (chain_id, int.from_bytes(coordinator, "big"), job, serial, int.from_bytes(worker, "big"))
    return keccak(b"".join(w.to_bytes(32, "big") for w in words) + update_root)


def path_root(leaf: bytes, index: int, path: tuple[bytes, ...]) -> bytes:
    """Root that a leaf and its path lead to in a state, momentum or transcript tree.

    leaf: 32 bytes. index: of the leaf. path: siblings of 32 bytes, the leaf's first. Returns 32 bytes.
    """
    for sibling in path:
        pair = leaf + sibling if index % 2 == 0 else sibling + leaf
        leaf, index = keccak(bytes([NODE]) + pair), index // 2
    return leaf
