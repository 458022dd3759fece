"""The torch side of `text`. Only the training child imports this module."""

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
        buckets, there = self._hashed(inputs)
        found = functional.embedding(buckets, embedding) * there.unsqueeze(2)
        mean = found.sum(1) / there.sum(1, keepdim=True).clamp(min=1)
        return functional.linear(mean, linear, bias)

    def _hashed(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The bucket of the n-gram from each place on, and 1 where there is one: both (batch, places)."""
        small = inputs.long()
        small = small + 32 * ((small >= ord("A")) & (small <= ord("Z"))).long()
        places = self._architecture.length - self._architecture.ngram + 1
        hashed = torch.zeros_like(small[:, :places])
        for offset in range(self._architecture.ngram):
            hashed = (hashed * _BASE + small[:, offset : offset + places]) & 0xFFFFFFFF
        there = (small[:, self._architecture.ngram - 1 :] > 0).float()
        return ((hashed * _SPREAD) & 0xFFFFFFFF) % self._architecture.buckets, there
