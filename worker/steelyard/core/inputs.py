"""The inputs of a result: the parent's files and the included updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.numbers import CHUNK_BLOCKS
from steelyard.core.rules import AggregationConfig, WeightTable
from steelyard.core.state_file import StateFile, open_state
from steelyard.core.update_file import UpdateFile
from steelyard.errors import RuleError

WORKING_SET = 1 << 22  # bytes of decoded values, or of leaf hashes, held at a time


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The parent of a result and its included updates in slot order.

    weights: one an update, as on chain. energies: the one in each update's root; None takes them from the
    files, which is the same for every update whose root opens its seal. Raises RuleError if they don't fit
    the configuration.
    """

    step: AggregationConfig
    state: StateFile
    momentum: StateFile | None
    updates: tuple[UpdateFile, ...]
    weights: tuple[int, ...]
    energies: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if (self.momentum is not None) != self.step.momentum:
            raise RuleError(
                f"beta is {self.step.beta} and a momentum file is {'given' if self.momentum else 'missing'}",
                remedy="give one exactly if beta is above zero",
            )
        for update in self.updates:
            if (update.encoding, update.block_count) != (self.step.encoding, self.step.block_count):
                raise RuleError(
                    "an update of another job's encoding or block count",
                    remedy="open it with the job's encoding and blocks",
                )
        self.step.trim_for(len(self.updates))

    def table(self) -> WeightTable:
        """Weights and clip factors."""
        energies = self.energies
        if energies is None:
            needed = self.step.bound2 > 0
            energies = tuple(u.summary.root.energy if needed else 0 for u in self.updates)
        return WeightTable.of(self.step, self.weights, energies)


def open_inputs(
    step: AggregationConfig,
    *,
    state: Path,
    momentum: Path | None = None,
    updates: Sequence[UpdateFile],
    weights: Sequence[int],
    energies: Sequence[int] | None = None,
) -> Inputs:
    """Map the parent's files and put the inputs together.

    state: of the parent result. momentum: given exactly if the step's beta is above 0. updates, weights,
    energies: one for each included update, in slot order; see `Inputs`. Raises FormatError for a file of
    another length, RuleError if the inputs do not fit the step.
    """
    return Inputs(
        step=step,
        state=open_state(state, step.block_count),
        momentum=None if momentum is None else open_state(momentum, step.block_count),
        updates=tuple(updates),
        weights=tuple(weights),
        energies=None if energies is None else tuple(energies),
    )


def rows_for(width: int) -> int:
    """Blocks at a time if each takes `width` bytes: a multiple of 8 for the bitmap, at most CHUNK_BLOCKS."""
    return max(8, min(CHUNK_BLOCKS, WORKING_SET // width) // 8 * 8)
