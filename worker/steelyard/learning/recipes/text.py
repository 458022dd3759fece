"""The `text` recipe: a bag of hashed byte n-grams, embedded, averaged, and classified.

    n bytes in a row, hashed into a bucket -> embedding -> mean over the text -> linear

ASCII letters are lower-cased first. It needs no vocabulary, so members exchange nothing about the words of
their texts, and it takes any language that is written in UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.jobs.tensor_spec import TensorSpec
from steelyard.learning.data import Kind
from steelyard.learning.recipes.base import NO_ARCHITECTURE, Architecture, InputSpec, Weights
from steelyard.learning.recipes.layout import layout_of, refused
from steelyard.learning.running_stats import RunningStats

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
    """A checked architecture."""

    length: int
    classes: int
    ngram: int
    buckets: int
    width: int

    @classmethod
    def parse(cls, architecture: Architecture) -> TextArchitecture:
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
    kind = Kind.TEXTS
    learner = "steelyard.learning.recipes.text_torch:TextLearner"
    training: Mapping[str, Any] = {
        "batch_size": 32,
        "learning_rate": "0.01",
        "local_epochs": 5,
        "optimizer": "adam",
        "clip_norm": "0",
    }
    default_architecture = NO_ARCHITECTURE

    def layout(self, architecture: Architecture) -> tuple[TensorSpec, ...]:
        """The tensors in the order of the weight vector. Raises TrainingError over 2^27 parameters."""
        checked = TextArchitecture.parse(architecture)
        shapes: dict[str, tuple[int, ...]] = {
            "embedding.weight": (checked.buckets, checked.width),
            "linear.weight": (checked.classes, checked.width),
            "linear.bias": (checked.classes,),
        }
        return layout_of(NAME, shapes.items())

    def initial(self, architecture: Architecture, seed: int) -> Weights:
        """Embeddings within 1/2 of zero, the classifier at zero; from NumPy's frozen generator."""
        random = np.random.RandomState(seed)
        weights = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in self.layout(architecture)}
        embedding = weights["embedding.weight"]
        weights["embedding.weight"] = random.uniform(-0.5, 0.5, embedding.shape).astype(np.float32)
        return weights

    def input_spec(self, architecture: Architecture) -> InputSpec:
        """Texts of the architecture's length in bytes."""
        checked = TextArchitecture.parse(architecture)
        return InputSpec(kind=self.kind, shape=(checked.length,), classes=checked.classes)

    def suggest(self, rows: InputSpec, _stats: RunningStats) -> Architecture:
        """4-grams in 4096 buckets, 16 values each."""
        return {"length": rows.shape[0], "classes": rows.classes, "ngram": 4, "buckets": 4096, "width": 16}
