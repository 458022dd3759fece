"""Recipes: what is trained and how. A manifest names one of them; no code comes with a manifest.

A recipe has two sides. Layout and first weights are NumPy, so that sponsors and verifiers need no torch; the
learner imports torch, and only the training child makes one.
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
    """The recipe of this name. Raises TrainingError where this version has none."""
    try:
        return RECIPES[name]
    except KeyError:
        raise TrainingError(
            f"there is no recipe {name[:64]!a}; this version knows {', '.join(RECIPES)}",
            remedy="upgrade steelyard, or choose another job",
        ) from None
