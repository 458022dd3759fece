"""The interface of a recipe, and the types that its two sides exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from steelyard.core.kernels.arrays import Float32
from steelyard.errors import TrainingError
from steelyard.jobs.tensor_spec import TensorSpec
from steelyard.learning.data import Kind, Rows
from steelyard.learning.running_stats import RunningStats

Architecture = Mapping[str, int | str | tuple[int | str, ...]]
"""A manifest's architecture. Its keys depend on the recipe."""

NO_ARCHITECTURE: Architecture = {}

Weights = dict[str, Float32]
"""Tensors by name, in the order of the layout."""

Report = Callable[[int, int, float], None]
"""Called with the step, the number of steps and the latest loss. Raises Cancelled to stop the training."""


class Cancelled(Exception):
    """The node asked to stop between two steps."""


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
    clip_norm: float  # largest gradient norm of a step, over all tensors; 0 = unlimited
    max_rows: int  # rows an epoch, 0 = all
    seed: int  # below 2^32


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The result of training."""

    weights: Weights
    steps: int
    rows: int  # rows seen, repeats counted
    loss: float  # mean over the last epoch


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The result of a test."""

    rows: int
    correct: int
    loss: float  # mean cross-entropy


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """The rows that a model takes: their kind, the shape of one, and the number of classes."""

    kind: Kind
    shape: tuple[int, ...]  # of one row
    classes: int

    def check(self, rows: Rows) -> None:
        """Raises TrainingError for rows of another kind or shape, or with a label beyond the classes."""
        shape, highest = rows.inputs.shape[1:], int(rows.labels.max())
        if rows.kind is not self.kind or shape != self.shape or highest >= self.classes:
            raise TrainingError(
                f"{rows.kind.value} of shape {shape} and labels up to {highest} do not fit a model for "
                f"{self.kind.value} of {self.shape} and {self.classes} classes",
                remedy="use the data that the job's manifest names, or rows made with `--like` of its data",
            )


class Learner(Protocol):
    """A recipe's torch side, in the child process. Same arguments on the same machine: same result.

    Its class is made with one argument, the architecture.
    """

    def train(self, weights: Weights, rows: Rows, options: Options, report: Report) -> Trained:
        """Train from `weights` on all rows; the given arrays are not changed."""

    def evaluate(self, weights: Weights, rows: Rows, report: Report) -> Evaluated:
        """Count the rows that the model labels correctly."""


class Recipe(Protocol):
    """A model family. Its methods raise TrainingError for an architecture that it does not take."""

    name: str
    kind: Kind  # of the rows that it takes
    learner: str  # "module:class" of its Learner; a name, so that only the child process imports torch
    training: Mapping[str, Any]  # suggested training settings, where they differ from TrainingConfig's
    default_architecture: Architecture  # of a description that gives none; NO_ARCHITECTURE: it must give one

    def layout(self, architecture: Architecture) -> tuple[TensorSpec, ...]:
        """The tensors in the order of the weight vector."""

    def initial(self, architecture: Architecture, seed: int) -> Weights:
        """Initial weights; the same seed gives the same ones on every machine."""

    def input_spec(self, architecture: Architecture) -> InputSpec:
        """The rows that a model of this architecture takes."""

    def suggest(self, rows: InputSpec, stats: RunningStats, /) -> Architecture:
        """An architecture for such rows, which may be one that `layout` refuses.  stats: of training rows."""
