"""One round's arithmetic over memory-mapped files, in a stream (protocol.md sections 3 and 4).

Anonymous memory does not grow with the model or the number of updates: a chunk of blocks is read, worked on,
hashed and written before the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard import kernels
from steelyard.errors import RuleError
from steelyard.files import StateFile, atomic, open_state
from steelyard.kernels.arrays import Bytes, Int64
from steelyard.numbers import BLOCK_VALUES, ONE, STATE_BLOCK
from steelyard.rules import NO_BYTES, Rule, Step, Table, sum_trimmed
from steelyard.trees import LEAF, TRANSCRIPT_LEAF, ZERO_ROOT, StateTree, hash_rows
from steelyard.updates import CHUNK, Chunk, UpdateFile

WORKING_SET = 1 << 22  # bytes of decoded values, or of leaf hashes, held at a time


@dataclass(frozen=True, kw_only=True)
class Roots:
    """The tree roots of a result. `momentum` is 32 zero bytes where beta is 0."""

    state: bytes
    momentum: bytes
    transcript: bytes


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an aggregator posts, but the CID."""

    roots: Roots
    table: Table
    table_hash: bytes


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a result is made of: the parent and the included updates in slot order.

    weights: one an update, as on chain. energies: the one in each update's root; None takes them from the
    files, which is the same for every update whose root opens its seal. Raises RuleError where they don't fit
    the step.
    """

    step: Step
    state: StateFile
    momentum: StateFile | None
    updates: tuple[UpdateFile, ...]
    weights: tuple[int, ...]
    energies: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if (self.momentum is not None) != self.step.momentum:
            raise RuleError(
                f"beta is {self.step.beta} and a momentum file is {'given' if self.momentum else 'missing'}",
                remedy="give one exactly where beta is above zero",
            )
        for update in self.updates:
            if (update.encoding, update.block_count) != (self.step.encoding, self.step.block_count):
                raise RuleError(
                    "an update of another job's shape", remedy="open it with the job's encoding and blocks"
                )
        self.step.trim_for(len(self.updates))

    def table(self) -> Table:
        """Weights and clip factors."""
        energies = self.energies
        if energies is None:
            needed = self.step.bound2 > 0
            energies = tuple(u.summary.root.energy if needed else 0 for u in self.updates)
        return Table.of(self.step, self.weights, energies)


def open_inputs(
    step: Step,
    *,
    state: Path,
    momentum: Path | None,
    updates: Sequence[UpdateFile],
    weights: Sequence[int],
    energies: Sequence[int] | None = None,
) -> Inputs:
    """Map the parent's files and put the inputs together."""
    return Inputs(
        step=step,
        state=open_state(state, step.block_count),
        momentum=None if momentum is None else open_state(momentum, step.block_count),
        updates=tuple(updates),
        weights=tuple(weights),
        energies=None if energies is None else tuple(energies),
    )


def compute(inputs: Inputs, *, out_state: Path, out_momentum: Path | None) -> Table:
    """Decode, clip, average and step into new files, without hashing anything. Returns the table used.

    out_momentum: given exactly where the step has momentum, else RuleError.
    """
    table = inputs.table()
    for _ in _written(inputs, table, out_state, out_momentum, _rows_for(_decoded_width(inputs))):
        pass
    return table


def aggregate(inputs: Inputs, *, out_state: Path, out_momentum: Path | None) -> Result:
    """Compute a round's result into new files, and everything that a post carries but the CID.

    out_momentum: given exactly where the step has momentum, else RuleError.
    """
    table, trees = inputs.table(), _Trees(inputs)
    rows = _rows_for(max(_decoded_width(inputs), trees.width))
    for parts, state, momentum in _written(inputs, table, out_state, out_momentum, rows):
        trees.add(parts, state, momentum)
    return Result(roots=trees.roots(), table=table, table_hash=table.digest())


@dataclass(frozen=True, kw_only=True)
class Posted:
    """New state and momentum of a result, right or wrong."""

    state: StateFile
    momentum: StateFile | None


def roots_of(inputs: Inputs, posted: Posted) -> Roots:
    """Roots of a result with these new files: equal to what was posted exactly where it can be rebuilt."""
    return _hashed(inputs, posted, ()).roots()


def transcript_path(inputs: Inputs, posted: Posted, block: int) -> tuple[Roots, tuple[bytes, ...]]:
    """Roots as above, and the path of one block in the transcript, from its leaf up."""
    trees = _hashed(inputs, posted, (block,))
    return trees.roots(), trees.transcript.path(block)


def first_difference(posted: StateFile, right: StateFile) -> tuple[int, int] | None:
    """First block and coordinate where a posted state or momentum is wrong; None where it is right."""
    step = CHUNK * STATE_BLOCK
    for start in range(0, right.data.shape[0], step):
        differs = posted.data[start : start + step] != right.data[start : start + step]
        if differs.any():
            at = (start + int(differs.argmax())) // 4
            return at // BLOCK_VALUES, at % BLOCK_VALUES
    return None


def _rows_for(width: int) -> int:
    """Blocks at a time where each takes `width` bytes: 8 to CHUNK, a multiple of 8 for the bitmap's sake."""
    return max(8, min(CHUNK, WORKING_SET // width) // 8 * 8)


def _decoded_width(inputs: Inputs) -> int:
    """Bytes of a block's values while they are averaged: a running sum, or all updates' to be sorted."""
    return 8 * BLOCK_VALUES if inputs.step.rule is Rule.FEDAVG else STATE_BLOCK * len(inputs.updates)


def _walk(inputs: Inputs, rows: int) -> Iterator[tuple[Chunk, ...]]:
    """Every update's part of each chunk."""
    return zip(*(update.chunks(rows) for update in inputs.updates), strict=True)


def _written(
    inputs: Inputs, table: Table, out_state: Path, out_momentum: Path | None, rows: int
) -> Iterator[tuple[tuple[Chunk, ...], Bytes, Bytes]]:
    """Each chunk's parts, new state and new momentum, once these are written."""
    if (out_momentum is not None) != inputs.step.momentum:
        raise RuleError(
            f"beta is {inputs.step.beta} and a place for the new momentum is {out_momentum}",
            remedy="give one exactly where beta is above zero",
        )
    sums = _weighted_sum if inputs.step.rule is Rule.FEDAVG else _trimmed_sum
    with ExitStack() as stack:
        state_file = stack.enter_context(atomic(out_state))
        momentum_file = None if out_momentum is None else stack.enter_context(atomic(out_momentum))
        for parts in _walk(inputs, rows):
            total, divisor = sums(inputs, table, parts)
            state, momentum = _stepped(inputs, parts[0][0], total, divisor)
            state_file.write(state.data)
            if momentum_file is not None:
                momentum_file.write(momentum.data)
            yield parts, state, momentum


def _weighted_sum(inputs: Inputs, table: Table, parts: tuple[Chunk, ...]) -> tuple[Int64, int]:
    """Sums of a chunk's coordinates, (values,), and what each is to be divided by."""
    core, encoding = kernels.get(), int(inputs.step.encoding)
    total = np.zeros((parts[0][1], BLOCK_VALUES), np.int64)
    rows = zip(inputs.updates, parts, table.weights, table.factors, strict=True)
    for update, (_, _, offset, where), weight, factor in rows:
        core.accumulate(update.data, offset, encoding, where, weight, factor, total)
    return total.reshape(-1), sum(table.weights)


def _trimmed_sum(inputs: Inputs, table: Table, parts: tuple[Chunk, ...]) -> tuple[Int64, int]:
    """Sums of a chunk's coordinates without their extremes, (values,), and what each is to be divided by."""
    core, encoding, n = kernels.get(), int(inputs.step.encoding), len(inputs.updates)
    trim, count = inputs.step.trim_for(n), parts[0][1]
    values = np.zeros((n, count, BLOCK_VALUES), np.int32)
    refused = np.empty(count, np.bool_)
    rows = zip(values, inputs.updates, parts, table.factors, strict=True)
    for row, update, (_, _, offset, where), factor in rows:
        core.decode(update.data, offset, encoding, where, row, refused)
        if factor != ONE:
            core.clip(row, factor)
    return sum_trimmed(values.reshape(n, -1), trim), n - 2 * trim


def _stepped(inputs: Inputs, first: int, total: Int64, divisor: int) -> tuple[Bytes, Bytes]:
    """New bytes of state and of momentum (none where beta is 0) of the blocks from `first` on."""
    step, count = inputs.step, total.shape[0] // BLOCK_VALUES
    state = inputs.state.bytes_of(first, count)
    momentum = NO_BYTES if inputs.momentum is None else inputs.momentum.bytes_of(first, count)
    new_state, new_momentum = np.empty_like(state), np.empty_like(momentum)
    kernels.get().server_step(total, divisor, state, momentum, step.beta, step.lr, new_state, new_momentum)
    return new_state, new_momentum


def _hashed(inputs: Inputs, posted: Posted, watch: tuple[int, ...]) -> _Trees:
    trees = _Trees(inputs, watch)
    for parts in _walk(inputs, _rows_for(trees.width)):
        first, count = parts[0][:2]
        momentum = NO_BYTES if posted.momentum is None else posted.momentum.bytes_of(first, count)
        trees.add(parts, posted.state.bytes_of(first, count), momentum)
    return trees


class _Trees:
    """The trees of a result, fed chunk by chunk."""

    def __init__(self, inputs: Inputs, watch: tuple[int, ...] = ()) -> None:
        count = inputs.step.block_count
        self.inputs = inputs
        self.plain = 4 if inputs.step.momentum else 2
        self.width = 32 * (self.plain + len(inputs.updates))  # bytes that a transcript leaf is made of
        self.state, self.momentum = StateTree(count), StateTree(count)
        self.transcript = StateTree(count, watch)

    def add(self, parts: tuple[Chunk, ...], state: Bytes, momentum: Bytes) -> None:
        """Hash a chunk: each update's part, new state and new momentum (none where beta is 0)."""
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
        """Return all roots, once every chunk was added."""
        momentum = self.momentum.root() if self.inputs.step.momentum else ZERO_ROOT
        return Roots(state=self.state.root(), momentum=momentum, transcript=self.transcript.root())


def _state_column(data: Bytes, out: Bytes, column: int) -> None:
    where: Int64 = np.arange(out.shape[0], dtype=np.int64)
    kernels.get().hash_items(data, 0, STATE_BLOCK, LEAF, where, out, column)
