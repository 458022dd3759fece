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
from steelyard.updates import CHUNK, EMPTY_ROW, Chunk, UpdateFile

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

    out_momentum: given exactly where the step has momentum.
    """
    if (out_momentum is not None) != inputs.step.momentum:
        raise RuleError(
            "momentum output and beta disagree", remedy="give a path exactly where beta is above zero"
        )
    table = inputs.table()
    with ExitStack() as stack:
        state_file = stack.enter_context(atomic(out_state))
        momentum_file = None if out_momentum is None else stack.enter_context(atomic(out_momentum))
        for first, total, divisor in _sums(inputs, table):
            state, momentum = _stepped(inputs, first, total, divisor)
            state_file.write(state.data)
            if momentum_file is not None:
                momentum_file.write(momentum.data)
    return table


def aggregate(inputs: Inputs, *, out_state: Path, out_momentum: Path | None) -> Result:
    """Compute a round's result into new files, and everything that a post carries but the CID."""
    table = compute(inputs, out_state=out_state, out_momentum=out_momentum)
    count = inputs.step.block_count
    posted = Posted(
        state=open_state(out_state, count),
        momentum=None if out_momentum is None else open_state(out_momentum, count),
    )
    return Result(roots=roots_of(inputs, posted), table=table, table_hash=table.digest())


@dataclass(frozen=True, kw_only=True)
class Posted:
    """New state and momentum of a result, right or wrong."""

    state: StateFile
    momentum: StateFile | None


def roots_of(inputs: Inputs, posted: Posted) -> Roots:
    """Roots of a result with these new files: equal to what was posted exactly where it can be rebuilt."""
    return _roots(inputs, posted, ())[0]


def transcript_path(inputs: Inputs, posted: Posted, block: int) -> tuple[Roots, tuple[bytes, ...]]:
    """Roots as above, and the path of one block in the transcript, from its leaf up."""
    roots, transcript = _roots(inputs, posted, (block,))
    return roots, transcript.path(block)


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


def _sums(inputs: Inputs, table: Table) -> Iterator[tuple[int, Int64, int]]:
    """First block, sums of its chunk's coordinates (values,), and what each is to be divided by."""
    if inputs.step.rule is Rule.FEDAVG:
        return _weighted_sums(inputs, table)
    return _trimmed_sums(inputs, table)


def _weighted_sums(inputs: Inputs, table: Table) -> Iterator[tuple[int, Int64, int]]:
    core, encoding, divisor = kernels.get(), int(inputs.step.encoding), sum(table.weights)
    total = np.empty((CHUNK, BLOCK_VALUES), np.int64)
    for parts in zip(*(u.chunks(CHUNK) for u in inputs.updates), strict=True):
        first, rows = parts[0][:2]
        total[:rows] = 0
        for update, part, weight, factor in zip(
            inputs.updates, parts, table.weights, table.factors, strict=True
        ):
            core.accumulate(update.data, part[2], encoding, part[3], weight, factor, total)
        yield first, total[:rows].reshape(-1), divisor


def _trimmed_sums(inputs: Inputs, table: Table) -> Iterator[tuple[int, Int64, int]]:
    core, encoding, n = kernels.get(), int(inputs.step.encoding), len(inputs.updates)
    trim, size = inputs.step.trim_for(n), _rows_for(n * STATE_BLOCK)
    for parts in zip(*(u.chunks(size) for u in inputs.updates), strict=True):
        first, rows = parts[0][:2]
        values = np.zeros((n, rows, BLOCK_VALUES), np.int32)
        refused = np.empty(rows, np.bool_)
        for row, update, part, factor in zip(values, inputs.updates, parts, table.factors, strict=True):
            core.decode(update.data, part[2], encoding, part[3], row, refused)
            if factor != ONE:
                core.clip(row, factor)
        yield first, sum_trimmed(values.reshape(n, -1), trim), n - 2 * trim


def _stepped(inputs: Inputs, first: int, total: Int64, divisor: int) -> tuple[Bytes, Bytes]:
    """New bytes of state and of momentum (none where beta is 0) of the blocks from `first` on."""
    step = inputs.step
    start, size = first * STATE_BLOCK, total.shape[0] * 4
    state = inputs.state.data[start : start + size]
    momentum = NO_BYTES if inputs.momentum is None else inputs.momentum.data[start : start + size]
    new_state, new_momentum = np.empty(size, np.uint8), np.empty_like(momentum)
    kernels.get().server_step(total, divisor, state, momentum, step.beta, step.lr, new_state, new_momentum)
    return new_state, new_momentum


def _roots(inputs: Inputs, posted: Posted, watch: tuple[int, ...]) -> tuple[Roots, StateTree]:
    """Roots of a result, and its transcript tree with the paths of the watched blocks."""
    count = inputs.step.block_count
    plain = [inputs.state, posted.state]
    if inputs.momentum is not None and posted.momentum is not None:
        plain += [inputs.momentum, posted.momentum]
    width = 32 * (len(plain) + len(inputs.updates))
    new_state, new_momentum = StateTree(count), StateTree(count)
    transcript = StateTree(count, watch)
    for parts in zip(*(u.chunks(_rows_for(width)) for u in inputs.updates), strict=True):
        leaves = _leaves(inputs, plain, parts, width)
        new_state.add(np.ascontiguousarray(leaves[:, 32:64]))
        if len(plain) == 4:
            new_momentum.add(np.ascontiguousarray(leaves[:, 96:128]))
        transcript.add(hash_rows(leaves, TRANSCRIPT_LEAF))
    momentum_root = new_momentum.root() if len(plain) == 4 else ZERO_ROOT
    return Roots(state=new_state.root(), momentum=momentum_root, transcript=transcript.root()), transcript


def _leaves(inputs: Inputs, plain: list[StateFile], parts: tuple[Chunk, ...], width: int) -> Bytes:
    """Leaf hashes that the transcript leaves of a chunk are made of, (rows, width)."""
    core = kernels.get()
    first, rows = parts[0][:2]
    out = np.empty((rows, width), np.uint8)
    out[:, 32 * len(plain) :] = np.tile(EMPTY_ROW, len(inputs.updates))
    every: Int64 = np.arange(rows, dtype=np.int64)
    for i, state in enumerate(plain):
        core.hash_items(state.data, first * STATE_BLOCK, STATE_BLOCK, LEAF, every, out, 32 * i)
    for i, (update, part) in enumerate(zip(inputs.updates, parts, strict=True), len(plain)):
        core.hash_items(update.data, part[2], update.encoding.size, LEAF, part[3], out, 32 * i)
    return out
