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
from steelyard.core.inputs import Inputs, open_inputs, rows_for
from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.core.numbers import BLOCK_VALUES
from steelyard.core.rules import NO_BYTES, RULES, WeightTable
from steelyard.core.transcript import (
    PostedResult,
    ResultTrees,
    Roots,
    first_difference,
    roots_of,
    transcript_path,
)
from steelyard.core.update_file import walk
from steelyard.errors import RuleError
from steelyard.util.atomic import atomic

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
    """All that an aggregator posts, except the CID."""

    roots: Roots
    table: WeightTable
    table_hash: bytes


def compute(inputs: Inputs, *, out_state: Path, out_momentum: Path | None) -> WeightTable:
    """Decode, clip, average and step into new files, without hashing anything. Returns the table used.

    out_momentum: given exactly if the step has momentum, else RuleError.
    """
    table = inputs.table()
    rows = rows_for(_summing_width(inputs))
    for _ in _written(inputs, table, out_state, out_momentum, rows):
        pass
    return table


def aggregate(inputs: Inputs, *, out_state: Path, out_momentum: Path | None = None) -> AggregationResult:
    """Compute a round's result into new files, and everything that a post carries except the CID.

    out_state, out_momentum: files to write, as long as the parent's. Raises RuleError unless out_momentum is
    given exactly if the step has momentum, DiskFull.
    """
    table, trees = inputs.table(), ResultTrees(inputs)
    rows = rows_for(max(_summing_width(inputs), trees.width))
    written = _written(inputs, table, out_state, out_momentum, rows)
    for (state, momentum), parts in zip(written, walk(inputs.updates, rows), strict=True):
        trees.add(parts, state, momentum)
    return AggregationResult(roots=trees.roots(), table=table, table_hash=table.digest())


def _summing_width(inputs: Inputs) -> int:
    """Bytes of a block's working set while its updates are summed."""
    return RULES[inputs.step.rule].block_bytes(len(inputs.updates))


def _written(
    inputs: Inputs, table: WeightTable, out_state: Path, out_momentum: Path | None, rows: int
) -> Iterator[tuple[Bytes, Bytes]]:
    """New state and new momentum of each chunk of `rows` blocks, once they are written."""
    if (out_momentum is not None) != inputs.step.momentum:
        raise RuleError(
            f"beta is {inputs.step.beta} and the path of the new momentum is {out_momentum}",
            remedy="give one exactly if beta is above zero",
        )
    rule, trim = RULES[inputs.step.rule], inputs.step.trim_for(len(inputs.updates))
    with ExitStack() as stack:
        state_file = stack.enter_context(atomic(out_state))
        momentum_file = None if out_momentum is None else stack.enter_context(atomic(out_momentum))
        for first, total, divisor in rule.sums(inputs.updates, table, trim, rows):
            state, momentum = _stepped(inputs, first, total, divisor)
            state_file.write(state.data)
            if momentum_file is not None:
                momentum_file.write(momentum.data)
            yield state, momentum


def _stepped(inputs: Inputs, first: int, total: Int64, divisor: int) -> tuple[Bytes, Bytes]:
    """New bytes of state and of momentum (none if beta is 0) of the blocks from `first` on."""
    step, count = inputs.step, total.shape[0] // BLOCK_VALUES
    state = inputs.state.bytes_of(first, count)
    momentum = NO_BYTES if inputs.momentum is None else inputs.momentum.bytes_of(first, count)
    new_state, new_momentum = np.empty_like(state), np.empty_like(momentum)
    kernels.get().server_step(total, divisor, state, momentum, step.beta, step.lr, new_state, new_momentum)
    return new_state, new_momentum
