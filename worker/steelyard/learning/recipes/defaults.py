"""The recipe and the architecture that are suggested for published rows."""

from __future__ import annotations

from steelyard.errors import ConfigError, TrainingError
from steelyard.learning.data import Kind
from steelyard.learning.loaders.source import Scan
from steelyard.learning.recipes import RECIPES
from steelyard.learning.recipes.base import Architecture, InputSpec, Recipe
from steelyard.learning.running_stats import RunningStats


def recipe_for(kind: Kind) -> Recipe:
    """The first recipe in the table for rows of this kind. Raises ConfigError if there is none."""
    for recipe in RECIPES.values():
        if recipe.kind is kind:
            return recipe
    raise ConfigError(f"no recipe takes {kind.value}", remedy="upgrade steelyard, or publish other rows")


def architecture_for(scan: Scan, stats: RunningStats) -> Architecture:
    """The suggested recipe's architecture for these rows. Raises ConfigError if the recipe refuses it.

    stats: of the training rows.
    """
    recipe = recipe_for(scan.kind)
    rows = InputSpec(kind=scan.kind, shape=scan.shape, classes=len(scan.names))
    suggested = recipe.suggest(rows, stats)
    try:
        recipe.layout(suggested)
    except TrainingError as error:
        raise ConfigError(error.message, remedy="scale images, for example with --image-size 28") from error
    return suggested
