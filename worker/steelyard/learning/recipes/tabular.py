"""The `tabular` recipe: a multilayer perceptron on columns of numbers.

    (value - mean) / deviation, within +-16 -> linear -> ReLU -> ... -> linear

Mean and deviation of each column stand in the architecture as decimal strings; whoever published the rows
computed them, so members and users of the model scale alike.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from steelyard.learning.data import Kind
from steelyard.learning.recipes.base import Architecture, InitialTensor, Intake, Learner, Weights
from steelyard.learning.recipes.layout import layout_of, refused, uniform

NAME = "tabular"

MAX_COLUMNS = 4096

_DECIMAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,20})?(e-?[0-9]{1,2})?")


@dataclass(frozen=True, kw_only=True)
class TabularArchitecture:
    """An architecture, checked."""

    columns: int
    classes: int
    hidden: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, architecture: Architecture) -> TabularArchitecture:
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

    def layout(self, architecture: Architecture) -> tuple[InitialTensor, ...]:
        """The tensors in the order of the weight vector. Raises TrainingError over 2^27 parameters."""
        shape = TabularArchitecture.of(architecture)
        sizes = (shape.columns, *shape.hidden, shape.classes)
        shapes: list[tuple[str, tuple[int, ...]]] = []
        for number, (inputs, outputs) in enumerate(pairwise(sizes), 1):
            shapes += [(f"linear{number}.weight", (outputs, inputs)), (f"linear{number}.bias", (outputs,))]
        return layout_of(NAME, shapes)

    def initial(self, architecture: Architecture, seed: int) -> Weights:
        """Uniform within 1 / sqrt(inputs of a neuron), from NumPy's frozen generator."""
        return uniform(self.layout(architecture), seed)

    def intake(self, architecture: Architecture) -> Intake:
        """The rows that it is for."""
        shape = TabularArchitecture.of(architecture)
        return Intake(kind=Kind.FEATURES, row=(shape.columns,), classes=shape.classes)

    def learner(self, architecture: Architecture) -> Learner:
        """The torch side. Only the child calls this: it is what imports torch."""
        from steelyard.learning.recipes.tabular_torch import TabularLearner  # noqa: PLC0415

        return TabularLearner(self.intake(architecture), TabularArchitecture.of(architecture))


def decimal(value: float) -> str:
    """A number as the architecture holds it: float32's shortest decimals."""
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
