"""One round's arithmetic over memory-mapped files, in a stream (protocol.md sections 3 and 4).

Anonymous memory does not grow with the model or the number of updates: a chunk of blocks is read, worked
on, hashed and written before the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard import kernels
from steelyard.errors import RuleError
from steelyard.files import atomic
from steelyard.inputs import Inputs, open_inputs, rows_for, walk
from steelyard.kernels.arrays import Bytes, Int64
from steelyard.numbers import BLOCK_VALUES, ONE, STATE_BLOCK
from steelyard.rules import NO_BYTES, Rule, Table, sum_trimmed
from steelyard.transcript import Posted, ResultTrees, Roots, first_difference, roots_of, transcript_path
from steelyard.updates import Chunk

__all__ = [
    "Inputs",
    "Posted",
    "Result",
    "Roots",
    "aggregate",
    "compute",
    "first_difference",
    "open_inputs",
    "roots_of",
    "transcript_path",
]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an aggregator posts, but the CID."""

    roots: Roots
    table: Table
    table_hash: bytes


def compute(inputs: Inputs, *, out_state: Path, out_momentum: Path | None) -> Table:
    """Decode, clip, average and step into new files, without hashing anything. Returns the table used.

    out_momentum: given exactly where the step has momentum, else RuleError.
    """
    table = inputs.table()
    for _ in _written(inputs, table, out_state, out_momentum, rows_for(_decoded_width(inputs))):
        pass
    return table


def aggregate(inputs: Inputs, *, out_state: Path, out_momentum: Path | None) -> Result:
    """Compute a round's result into new files, and everything that a post carries but the CID.

    out_momentum: given exactly where the step has momentum, else RuleError.
    """
    table, trees = inputs.table(), ResultTrees(inputs)
    rows = rows_for(max(_decoded_width(inputs), trees.width))
    for parts, state, momentum in _written(inputs, table, out_state, out_momentum, rows):
        trees.add(parts, state, momentum)
    return Result(roots=trees.roots(), table=table, table_hash=table.digest())


def _decoded_width(inputs: Inputs) -> int:
    """Bytes of a block's values while they are averaged: a running sum, or all updates' to be sorted."""
    return 8 * BLOCK_VALUES if inputs.step.rule is Rule.FEDAVG else STATE_BLOCK * len(inputs.updates)


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
        for parts in walk(inputs, rows):
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
