"""The `tabular` recipe: a multilayer perceptron on columns of numbers.

    (value - mean) / deviation, within +-16 -> linear -> ReLU -> ... -> linear

Mean and deviation of each column are decimal strings in the architecture. The publisher of the rows computed
them, so members and users of the model scale their rows identically.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from steelyard.jobs.tensor_spec import TensorSpec
from steelyard.learning.data import Kind
from steelyard.learning.recipes.base import NO_ARCHITECTURE, Architecture, InputSpec, Weights
from steelyard.learning.recipes.layout import layout_of, refused, uniform
from steelyard.learning.running_stats import RunningStats

NAME = "tabular"

MAX_COLUMNS = 4096

_DECIMAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,20})?(e-?[0-9]{1,2})?")


@dataclass(frozen=True, kw_only=True)
class TabularArchitecture:
    """A checked architecture."""

    columns: int
    classes: int
    hidden: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def parse(cls, architecture: Architecture) -> TabularArchitecture:
        """Raises TrainingError for a missing or unknown key, or a number out of range."""
        wanted = {"columns", "classes", "hidden", "mean", "deviation"}
        if set(architecture) != wanted:
            raise refused(NAME, f"keys {sorted(architecture)}", ", ".join(sorted(wanted)))
        columns = _whole(architecture["columns"], "columns", 1, MAX_COLUMNS)
        hidden = architecture["hidden"]
        if not isinstance(hidden, tuple) or not 1 <= len(hidden) <= 8:
            raise refused(NAME, f"hidden = {hidden!r}", "the sizes of 1 to 8 hidden layers")
        deviation = _decimals(architecture["deviation"], "deviation", columns)
        if min(deviation) <= 0:
            raise refused(NAME, "a deviation that is not above zero", "numbers above zero")
        return cls(
            columns=columns,
            classes=_whole(architecture["classes"], "classes", 2, 256),
            hidden=tuple(_whole(size, "hidden", 1, 1 << 14) for size in hidden),
            mean=_decimals(architecture["mean"], "mean", columns),
            deviation=deviation,
        )


class Tabular:
    """The recipe. Its torch side is in `tabular_torch`."""

    name = NAME
    kind = Kind.FEATURES
    learner = "steelyard.learning.recipes.tabular_torch:TabularLearner"
    training: Mapping[str, Any] = {"batch_size": 32, "learning_rate": "0.05", "local_epochs": 5}
    default_architecture = NO_ARCHITECTURE

    def layout(self, architecture: Architecture) -> tuple[TensorSpec, ...]:
        """The tensors in the order of the weight vector. Raises TrainingError over 2^27 parameters."""
        checked = TabularArchitecture.parse(architecture)
        sizes = (checked.columns, *checked.hidden, checked.classes)
        shapes: list[tuple[str, tuple[int, ...]]] = []
        for number, (inputs, outputs) in enumerate(pairwise(sizes), 1):
            shapes += [(f"linear{number}.weight", (outputs, inputs)), (f"linear{number}.bias", (outputs,))]
        return layout_of(NAME, shapes)

    def initial(self, architecture: Architecture, seed: int) -> Weights:
        """Uniform within 1 / sqrt(inputs of a neuron), from NumPy's frozen generator."""
        return uniform(self.layout(architecture), seed)

    def input_spec(self, architecture: Architecture) -> InputSpec:
        """Rows of the architecture's columns."""
        checked = TabularArchitecture.parse(architecture)
        return InputSpec(kind=self.kind, shape=(checked.columns,), classes=checked.classes)

    def suggest(self, rows: InputSpec, stats: RunningStats) -> Architecture:
        """Two hidden layers; mean and deviation of each column."""
        return {
            "columns": rows.shape[0], "classes": rows.classes, "hidden": (64, 32),
            "mean": tuple(decimal(value) for value in stats.mean),
            "deviation": tuple(decimal(value) for value in stats.deviation),
        }  # fmt: skip


def decimal(value: float) -> str:
    """A number as the architecture holds it: the shortest decimals that give its float32."""
    return str(np.float32(value)).replace("+", "")


def _whole(value: object, name: str, low: int, high: int) -> int:
    if not isinstance(value, int) or not low <= value <= high:
        raise refused(NAME, f"{name} = {value!r}", f"{low} to {high}")
    return value


def _decimals(values: object, name: str, count: int) -> tuple[float, ...]:
    if not isinstance(values, tuple) or len(values) != count:
        raise refused(
            NAME, f"{name} of {len(values) if isinstance(values, tuple) else 'no'} columns", f"{count}"
        )
    for value in values:
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or not math.isfinite(float(value)):
            raise refused(NAME, f"{value!r} in {name}", "decimal numbers as strings")
    return tuple(float(str(value)) for value in values)
