"""What a round makes of its updates: clipping, mean, server step, table (protocol.md section 4).

`AggregationConfig` is the arithmetic that a job fixes on chain. The array functions take whole chunks of values; the
streaming over files is in `aggregation.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from steelyard.core import kernels
from steelyard.core.encodings import Encoding
from steelyard.core.hashing import keccak
from steelyard.core.kernels.arrays import Bytes, Int32, Int64
from steelyard.core.numbers import MAX_BLOCKS, ONE, clamp, clip_factor, rdiv
from steelyard.core.trees import TABLE
from steelyard.errors import RuleError

MAX_UPDATES = 256
MAX_WEIGHT = 2**20 - 1
MAX_LR = 2**24
MAX_ENERGY = 2**96 - 1
NO_BYTES: Bytes = np.empty(0, np.uint8)


class Rule(IntEnum):
    """How updates become a mean. The numbers are the protocol's."""

    FEDAVG = 0
    TRIMMED_MEAN = 1
    MEDIAN = 2


@dataclass(frozen=True, kw_only=True)
class AggregationConfig:
    """A job's arithmetic. Raises RuleError where a field is out of range."""

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
            "trim": (0, (MAX_UPDATES - 1) // 2),
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
        """Whether results carry a momentum tree."""
        return self.beta > 0

    def trim_for(self, updates: int) -> int:
        """Values dropped at either end among this many. Raises RuleError where nothing is left."""
        trim = {Rule.FEDAVG: 0, Rule.TRIMMED_MEAN: self.trim, Rule.MEDIAN: (updates - 1) // 2}[self.rule]
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
        """Table of updates with these weights and committed energies."""
        return cls(tuple(weights), tuple(clip_factor(energy, step.bound2) for energy in energies))

    def to_bytes(self) -> bytes:
        """Weight and factor, 3 bytes each, of each update."""
        pairs = zip(self.weights, self.factors, strict=True)
        return b"".join(w.to_bytes(3, "big") + f.to_bytes(3, "big") for w, f in pairs)

    def digest(self) -> bytes:
        """Return the hash that a post carries."""
        return keccak(bytes([TABLE]) + self.to_bytes())


def mean_of(step: AggregationConfig, column: Sequence[int], table: WeightTable) -> int:
    """Mean of one coordinate, as the contract works it out.

    column: decoded values, one an update, not yet clipped.
    """
    clipped = [
        value if factor == ONE else rdiv(factor * value, ONE)
        for value, factor in zip(column, table.factors, strict=True)
    ]
    trim = step.trim_for(len(clipped))
    if step.rule is Rule.FEDAVG:
        return rdiv(sum(w * x for w, x in zip(table.weights, clipped, strict=True)), sum(table.weights))
    return rdiv(sum(sorted(clipped)[trim : len(clipped) - trim]), len(clipped) - 2 * trim)


def step_value(step: AggregationConfig, state: int, momentum: int, mean: int) -> tuple[int, int]:
    """New state and new momentum of one coordinate. The momentum is the mean itself where beta is 0."""
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
