"""The torch side of `image-cnn`. Only the training child imports this module.

The loss adds the logarithm of the shard's label frequencies to the logits ("balanced softmax"): a member that
holds few labels then does not push the others down, which is what makes plain averaging drift on skewed
shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional

from steelyard.errors import TrainingError
from steelyard.learning.data import Rows
from steelyard.learning.recipes.base import Evaluated, Options, Report, Trained, Weights
from steelyard.learning.recipes.image_cnn import Shape
from steelyard.learning.recipes.optimizers import clipped, optimizer

_TEST_BATCH = 500


class ImageCnnLearner:
    """Trains and tests one architecture on the CPU."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def train(self, weights: Weights, rows: Rows, options: Options, report: Report) -> Trained:
        """Train from `weights`. Raises TrainingError where the rows do not fit, Cancelled out of `report`."""
        self._check(rows)
        tensors = [torch.from_numpy(array.copy()).requires_grad_() for array in weights.values()]
        images, labels = _as_tensors(rows)
        prior = self._log_prior(labels)
        batches = list(_batches(len(rows), options))
        update = optimizer(tensors, options)
        losses: list[float] = []
        for number, batch in enumerate(batches):
            chosen = torch.from_numpy(batch)
            logits = self._logits(tensors, images[chosen]) + prior
            loss = functional.cross_entropy(logits, labels[chosen])
            gradients = clipped(torch.autograd.grad(loss, tensors), options.clip_norm)
            update(gradients, number / len(batches))
            losses.append(loss.item())
            report(number + 1, len(batches), losses[-1])
        last = losses[-max(1, len(batches) // options.local_epochs) :]
        return Trained(
            weights={name: t.detach().numpy() for name, t in zip(weights, tensors, strict=True)},
            steps=len(batches),
            rows=sum(len(batch) for batch in batches),
            loss=sum(last) / len(last),
        )

    def evaluate(self, weights: Weights, rows: Rows, report: Report) -> Evaluated:
        """Count right answers. Raises TrainingError where the rows do not fit."""
        self._check(rows)
        tensors = [torch.from_numpy(array.copy()) for array in weights.values()]
        images, labels = _as_tensors(rows)
        correct, total = 0, 0.0
        with torch.no_grad():
            for start in range(0, len(rows), _TEST_BATCH):
                answers = labels[start : start + _TEST_BATCH]
                logits = self._logits(tensors, images[start : start + _TEST_BATCH])
                correct += int((logits.argmax(1) == answers).sum())
                total += float(functional.cross_entropy(logits, answers, reduction="sum"))
                report(start // _TEST_BATCH + 1, -(-len(rows) // _TEST_BATCH), total / len(rows))
        return Evaluated(rows=len(rows), correct=correct, loss=total / len(rows))

    def _logits(self, tensors: Sequence[torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        """images: uint8 (batch, channels, height, width). Returns float32 (batch, classes)."""
        conv1, bias1, conv2, bias2, linear, bias3 = tensors
        even = images[:, :, : images.shape[2] // 2 * 2, : images.shape[3] // 2 * 2]
        x = even.float().sub_(self._shape.mean).div_(self._shape.deviation)
        x = functional.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        x = functional.relu(functional.conv2d(x, conv1, bias1))
        x = functional.relu(functional.max_pool2d(functional.conv2d(x, conv2, bias2), 2))
        return functional.linear(x.flatten(1), linear, bias3)

    def _log_prior(self, labels: torch.Tensor) -> torch.Tensor:
        counts = torch.bincount(labels, minlength=self._shape.classes).float() + 1
        return torch.log(counts / counts.sum())

    def _check(self, rows: Rows) -> None:
        wanted = (self._shape.channels, self._shape.height, self._shape.width)
        if rows.images.shape[1:] != wanted or int(rows.labels.max()) >= self._shape.classes:
            raise TrainingError(
                f"rows of shape {rows.images.shape[1:]} and labels up to {int(rows.labels.max())} do not fit "
                f"a model for {wanted} and {self._shape.classes} classes",
                remedy="use the data that the job's manifest names",
            )


def _as_tensors(rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as uint8, labels as int64; copies, since torch warns of read-only memory."""
    return torch.from_numpy(np.array(rows.images)), torch.from_numpy(rows.labels.astype(np.int64))


def _batches(rows: int, options: Options) -> Iterator[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Row numbers of each batch, shuffled anew each epoch. A short last batch is left out."""
    random = np.random.RandomState(options.seed)
    drawn = min(rows, options.max_rows or rows)
    size = min(options.batch_size, drawn)
    for _ in range(options.local_epochs):
        order = random.permutation(rows)[:drawn].astype(np.int64)
        for start in range(0, drawn - size + 1, size):
            yield order[start : start + size]
