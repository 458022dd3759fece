"""The `image-cnn` recipe: a small convolutional net for small images.

    2x2 pixels into channels -> conv 3x3 -> ReLU -> conv 3x3 -> largest of 2x2 -> ReLU -> linear

With filters (16, 32) that is 13,242 parameters for 28x28 grey images. There are no buffers and no dropout:
the weight vector is all of the model. Of the nets of this size that were tried, this one learned MNIST in the
least time on a CPU: a 3x3 kernel over packed pixels sees 6x6 of them, at a quarter of the positions.
"""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.learning.data import Kind
from steelyard.learning.recipes.base import Architecture, InitialTensor, Intake, Learner, Weights
from steelyard.learning.recipes.layout import layout_of, refused, uniform

NAME = "image-cnn"


@dataclass(frozen=True, kw_only=True)
class ImageCnnArchitecture:
    """An architecture, checked."""

    channels: int
    height: int
    width: int
    classes: int
    filters: tuple[int, int]
    mean: int  # of a pixel, in 1/255
    deviation: int  # of a pixel, in 1/255

    @classmethod
    def of(cls, architecture: Architecture) -> ImageCnnArchitecture:
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

    def layout(self, architecture: Architecture) -> tuple[InitialTensor, ...]:
        """The tensors in the order of the weight vector. Raises TrainingError over 2^27 parameters."""
        shape = ImageCnnArchitecture.of(architecture)
        first, second = shape.filters
        shapes: dict[str, tuple[int, ...]] = {
            "conv1.weight": (first, 4 * shape.channels, 3, 3),
            "conv1.bias": (first,),
            "conv2.weight": (second, first, 3, 3),
            "conv2.bias": (second,),
            "linear.weight": (shape.classes, shape.features),
            "linear.bias": (shape.classes,),
        }
        return layout_of(NAME, shapes.items())

    def initial(self, architecture: Architecture, seed: int) -> Weights:
        """Uniform within 1 / sqrt(inputs of a neuron), from NumPy's frozen generator."""
        return uniform(self.layout(architecture), seed)

    def intake(self, architecture: Architecture) -> Intake:
        """The rows that it is for."""
        shape = ImageCnnArchitecture.of(architecture)
        return Intake(
            kind=Kind.IMAGES, row=(shape.channels, shape.height, shape.width), classes=shape.classes
        )

    def learner(self, architecture: Architecture) -> Learner:
        """The torch side. Only the child calls this: it is what imports torch."""
        from steelyard.learning.recipes.image_cnn_torch import ImageCnnLearner  # noqa: PLC0415

        return ImageCnnLearner(self.intake(architecture), ImageCnnArchitecture.of(architecture))


def _pooled(side: int) -> int:
    """A side after packing, two convolutions and the choice of the largest; odd rests are cut off."""
    return (side // 2 - 4) // 2
