"""Aggregation rules, clipping and the server step (protocol.md section 4).

`RULES` has one entry for each rule; everything that depends on the rule reads it. `AggregationConfig` is the
arithmetic that a job fixes on chain. The streaming over files is in `aggregation.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np

from steelyard.core import kernels
from steelyard.core.encoding_spec import Encoding
from steelyard.core.hashing import keccak
from steelyard.core.kernels.arrays import Bytes, Int32, Int64
from steelyard.core.numbers import (
    BLOCK_VALUES,
    MAX_BLOCKS,
    MAX_WEIGHT,
    ONE,
    STATE_BLOCK,
    clamp,
    clip_factor,
    rdiv,
)
from steelyard.core.trees import TABLE
from steelyard.core.update_file import HEADER, UpdateFile, walk
from steelyard.errors import RuleError

__all__ = [
    "MAX_ENERGY",
    "MAX_LR",
    "MAX_TRIM",
    "MAX_UPDATES",
    "MAX_WEIGHT",
    "NO_BYTES",
    "RULES",
    "AggregationConfig",
    "Rule",
    "RuleSpec",
    "WeightTable",
    "mean_of",
    "sorting_network",
    "step_value",
    "sum_trimmed",
]

MAX_UPDATES = 256
MAX_TRIM = (MAX_UPDATES - 1) // 2
MAX_LR = 2**24
MAX_ENERGY = 2**96 - 1
NO_BYTES: Bytes = np.empty(0, np.uint8)


class Rule(IntEnum):
    """How updates become one mean. The numbers are the protocol's."""

    FEDAVG = 0
    TRIMMED_MEAN = 1
    MEDIAN = 2


@dataclass(frozen=True, kw_only=True)
class AggregationConfig:
    """A job's arithmetic. Raises RuleError if a field is out of range."""

    block_count: int  # blocks of 32 values, 1 to 2^28
    encoding: Encoding
    rule: Rule = Rule.FEDAVG
    trim: int = 0  # values that TrimmedMean drops at either end
    beta: int = 0  # momentum, 16.16, 0 to ONE; 0 = no momentum tree
    lr: int = ONE  # server learning rate, 16.16, at most 2^24
    bound2: int = 0  # bound of an update's energy, uint96, 0 = no clipping

    def __post_init__(self) -> None:
        limits = {
            "block_count": (1, MAX_BLOCKS),
            "trim": (0, MAX_TRIM),
            "beta": (0, ONE),
            "lr": (0, MAX_LR),
            "bound2": (0, MAX_ENERGY),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise RuleError(f"{name} is {value}, not {low} to {high}", remedy="correct the job's step")
        object.__setattr__(self, "encoding", Encoding(self.encoding))
        object.__setattr__(self, "rule", Rule(self.rule))

    @property
    def momentum(self) -> bool:
        """True if results carry a momentum tree."""
        return self.beta > 0

    def trim_for(self, updates: int) -> int:
        """Values dropped at either end among this many. Raises RuleError if nothing is left."""
        trim = RULES[self.rule].trim(self.trim, updates)
        if 2 * trim >= updates:
            raise RuleError(
                f"trimming {trim} at either end of {updates} updates leaves none",
                remedy="include more updates or trim fewer",
            )
        return trim


@dataclass(frozen=True)
class WeightTable:
    """Weight and clip factor of each included update, in slot order."""

    weights: tuple[int, ...]
    factors: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.weights) <= MAX_UPDATES or len(self.weights) != len(self.factors):
            raise RuleError(
                f"{len(self.weights)} weights, {len(self.factors)} factors, not 1 to {MAX_UPDATES} of each",
                remedy="a result includes at least one update and at most 256",
            )
        for weight in self.weights:
            if not 1 <= weight <= MAX_WEIGHT:
                raise RuleError(
                    f"weight {weight}, not 1 to {MAX_WEIGHT}", remedy="read the weights from the chain"
                )

    @classmethod
    def of(cls, step: AggregationConfig, weights: Sequence[int], energies: Sequence[int]) -> WeightTable:
        """The table of updates with these weights and committed energies."""
        return cls(tuple(weights), tuple(clip_factor(energy, step.bound2) for energy in energies))

    def to_bytes(self) -> bytes:
        """Weight and factor, 3 bytes each, of each update."""
        pairs = zip(self.weights, self.factors, strict=True)
        return b"".join(w.to_bytes(3, "big") + f.to_bytes(3, "big") for w, f in pairs)

    def digest(self) -> bytes:
        """The hash that a post carries."""
        return keccak(bytes([TABLE]) + self.to_bytes())


def mean_of(step: AggregationConfig, column: Sequence[int], table: WeightTable) -> int:
    """Mean of one coordinate, as the contract computes it.

    column: decoded values, one an update, not yet clipped.
    """
    clipped = [
        value if factor == ONE else rdiv(factor * value, ONE)
        for value, factor in zip(column, table.factors, strict=True)
    ]
    return RULES[step.rule].mean(clipped, table.weights, step.trim_for(len(clipped)))


def step_value(step: AggregationConfig, state: int, momentum: int, mean: int) -> tuple[int, int]:
    """New state and new momentum of one coordinate. The momentum is the mean itself if beta is 0."""
    moved = clamp(rdiv(step.beta * momentum, ONE) + mean)
    return clamp(state + rdiv(step.lr * moved, ONE)), moved


def sum_trimmed(values: Int32, trim: int) -> Int64:
    """Sum of each column without its `trim` lowest and highest values.

    values: (updates, columns), sorted in place. Returns (columns,).
    """
    total = np.empty(values.shape[1], np.int64)
    kernels.get().trimmed_sum(values, trim, sorting_network(values.shape[0]), total)
    return total


@functools.lru_cache(maxsize=8)
def sorting_network(rows: int) -> Int32:
    """Batcher's odd-even merge sort for any number of rows, as (comparators, 2).

    A comparator is a compare-exchange of two rows, the same for every column, so that vector code applies.
    """
    pairs: list[tuple[int, int]] = []
    p = 1
    while p < rows:
        k = p
        while k >= 1:
            for j in range(k % p, rows - k, 2 * k):
                span = range(j, j + min(k, rows - j - k))
                pairs += [(i, i + k) for i in span if i // (2 * p) == (i + k) // (2 * p)]
            k //= 2
        p *= 2
    return np.array(pairs, np.int32).reshape(-1, 2)


# ---------------------------------------------------------------------- the rules
def _no_trim(trim: int, updates: int) -> int:  # noqa: ARG001
    return 0


def _stated_trim(trim: int, updates: int) -> int:  # noqa: ARG001
    return trim


def _median_trim(trim: int, updates: int) -> int:  # noqa: ARG001
    return (updates - 1) // 2


def _weighted_mean(column: Sequence[int], weights: Sequence[int], trim: int) -> int:  # noqa: ARG001
    return rdiv(sum(w * x for w, x in zip(weights, column, strict=True)), sum(weights))


def _trimmed_mean(column: Sequence[int], weights: Sequence[int], trim: int) -> int:  # noqa: ARG001
    left = sorted(column)[trim : len(column) - trim]
    return rdiv(sum(left), len(left))


def _weighted_sums(updates: Sequence[UpdateFile], table: WeightTable, trim: int, rows: int) -> Sums:  # noqa: ARG001
    core, count, encoding = kernels.get(), updates[0].block_count, int(updates[0].encoding)
    data = [update.data for update in updates]
    cursors = np.array([update.body for update in updates], np.int64)
    weights, factors = np.array(table.weights, np.int64), np.array(table.factors, np.int64)
    total = np.empty((min(rows, count), BLOCK_VALUES), np.int64)
    for first in range(0, count, rows):
        part = total[: min(rows, count - first)]
        core.weighted_sums(data, HEADER.size, first, encoding, cursors, weights, factors, part)
        yield first, part.reshape(-1), sum(table.weights)


def _trimmed_sums(updates: Sequence[UpdateFile], table: WeightTable, trim: int, rows: int) -> Sums:
    core, n = kernels.get(), len(updates)
    for parts in walk(updates, rows):
        first, count = parts[0][:2]
        values, refused = np.zeros((n, count, BLOCK_VALUES), np.int32), np.empty(count, np.bool_)
        for i, (update, (_, _, offset, where)) in enumerate(zip(updates, parts, strict=True)):
            core.decode(update.data, offset, int(update.encoding), where, values[i], refused)
            if table.factors[i] != ONE:
                core.clip(values[i], table.factors[i])
        yield first, sum_trimmed(values.reshape(n, -1), trim), n - 2 * trim


Sums: TypeAlias = Iterator[tuple[int, Int64, int]]
"""First block of each chunk, sums of its coordinates (values,), and the divisor of each sum."""


@dataclass(frozen=True, kw_only=True)
class RuleSpec:
    """One aggregation rule."""

    rule: Rule
    max_trim: int  # greatest `trim` that a job may state; 0 if the rule does not read it
    trim: Callable[[int, int], int]  # (stated trim, updates) -> values dropped at either end
    mean: Callable[[Sequence[int], Sequence[int], int], int]  # (clipped column, weights, trim) -> its mean
    sums: Callable[
        [Sequence[UpdateFile], WeightTable, int, int], Sums
    ]  # (updates, table, trim, rows): its kernel
    block_bytes: Callable[[int], int]  # updates -> bytes of a block's working set while it is summed
    on_chain: bool  # True if the contracts compute it, so that a job may use it

    @property
    def name(self) -> str:
        """Its name in manifests and on the command line."""
        return self.rule.name.lower()


def _running_sum_bytes(updates: int) -> int:  # noqa: ARG001
    return 8 * BLOCK_VALUES


def _all_values_bytes(updates: int) -> int:
    return STATE_BLOCK * updates


RULES = (
    RuleSpec(
        rule=Rule.FEDAVG,
        max_trim=0,
        trim=_no_trim,
        mean=_weighted_mean,
        sums=_weighted_sums,
        block_bytes=_running_sum_bytes,
        on_chain=True,
    ),
    RuleSpec(
        rule=Rule.TRIMMED_MEAN,
        max_trim=MAX_TRIM,
        trim=_stated_trim,
        mean=_trimmed_mean,
        sums=_trimmed_sums,
        block_bytes=_all_values_bytes,
        on_chain=False,
    ),
    RuleSpec(
        rule=Rule.MEDIAN,
        max_trim=0,
        trim=_median_trim,
        mean=_trimmed_mean,
        sums=_trimmed_sums,
        block_bytes=_all_values_bytes,
        on_chain=False,
    ),
)
"""All rules, by their number."""
