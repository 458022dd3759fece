"""The torch side of `image-cnn`. Only the training process imports this module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from steelyard.learning.recipes.base import Architecture
from steelyard.learning.recipes.classifier_torch import Classifier
from steelyard.learning.recipes.image_cnn import ImageCnn, ImageCnnArchitecture


class ImageCnnLearner(Classifier):
    """Trains and tests one architecture on the CPU."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(ImageCnn().input_spec(architecture))
        self._architecture = ImageCnnArchitecture.parse(architecture)

    def logits(self, tensors: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        """inputs: uint8 (batch, channels, height, width). Returns float32 (batch, classes)."""
        conv1, bias1, conv2, bias2, linear, bias3 = tensors
        even = inputs[:, :, : inputs.shape[2] // 2 * 2, : inputs.shape[3] // 2 * 2]
        x = even.float().sub_(self._architecture.mean).div_(self._architecture.deviation)
        x = functional.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        x = functional.relu(functional.conv2d(x, conv1, bias1))
        x = functional.relu(functional.max_pool2d(functional.conv2d(x, conv2, bias2), 2))
        return functional.linear(x.flatten(1), linear, bias3)
