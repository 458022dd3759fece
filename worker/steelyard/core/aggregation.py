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

from steelyard.core import kernels
from steelyard.core.files import atomic
from steelyard.core.inputs import Inputs, open_inputs, rows_for, walk
from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.core.numbers import BLOCK_VALUES, ONE, STATE_BLOCK
from steelyard.core.rules import NO_BYTES, Rule, WeightTable, sum_trimmed
from steelyard.core.transcript import (
    PostedResult,
    ResultTrees,
    Roots,
    first_difference,
    roots_of,
    transcript_path,
)
from steelyard.core.update_file import HEADER
from steelyard.errors import RuleError

__all__ = [
    "AggregationResult",
    "Inputs",
    "PostedResult",
    "Roots",
    "aggregate",
    "compute",
    "first_difference",
    "open_inputs",
    "roots_of",
    "transcript_path",
]


@dataclass(frozen=True, kw_only=True)
class AggregationResult:
    """What an aggregator posts, but the CID."""

    roots: Roots
    table: WeightTable
    table_hash: bytes


def compute(inputs: Inputs, *, out_state: Path, out_momentum: Path | None) -> WeightTable:
    """Decode, clip, average and step into new files, without hashing anything. Returns the table used.

    out_momentum: given exactly where the step has momentum, else RuleError.
    """
    table = inputs.table()
    rows = rows_for(_decoded_width(inputs))
    for _ in _written(inputs, table, out_state, out_momentum, rows):
        pass
    return table


def aggregate(inputs: Inputs, *, out_state: Path, out_momentum: Path | None = None) -> AggregationResult:
    """Compute a round's result into new files, and everything that a post carries but the CID.

    out_momentum: given exactly where the step has momentum, else RuleError.
    """
    table, trees = inputs.table(), ResultTrees(inputs)
    rows = rows_for(max(_decoded_width(inputs), trees.width))
    written = _written(inputs, table, out_state, out_momentum, rows)
    for (state, momentum), parts in zip(written, walk(inputs, rows), strict=True):
        trees.add(parts, state, momentum)
    return AggregationResult(roots=trees.roots(), table=table, table_hash=table.digest())


def _decoded_width(inputs: Inputs) -> int:
    """Bytes of a block's values while they are averaged: a running sum, or all updates' to be sorted."""
    return 8 * BLOCK_VALUES if inputs.step.rule is Rule.FEDAVG else STATE_BLOCK * len(inputs.updates)


def _written(
    inputs: Inputs, table: WeightTable, out_state: Path, out_momentum: Path | None, rows: int
) -> Iterator[tuple[Bytes, Bytes]]:
    """New state and new momentum of each chunk of `rows` blocks, once they are written."""
    if (out_momentum is not None) != inputs.step.momentum:
        raise RuleError(
            f"beta is {inputs.step.beta} and a place for the new momentum is {out_momentum}",
            remedy="give one exactly where beta is above zero",
        )
    sums = _weighted_sums if inputs.step.rule is Rule.FEDAVG else _trimmed_sums
    with ExitStack() as stack:
        state_file = stack.enter_context(atomic(out_state))
        momentum_file = None if out_momentum is None else stack.enter_context(atomic(out_momentum))
        for first, total, divisor in sums(inputs, table, rows):
            state, momentum = _stepped(inputs, first, total, divisor)
            state_file.write(state.data)
            if momentum_file is not None:
                momentum_file.write(momentum.data)
            yield state, momentum


def _weighted_sums(inputs: Inputs, table: WeightTable, rows: int) -> Iterator[tuple[int, Int64, int]]:
    """First block of each chunk, sums of its coordinates, (values,), and what each is to be divided by."""
    core, count, divisor = kernels.get(), inputs.step.block_count, sum(table.weights)
    data = [update.data for update in inputs.updates]
    cursors = np.array([update.body for update in inputs.updates], np.int64)
    weights, factors = np.array(table.weights, np.int64), np.array(table.factors, np.int64)
    encoding = int(inputs.step.encoding)
    total = np.empty((min(rows, count), BLOCK_VALUES), np.int64)
    for first in range(0, count, rows):
        part = total[: min(rows, count - first)]
        core.weighted_sums(data, HEADER.size, first, encoding, cursors, weights, factors, part)
        yield first, part.reshape(-1), divisor


def _trimmed_sums(inputs: Inputs, table: WeightTable, rows: int) -> Iterator[tuple[int, Int64, int]]:
    """The same without the extremes of each coordinate."""
    core, encoding, n = kernels.get(), int(inputs.step.encoding), len(inputs.updates)
    trim = inputs.step.trim_for(n)
    for parts in walk(inputs, rows):
        first, count = parts[0][:2]
        values, refused = np.zeros((n, count, BLOCK_VALUES), np.int32), np.empty(count, np.bool_)
        for i, (update, (_, _, offset, where)) in enumerate(zip(inputs.updates, parts, strict=True)):
            core.decode(update.data, offset, encoding, where, values[i], refused)
            if table.factors[i] != ONE:
                core.clip(values[i], table.factors[i])
        yield first, sum_trimmed(values.reshape(n, -1), trim), n - 2 * trim


def _stepped(inputs: Inputs, first: int, total: Int64, divisor: int) -> tuple[Bytes, Bytes]:
    """New bytes of state and of momentum (none where beta is 0) of the blocks from `first` on."""
    step, count = inputs.step, total.shape[0] // BLOCK_VALUES
    state = inputs.state.bytes_of(first, count)
    momentum = NO_BYTES if inputs.momentum is None else inputs.momentum.bytes_of(first, count)
    new_state, new_momentum = np.empty_like(state), np.empty_like(momentum)
    kernels.get().server_step(total, divisor, state, momentum, step.beta, step.lr, new_state, new_momentum)
    return new_state, new_momentum
