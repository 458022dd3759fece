"""One tensor of a model, as recipes lay it out and manifests list it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from steelyard.core.numbers import MAX_SCALE_BITS
from steelyard.jobs.canonical_json import JsonNode

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One tensor of the weight vector; its place follows from its position in the manifest's list."""

    name: str
    shape: tuple[int, ...]
    scale_bits: int

    @property
    def size(self) -> int:
        """Its number of values."""
        return math.prod(self.shape)

    @classmethod
    def read(cls, node: JsonNode, most_values: int) -> TensorSpec:
        """Raises ManifestError for a bad name, over 8 dimensions, over `most_values`, or bad scale bits."""
        got = node.fields(("name", "shape", "scale_bits"))
        shape = tuple(side.integer(1, most_values) for side in got["shape"].items(8))
        if math.prod(shape) > most_values:
            got["shape"].fail(f"has {math.prod(shape)} values, over the limit of {most_values}")
        name = got["name"].text(_NAME, "a tensor's name")
        return cls(name=name, shape=shape, scale_bits=got["scale_bits"].integer(0, MAX_SCALE_BITS))

    def json(self) -> dict[str, object]:
        return {"name": self.name, "scale_bits": self.scale_bits, "shape": list(self.shape)}
