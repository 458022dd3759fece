"""The `text` recipe: a bag of hashed byte n-grams, embedded, averaged, and classified.

    n bytes in a row, hashed into a bucket -> embedding -> mean over the text -> linear

Letters of ASCII are made small first. It needs no vocabulary, so nothing about the words of one member's
texts has to be told to another, and it takes any language that is written in UTF-8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.learning.data import Kind
from steelyard.learning.recipes.base import Architecture, InitialTensor, Intake, Learner, Weights
from steelyard.learning.recipes.layout import layout_of, refused

NAME = "text"

LIMITS = {
    "length": (8, 1 << 16),  # bytes of a text
    "classes": (2, 256),
    "ngram": (1, 8),  # bytes
    "buckets": (16, 1 << 20),
    "width": (2, 1024),  # of an embedding
}


@dataclass(frozen=True, kw_only=True)
class TextArchitecture:
    """An architecture, checked."""

    length: int
    classes: int
    ngram: int
    buckets: int
    width: int

    @classmethod
    def of(cls, architecture: Architecture) -> TextArchitecture:
        """Raises TrainingError for a missing or unknown key, or a number out of range."""
        if set(architecture) != set(LIMITS):
            raise refused(NAME, f"keys {sorted(architecture)}", ", ".join(LIMITS))
        numbers: dict[str, int] = {}
        for name, (low, high) in LIMITS.items():
            value = architecture[name]
            if not isinstance(value, int) or not low <= value <= high:
                raise refused(NAME, f"{name} = {value!r}", f"{low} to {high}")
            numbers[name] = value
        return cls(**numbers)


class Text:
    """The recipe. Its torch side is in `text_torch`."""

    name = NAME

    def layout(self, architecture: Architecture) -> tuple[InitialTensor, ...]:
        """The tensors in the order of the weight vector. Raises TrainingError over 2^27 parameters."""
        shape = TextArchitecture.of(architecture)
        shapes: dict[str, tuple[int, ...]] = {
            "embedding.weight": (shape.buckets, shape.width),
            "linear.weight": (shape.classes, shape.width),
            "linear.bias": (shape.classes,),
        }
        return layout_of(NAME, shapes.items())

    def initial(self, architecture: Architecture, seed: int) -> Weights:
        """Embeddings within 1/2 of zero, the classifier at zero; from NumPy's frozen generator."""
        random = np.random.RandomState(seed)
        weights = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in self.layout(architecture)}
        embedding = weights["embedding.weight"]
        weights["embedding.weight"] = random.uniform(-0.5, 0.5, embedding.shape).astype(np.float32)
        return weights

    def intake(self, architecture: Architecture) -> Intake:
        """The rows that it is for."""
        shape = TextArchitecture.of(architecture)
        return Intake(kind=Kind.TEXTS, row=(shape.length,), classes=shape.classes)

    def learner(self, architecture: Architecture) -> Learner:
        """The torch side. Only the child calls this: it is what imports torch."""
        from steelyard.learning.recipes.text_torch import TextLearner  # noqa: PLC0415

        return TextLearner(self.intake(architecture), TextArchitecture.of(architecture))
