"""Update files: header, presence bitmap, non-empty blocks (protocol.md section 2).

Nothing here is unpickled or decompressed. A file's exact length follows from its header and bitmap, and is
checked before any block is read. `update_writer` writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from steelyard.core import kernels
from steelyard.core.encoding_spec import Encoding
from steelyard.core.kernels.arrays import Bools, Bytes, Int32, Int64
from steelyard.core.numbers import BLOCK_VALUES, CHUNK_BLOCKS
from steelyard.core.trees import EMPTY_LEAF, LEAF, EnergyStep, UpdateRoot, UpdateTree, depth_of
from steelyard.errors import FormatError
from steelyard.util.mapped import map_bytes

__all__ = [
    "HEADER",
    "Chunk",
    "UpdateFile",
    "UpdateSummary",
    "header_of",
    "open_update",
    "parse_update",
    "walk",
]

MAGIC = b"SYU1"
HEADER = struct.Struct(">4sB3sQQI4s")
EMPTY_ROW: Bytes = np.frombuffer(EMPTY_LEAF, np.uint8)

Chunk: TypeAlias = tuple[int, int, int, Int64]
"""First block, blocks, offset of their first byte, and which are not empty (counted from the first)."""


@dataclass(frozen=True, kw_only=True)
class UpdateSummary:
    """The facts of an update file that a worker seals and an attestor checks."""

    root: UpdateRoot
    update_root: bytes  # 32, the digest of `root`
    refused_count: int  # blocks that a decoder refuses; any makes the update malformed
    first_refused: int | None

    @property
    def well_formed(self) -> bool:
        """True if every block decodes."""
        return self.refused_count == 0


@dataclass(frozen=True, eq=False)
class UpdateFile:
    """A parsed update. Its header is the job's and its length is right; blocks may still be refused."""

    data: Bytes
    encoding: Encoding
    job: int
    serial: int
    block_count: int

    @property
    def body(self) -> int:
        """Offset of the first non-empty block."""
        return HEADER.size + (self.block_count + 7) // 8

    def present(self, first: int, count: int) -> Bools:
        """Which of the blocks first, first + 1, ... are not empty, (count,)."""
        start = HEADER.size + first // 8
        bits = np.unpackbits(self.data[start : HEADER.size + (first + count + 7) // 8])
        return bits[first % 8 : first % 8 + count].view(np.bool_)

    def chunks(self, rows: int = CHUNK_BLOCKS) -> Iterator[Chunk]:
        """All blocks, `rows` at a time."""
        offset = self.body
        for first in range(0, self.block_count, rows):
            count = min(rows, self.block_count - first)
            where: Int64 = np.flatnonzero(self.present(first, count))
            yield first, count, offset, where
            offset += where.shape[0] * self.encoding.size

    def block(self, index: int) -> bytes:
        """The bytes of a block, empty for zeros."""
        if not self.present(index, 1)[0]:
            return b""
        before = sum(
            int(self.present(first, min(CHUNK_BLOCKS, index - first)).sum())
            for first in range(0, index, CHUNK_BLOCKS)
        )
        offset = self.body + before * self.encoding.size
        return self.data[offset : offset + self.encoding.size].tobytes()

    @cached_property
    def summary(self) -> UpdateSummary:
        """Root, energy and refused blocks; the first use reads the whole file."""
        tree, refused = self._tree(())
        root = UpdateRoot(
            tree_hash=tree.root(),
            energy=tree.energy(),
            encoding=int(self.encoding),
            block_count=self.block_count,
        )
        return UpdateSummary(
            root=root, update_root=root.digest(), refused_count=refused[0], first_refused=refused[1]
        )

    def energy_path(self, index: int) -> tuple[EnergyStep, ...]:
        """Path of a block in the update tree, from the leaf up."""
        tree, _ = self._tree((index,))
        tree.root()
        values = self.values(index, 1)[0].tolist()
        return tree.energy_path(index, sum(v * v for v in values))

    def values(self, first: int = 0, count: int | None = None) -> Int32:
        """Decoded values of blocks, (count, 32); refused and empty blocks are zeros."""
        count = self.block_count - first if count is None else count
        out = np.zeros((count, BLOCK_VALUES), np.int32)
        for start, rows, offset, where in self.chunks():
            if start + rows <= first or start >= first + count:
                continue
            chunk = np.zeros((rows, BLOCK_VALUES), np.int32)
            kernels.get().decode(
                self.data, offset, int(self.encoding), where, chunk, np.zeros(rows, np.bool_)
            )
            low, high = max(start, first), min(start + rows, first + count)
            out[low - first : high - first] = chunk[low - start : high - start]
        return out

    def _tree(self, watch: tuple[int, ...]) -> tuple[UpdateTree, tuple[int, int | None]]:
        core, tree = kernels.get(), UpdateTree(self.block_count, watch)
        refused_count, first_refused = 0, None
        for first, rows, offset, where in self.chunks():
            values = np.zeros((rows, BLOCK_VALUES), np.int32)
            refused, energy = np.zeros(rows, np.bool_), np.empty((rows, 2), np.uint64)
            core.decode(self.data, offset, int(self.encoding), where, values, refused)
            core.energies(values, energy)
            leaves = np.empty((rows, 32), np.uint8)
            self.leaves_into(leaves, 0, offset, where)
            tree.add_update(leaves, energy)
            if refused.any():
                refused_count += int(refused.sum())
                first_refused = first + int(refused.argmax()) if first_refused is None else first_refused
        return tree, (refused_count, first_refused)

    def leaves_into(self, out: Bytes, column: int, offset: int, where: Int64) -> None:
        """Write the leaf hashes of a chunk into out[:, column : column + 32]."""
        if where.shape[0] < out.shape[0]:
            out[:, column : column + 32] = EMPTY_ROW
        kernels.get().hash_items(self.data, offset, self.encoding.size, LEAF, where, out, column)


def walk(updates: Sequence[UpdateFile], rows: int) -> Iterator[tuple[Chunk, ...]]:
    """Each update's part of each chunk of `rows` blocks."""
    return zip(*(update.chunks(rows) for update in updates), strict=True)


def header_of(*, encoding: Encoding, job: int, serial: int, block_count: int) -> bytes:
    """The 32 bytes that an update file of this job and serial begins with."""
    depth_of(block_count)
    return HEADER.pack(MAGIC, int(encoding), bytes(3), job, serial, block_count, bytes(4))


def parse_update(data: Bytes, *, encoding: Encoding, job: int, serial: int, block_count: int) -> UpdateFile:
    """Check everything except the blocks. Raises FormatError, naming the fault."""
    expected = header_of(encoding=encoding, job=job, serial=serial, block_count=block_count)
    body = HEADER.size + (block_count + 7) // 8
    if data.shape[0] < body:
        raise FormatError(
            f"update of {data.shape[0]} bytes, shorter than its header and bitmap ({body})", remedy=_REMEDY
        )
    given = data[: HEADER.size].tobytes()
    if given != expected:
        raise FormatError(f"update's header: {_header_fault(given, expected)}", remedy=_REMEDY)
    bitmap = data[HEADER.size : body]
    spare = -block_count % 8
    if spare and int(bitmap[-1]) & ((1 << spare) - 1):
        raise FormatError(f"update's bitmap sets one of its {spare} spare bits", remedy=_REMEDY)
    filled = sum(int(np.bitwise_count(bitmap[i : i + 65536]).sum()) for i in range(0, bitmap.shape[0], 65536))
    if data.shape[0] != body + filled * encoding.size:
        raise FormatError(
            f"update of {data.shape[0]} bytes; its {filled} blocks take {body + filled * encoding.size}",
            remedy=_REMEDY,
        )
    return UpdateFile(data, encoding, job, serial, block_count)


_REMEDY = "the file is malformed; do not attest it"


def _header_fault(given: bytes, expected: bytes) -> str:
    names = ("magic", "encoding", "reserved bytes", "job", "serial", "block count", "reserved bytes")
    for name, is_, should in zip(names, HEADER.unpack(given), HEADER.unpack(expected), strict=True):
        if is_ != should:
            return f"{name} {is_!r}, not {should!r}"
    return "unreadable"


def open_update(path: Path, *, encoding: Encoding, job: int, serial: int, block_count: int) -> UpdateFile:
    """Map and parse an update file. Raises FormatError if it is malformed for this job and serial.

    A file with a refused block still parses: see `summary.well_formed`.
    """
    return parse_update(map_bytes(path), encoding=encoding, job=job, serial=serial, block_count=block_count)
