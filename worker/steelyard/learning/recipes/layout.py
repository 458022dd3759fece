"""Shared by recipes: the bound of a layout, uniform initial weights, and the error for an architecture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from steelyard.errors import TrainingError
from steelyard.jobs.tensor_spec import TensorSpec
from steelyard.learning.recipes.base import Weights

SCALE_BITS = 24  # +-128 in steps of 6e-8, finer than float32 from 1 up
MAX_PARAMETERS = 1 << 27


def layout_of(recipe: str, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> tuple[TensorSpec, ...]:
    """Tensors of these names and shapes, in this order. Raises TrainingError over 2^27 parameters."""
    tensors = tuple(TensorSpec(name=name, shape=shape, scale_bits=SCALE_BITS) for name, shape in shapes)
    parameters = sum(tensor.size for tensor in tensors)
    if parameters > MAX_PARAMETERS:
        raise refused(recipe, f"{parameters} parameters", f"at most {MAX_PARAMETERS}")
    return tensors


def uniform(layout: Sequence[TensorSpec], seed: int) -> Weights:
    """Uniform within 1 / sqrt(inputs of a neuron), from NumPy's frozen generator."""
    random = np.random.RandomState(seed)
    weights: Weights = {}
    bound = 1.0
    for tensor in layout:
        if len(tensor.shape) > 1:  # a bias follows its weight and has the same bound
            bound = 1 / math.sqrt(math.prod(tensor.shape[1:]))
        weights[tensor.name] = random.uniform(-bound, bound, tensor.shape).astype(np.float32)
    return weights


def refused(recipe: str, found: str, wanted: str) -> TrainingError:
    """The error for an architecture that the recipe does not take."""
    return TrainingError(
        f"{recipe} does not take {found}: it takes {wanted}", remedy="correct the job's architecture"
    )
