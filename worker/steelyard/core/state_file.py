"""State and momentum files: mapped, checked, and written in a stream (protocol.md section 2).

Nothing here is unpickled or decompressed. A file's exact length follows from the job's block count and is
checked before anything is read from it. Written files appear under their name complete or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.core.kernels.arrays import Bytes, Int32
from steelyard.core.numbers import BLOCK_VALUES, CHUNK_BLOCKS, STATE_BLOCK
from steelyard.core.trees import state_root
from steelyard.errors import FormatError
from steelyard.util.atomic import atomic
from steelyard.util.mapped import map_bytes

__all__ = ["StateFile", "open_state", "write_state"]


@dataclass(frozen=True, eq=False)
class StateFile:
    """A state or momentum: block_count x 128 bytes of big-endian int32."""

    data: Bytes
    block_count: int

    def values(self, first: int = 0, count: int | None = None) -> Int32:
        """The values of `count` blocks from block `first` on, as a copy, (count * 32,)."""
        end = self.block_count if count is None else first + count
        return self.bytes_of(first, end - first).view(">i4").astype(np.int32)

    def bytes_of(self, first: int, count: int) -> Bytes:
        """The bytes of `count` blocks from block `first` on, still mapped."""
        return self.data[first * STATE_BLOCK : (first + count) * STATE_BLOCK]

    def block(self, index: int) -> bytes:
        """The 128 bytes of a block."""
        return self.bytes_of(index, 1).tobytes()

    def root(self) -> bytes:
        """Root of the state tree."""
        return state_root(self.data, self.block_count)


def open_state(path: Path, block_count: int) -> StateFile:
    """Map a state or momentum file. Raises FormatError if its length is not the job's."""
    data = map_bytes(path)
    if data.shape[0] != block_count * STATE_BLOCK:
        raise FormatError(
            f"{path} has {data.shape[0]} bytes, not the {block_count * STATE_BLOCK} of {block_count} blocks",
            remedy="fetch it again, or check that it belongs to this job",
        )
    return StateFile(data, block_count)


def write_state(path: Path, values: Int32, block_count: int) -> bytes:
    """Write values, padded with zeros, as a state file. Returns its root.

    values: (up to block_count * 32,). Raises FormatError for more.
    """
    if values.ndim != 1 or values.shape[0] > block_count * BLOCK_VALUES:
        raise FormatError(
            f"{values.shape} values for {block_count} blocks", remedy="flatten, and check the job"
        )
    with atomic(path) as file:
        for first in range(0, values.shape[0], CHUNK_BLOCKS * BLOCK_VALUES):
            file.write(values[first : first + CHUNK_BLOCKS * BLOCK_VALUES].astype(">i4").tobytes())
        file.truncate(block_count * STATE_BLOCK)
    return open_state(path, block_count).root()
