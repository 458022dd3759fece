"""The `image-cnn` recipe: a small convolutional network for small images.

    2x2 pixels into channels -> conv 3x3 -> ReLU -> conv 3x3 -> max-pool 2x2 -> ReLU -> linear

With filters (16, 32) it has 13,242 parameters for 28x28 grey images. It has no buffers and no dropout: the
weight vector is the whole model. Of the networks of this size that were tried, this one learned MNIST in the
least time on a CPU: a 3x3 kernel over packed pixels covers 6x6 of them, at a quarter of the positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.jobs.tensor_spec import TensorSpec
from steelyard.learning.data import Kind
from steelyard.learning.recipes.base import Architecture, InputSpec, Weights
from steelyard.learning.recipes.layout import layout_of, refused, uniform
from steelyard.learning.running_stats import RunningStats

NAME = "image-cnn"

MNIST_ARCHITECTURE: Architecture = {
    "channels": 1,
    "height": 28,
    "width": 28,
    "classes": 10,
    "mean": 33,
    "deviation": 79,
    "filters": (16, 32),
}
"""MNIST, 13,242 parameters."""


@dataclass(frozen=True, kw_only=True)
class ImageCnnArchitecture:
    """A checked architecture."""

    channels: int
    height: int
    width: int
    classes: int
    filters: tuple[int, int]
    mean: int  # of a pixel, in 1/255
    deviation: int  # of a pixel, in 1/255

    @classmethod
    def parse(cls, architecture: Architecture) -> ImageCnnArchitecture:
        """Raises TrainingError for a missing or unknown key, or a number out of range."""
        limits = {
            "channels": (1, 16),
            "height": (12, 512),
            "width": (12, 512),
            "classes": (2, 256),
            "mean": (0, 255),
            "deviation": (1, 255),
        }
        filters = architecture.get("filters")
        if set(architecture) != {*limits, "filters"} or not isinstance(filters, tuple) or len(filters) != 2:
            raise refused(NAME, f"keys {sorted(architecture)}", f"{', '.join(limits)} and two filters")
        numbers: dict[str, int] = {}
        for name, (low, high) in limits.items():
            value = architecture[name]
            if not isinstance(value, int) or not low <= value <= high:
                raise refused(NAME, f"{name} = {value!r}", f"{low} to {high}")
            numbers[name] = value
        first, second = filters
        if not (isinstance(first, int) and isinstance(second, int)):
            raise refused(NAME, f"filters {filters}", "two numbers")
        if not (1 <= first <= 1024 and 1 <= second <= 1024):
            raise refused(NAME, f"filters {filters}", "1 to 1024 of each")
        return cls(**numbers, filters=(first, second))

    @property
    def features(self) -> int:
        """Inputs of the linear layer."""
        return self.filters[1] * _pooled(self.height) * _pooled(self.width)


class ImageCnn:
    """The recipe. Its torch side is in `image_cnn_torch`."""

    name = NAME
    kind = Kind.IMAGES
    learner = "steelyard.learning.recipes.image_cnn_torch:ImageCnnLearner"
    training: Mapping[str, Any] = {"batch_size": 64, "learning_rate": "0.08"}
    default_architecture = MNIST_ARCHITECTURE

    def layout(self, architecture: Architecture) -> tuple[TensorSpec, ...]:
        """The tensors in the order of the weight vector. Raises TrainingError over 2^27 parameters."""
        checked = ImageCnnArchitecture.parse(architecture)
        first, second = checked.filters
        shapes: dict[str, tuple[int, ...]] = {
            "conv1.weight": (first, 4 * checked.channels, 3, 3),
            "conv1.bias": (first,),
            "conv2.weight": (second, first, 3, 3),
            "conv2.bias": (second,),
            "linear.weight": (checked.classes, checked.features),
            "linear.bias": (checked.classes,),
        }
        return layout_of(NAME, shapes.items())

    def initial(self, architecture: Architecture, seed: int) -> Weights:
        """Uniform within 1 / sqrt(inputs of a neuron), from NumPy's frozen generator."""
        return uniform(self.layout(architecture), seed)

    def input_spec(self, architecture: Architecture) -> InputSpec:
        """Images of the architecture's channels, height and width."""
        checked = ImageCnnArchitecture.parse(architecture)
        shape = (checked.channels, checked.height, checked.width)
        return InputSpec(kind=self.kind, shape=shape, classes=checked.classes)

    def suggest(self, rows: InputSpec, stats: RunningStats) -> Architecture:
        """Filters (16, 32); mean and deviation of the pixels."""
        channels, height, width = rows.shape
        return {
            "channels": channels, "height": height, "width": width, "classes": rows.classes,
            "filters": (16, 32),
            "mean": round(float(stats.mean[0])), "deviation": max(1, round(float(stats.deviation[0]))),
        }  # fmt: skip


def _pooled(side: int) -> int:
    """A side after packing, two convolutions and pooling; odd remainders are cut off."""
    return (side // 2 - 4) // 2
