"""The torch side of `tabular`. Only the training process imports this module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from steelyard.learning.recipes.base import Architecture
from steelyard.learning.recipes.classifier_torch import Classifier
from steelyard.learning.recipes.tabular import Tabular, TabularArchitecture

CLAMP = 16.0  # deviations from the mean; values beyond are clamped


class TabularLearner(Classifier):
    """Trains and tests one architecture on the CPU."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(Tabular().input_spec(architecture))
        checked = TabularArchitecture.parse(architecture)
        self._mean = torch.tensor(checked.mean, dtype=torch.float64)
        self._deviation = torch.tensor(checked.deviation, dtype=torch.float64)

    def logits(self, tensors: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        """inputs: float32 (batch, columns), as measured, not scaled. Returns float32 (batch, classes)."""
        x = ((inputs.double() - self._mean) / self._deviation).clamp(-CLAMP, CLAMP).float()
        for layer in range(0, len(tensors), 2):
            if layer:
                x = functional.relu(x)
            x = functional.linear(x, tensors[layer], tensors[layer + 1])
        return x
