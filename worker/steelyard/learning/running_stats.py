"""Mean and deviation of the training rows, a batch at a time, as a recipe's architecture carries them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.learning.data import Kind


class RunningStats:
    """Of all pixels of images, or of each column of features; texts have none."""

    def __init__(self, kind: Kind, shape: tuple[int, ...]) -> None:
        self._kind = kind
        width = shape[0] if kind is Kind.FEATURES else 1
        self._count = 0
        self._mean, self._squares = np.zeros(width), np.zeros(width)  # the squares of what is off the mean

    def add(self, rows: NDArray[Any]) -> None:
        """Chan's way to join two sets: exact enough where the mean is far from zero."""
        if self._kind is Kind.TEXTS or not len(rows):
            return
        values = rows.reshape(len(rows), -1) if self._kind is Kind.FEATURES else rows.reshape(-1, 1)
        count = len(values)
        mean = values.mean(axis=0, dtype=np.float64)
        squares = _off(values, mean)
        apart, joined = mean - self._mean, self._count + count
        self._squares += squares + apart**2 * self._count * count / joined
        self._mean += apart * count / joined
        self._count = joined

    @property
    def mean(self) -> NDArray[np.float64]:
        """(1,) or (columns,)."""
        return self._mean

    @property
    def deviation(self) -> NDArray[np.float64]:
        """(1,) or (columns,); 1 where all values are equal."""
        spread = np.sqrt(self._squares / max(self._count, 1))
        return np.where(spread > 0, spread, 1.0)


def _off(values: NDArray[Any], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squares off the mean, in pieces: pixels would take eight times their bytes."""
    total = np.zeros(len(mean))
    for start in range(0, len(values), 1 << 20):
        total += ((values[start : start + (1 << 20)] - mean) ** 2).sum(axis=0)
    return total
