"""Recipes: models and how they are trained. A manifest names one of them and carries no code.

A recipe has two sides. Layout and initial weights need only NumPy, so sponsors and verifiers can do without
torch. The learner needs torch and exists only in the training process; the recipe names its class as text.

To add a recipe, add one entry to `RECIPES`. The first entry for a kind of rows is the one suggested for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from steelyard.errors import TrainingError
from steelyard.learning.recipes.base import Recipe
from steelyard.learning.recipes.image_cnn import ImageCnn
from steelyard.learning.recipes.tabular import Tabular
from steelyard.learning.recipes.text import Text

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (ImageCnn(), Tabular(), Text())}


def recipe_named(name: str) -> Recipe:
    """The recipe of this name. Raises TrainingError if this version has none."""
    try:
        return RECIPES[name]
    except KeyError:
        raise TrainingError(
            f"no recipe is called {name[:64]!a}; this version has {', '.join(RECIPES)}",
            remedy="upgrade steelyard, or choose another job",
        ) from None
