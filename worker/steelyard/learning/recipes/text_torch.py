"""The torch side of `text`. Only the training process imports this module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from steelyard.learning.recipes.base import Architecture
from steelyard.learning.recipes.classifier_torch import Classifier
from steelyard.learning.recipes.text import Text, TextArchitecture

_BASE = 257
_SPREAD = 2654435761  # 2^32 over the golden ratio, Knuth's multiplier


class TextLearner(Classifier):
    """Trains and tests one architecture on the CPU."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(Text().input_spec(architecture))
        self._architecture = TextArchitecture.parse(architecture)

    def logits(self, tensors: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        """inputs: uint8 (batch, length). Returns float32 (batch, classes)."""
        embedding, linear, bias = tensors
        buckets, present = self._hashed(inputs)
        embedded = functional.embedding(buckets, embedding) * present.unsqueeze(2)
        mean = embedded.sum(1) / present.sum(1, keepdim=True).clamp(min=1)
        return functional.linear(mean, linear, bias)

    def _hashed(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The bucket of the n-gram at each position, and 1 if the text reaches that far, else 0.

        Both are (batch, positions).
        """
        lower = inputs.long()
        lower = lower + 32 * ((lower >= ord("A")) & (lower <= ord("Z"))).long()
        positions = self._architecture.length - self._architecture.ngram + 1
        hashed = torch.zeros_like(lower[:, :positions])
        for offset in range(self._architecture.ngram):
            hashed = (hashed * _BASE + lower[:, offset : offset + positions]) & 0xFFFFFFFF
        present = (lower[:, self._architecture.ngram - 1 :] > 0).float()
        return ((hashed * _SPREAD) & 0xFFFFFFFF) % self._architecture.buckets, present
