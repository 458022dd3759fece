"""The trees of a result: rebuilt from its files, right or wrong (protocol.md section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.core import kernels
from steelyard.core.inputs import Inputs, rows_for
from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.core.numbers import BLOCK_VALUES, CHUNK_BLOCKS, STATE_BLOCK
from steelyard.core.rules import NO_BYTES
from steelyard.core.state_file import StateFile
from steelyard.core.trees import LEAF, TRANSCRIPT_LEAF, ZERO_ROOT, StateTree, hash_rows
from steelyard.core.update_file import Chunk, walk


@dataclass(frozen=True, kw_only=True)
class Roots:
    """The tree roots of a result. `momentum` is 32 zero bytes if beta is 0."""

    state: bytes
    momentum: bytes
    transcript: bytes


@dataclass(frozen=True, kw_only=True)
class PostedResult:
    """New state and momentum of a result, right or wrong."""

    state: StateFile
    momentum: StateFile | None = None  # None if beta is 0


def roots_of(inputs: Inputs, posted: PostedResult) -> Roots:
    """Roots of a result with these new files; the posted ones exactly if the result can be rebuilt.

    posted: files as long as the parent's. Reads every file once.
    """
    return _hashed(inputs, posted, ()).roots()


def transcript_path(inputs: Inputs, posted: PostedResult, block: int) -> tuple[Roots, tuple[bytes, ...]]:
    """Roots as above, and the path of one block in the transcript, from its leaf up."""
    trees = _hashed(inputs, posted, (block,))
    return trees.roots(), trees.transcript.path(block)


def first_difference(posted: StateFile, right: StateFile) -> tuple[int, int] | None:
    """First block and coordinate at which a posted state or momentum is wrong; None if it is right."""
    step = CHUNK_BLOCKS * STATE_BLOCK
    for start in range(0, right.data.shape[0], step):
        differs = posted.data[start : start + step] != right.data[start : start + step]
        if differs.any():
            value = (start + int(differs.argmax())) // 4
            return value // BLOCK_VALUES, value % BLOCK_VALUES
    return None


def _hashed(inputs: Inputs, posted: PostedResult, watch: tuple[int, ...]) -> ResultTrees:
    trees = ResultTrees(inputs, watch)
    for parts in walk(inputs.updates, rows_for(trees.width)):
        first, count = parts[0][:2]
        momentum = NO_BYTES if posted.momentum is None else posted.momentum.bytes_of(first, count)
        trees.add(parts, posted.state.bytes_of(first, count), momentum)
    return trees


class ResultTrees:
    """The trees of a result, fed chunk by chunk."""

    def __init__(self, inputs: Inputs, watch: tuple[int, ...] = ()) -> None:
        count = inputs.step.block_count
        self.inputs = inputs
        self.plain = 4 if inputs.step.momentum else 2
        self.width = 32 * (self.plain + len(inputs.updates))  # bytes hashed into a transcript leaf
        self.state, self.momentum = StateTree(count), StateTree(count)
        self.transcript = StateTree(count, watch)

    def add(self, parts: tuple[Chunk, ...], state: Bytes, momentum: Bytes) -> None:
        """Hash a chunk: each update's part, new state and new momentum (none if beta is 0)."""
        first, count = parts[0][:2]
        leaves = np.empty((count, self.width), np.uint8)
        _state_column(self.inputs.state.bytes_of(first, count), leaves, 0)
        _state_column(state, leaves, 32)
        self.state.add(np.ascontiguousarray(leaves[:, 32:64]))
        if self.inputs.momentum is not None:
            _state_column(self.inputs.momentum.bytes_of(first, count), leaves, 64)
            _state_column(momentum, leaves, 96)
            self.momentum.add(np.ascontiguousarray(leaves[:, 96:128]))
        for i, (update, (_, _, offset, where)) in enumerate(
            zip(self.inputs.updates, parts, strict=True), self.plain
        ):
            update.leaves_into(leaves, 32 * i, offset, where)
        self.transcript.add(hash_rows(leaves, TRANSCRIPT_LEAF))

    def roots(self) -> Roots:
        """All roots, once every chunk was added."""
        momentum = self.momentum.root() if self.inputs.step.momentum else ZERO_ROOT
        return Roots(state=self.state.root(), momentum=momentum, transcript=self.transcript.root())


def _state_column(data: Bytes, out: Bytes, column: int) -> None:
    where: Int64 = np.arange(out.shape[0], dtype=np.int64)
    kernels.get().hash_items(data, 0, STATE_BLOCK, LEAF, where, out, column)
