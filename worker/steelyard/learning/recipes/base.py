"""What a recipe is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from steelyard.core.kernels.arrays import Float32
from steelyard.errors import TrainingError
from steelyard.learning.data import Kind, Rows

Architecture = Mapping[str, int | str | tuple[int | str, ...]]
"""A manifest's architecture: the recipe says which keys it takes."""

Weights = dict[str, Float32]
"""Tensors by name, in the order of the layout."""

Report = Callable[[int, int, float], None]
"""Called with the step, the number of steps and the latest loss. It raises Cancelled to stop the work."""


class Cancelled(Exception):
    """The node asked to stop between two steps."""


@dataclass(frozen=True, kw_only=True)
class InitialTensor:
    """One tensor of a recipe's layout."""

    name: str
    shape: tuple[int, ...]
    scale_bits: int

    @property
    def size(self) -> int:
        """Its number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Options:
    """One round's training by one member: the manifest's settings with this round's rate and seed."""

    local_epochs: int
    batch_size: int
    optimizer: str  # sgd or adam
    learning_rate: float  # at the round's start
    schedule: str  # constant, linear or cosine, within the round
    momentum: float
    weight_decay: float
    clip_norm: float  # longest gradient of a step, over all tensors; 0 = any
    max_rows: int  # rows an epoch, 0 = all
    seed: int  # below 2^32


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training leaves."""

    weights: Weights
    steps: int
    rows: int  # rows seen, repeats counted
    loss: float  # mean over the last epoch


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What a test leaves."""

    rows: int
    correct: int
    loss: float  # mean cross-entropy


@dataclass(frozen=True, kw_only=True)
class Intake:
    """The rows that an architecture is for."""

    kind: Kind
    row: tuple[int, ...]  # shape of one
    classes: int

    def check(self, rows: Rows) -> None:
        """Raises TrainingError for rows of another kind or shape, or with a label beyond the classes."""
        shape, highest = rows.inputs.shape[1:], int(rows.labels.max())
        if rows.kind is not self.kind or shape != self.row or highest >= self.classes:
            raise TrainingError(
                f"{rows.kind.value} of shape {shape} and labels up to {highest} do not fit a model for "
                f"{self.kind.value} of {self.row} and {self.classes} classes",
                remedy="use the data that the job's manifest names, or rows made with `--like` of its data",
            )


class Learner(Protocol):
    """A recipe's torch side, in the child. Same arguments, same machine: same result."""

    def train(self, weights: Weights, rows: Rows, options: Options, report: Report) -> Trained:
        """Train from `weights` on all rows; the given arrays stay as they are."""

    def evaluate(self, weights: Weights, rows: Rows, report: Report) -> Evaluated:
        """Count the rows that the model labels rightly."""


class Recipe(Protocol):
    """A model family. Raises TrainingError for an architecture that it does not take."""

    name: str

    def layout(self, architecture: Architecture) -> tuple[InitialTensor, ...]:
        """The tensors in the order of the weight vector."""

    def initial(self, architecture: Architecture, seed: int) -> Weights:
        """First weights; the same seed gives the same ones on every machine."""

    def intake(self, architecture: Architecture) -> Intake:
        """The rows that it is for."""

    def learner(self, architecture: Architecture) -> Learner:
        """The torch side. Only the child calls this."""
