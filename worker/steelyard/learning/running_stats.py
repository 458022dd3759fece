"""Running mean and deviation of the training rows, which become part of a recipe's architecture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.learning.data import Kind


class RunningStats:
    """Mean and deviation over all pixels of images or of each column of features; texts have none."""

    def __init__(self, kind: Kind, shape: tuple[int, ...]) -> None:
        self._kind = kind
        width = shape[0] if kind is Kind.FEATURES else 1
        self._count = 0
        self._mean = np.zeros(width)
        self._squares = np.zeros(width)  # sums of the squared differences from the mean

    def add(self, rows: NDArray[Any]) -> None:
        """Include a batch (rows, ...). Chan's update: it stays precise if the mean is far from zero."""
        if self._kind is Kind.TEXTS or not len(rows):
            return
        values = rows.reshape(len(rows), -1) if self._kind is Kind.FEATURES else rows.reshape(-1, 1)
        count = len(values)
        mean = values.mean(axis=0, dtype=np.float64)
        squares = _squared_differences(values, mean)
        difference, total = mean - self._mean, self._count + count
        self._squares += squares + difference**2 * self._count * count / total
        self._mean += difference * count / total
        self._count = total

    @property
    def mean(self) -> NDArray[np.float64]:
        """(1,) or (columns,)."""
        return self._mean

    @property
    def deviation(self) -> NDArray[np.float64]:
        """(1,) or (columns,); 1 if all values are equal."""
        deviation = np.sqrt(self._squares / max(self._count, 1))
        return np.where(deviation > 0, deviation, 1.0)


def _squared_differences(values: NDArray[Any], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squared differences from the mean, in pieces: float64 takes eight times the bytes of pixels."""
    total = np.zeros(len(mean))
    for start in range(0, len(values), 1 << 20):
        total += ((values[start : start + (1 << 20)] - mean) ** 2).sum(axis=0)
    return total
