"""Training and testing a classifier, shared by the recipes' learners. Only the training process imports it.

The loss adds the logarithm of the shard's label frequencies to the logits ("balanced softmax"). A member that
holds few labels then does not push the others down, which would cause client drift on skewed shards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional

from steelyard.errors import TrainingError
from steelyard.learning.data import Kind, Rows
from steelyard.learning.recipes.base import Evaluated, InputSpec, Options, Report, Trained, Weights
from steelyard.learning.recipes.optimizers import clipped, optimizer

_TEST_BATCH = 500


class Classifier(ABC):
    """A network from rows of one kind and shape to classes."""

    def __init__(self, input_spec: InputSpec) -> None:
        self._input_spec = input_spec

    @abstractmethod
    def logits(self, tensors: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        """inputs: (batch, *shape) of the kind's dtype. Returns float32 (batch, classes)."""

    def train(self, weights: Weights, rows: Rows, options: Options, report: Report) -> Trained:
        """Train from `weights`. Raises TrainingError if the rows do not fit, Cancelled if `report` does."""
        self._check(rows)
        tensors = [torch.from_numpy(array.copy()).requires_grad_() for array in weights.values()]
        inputs, labels = _as_tensors(rows)
        prior = self._log_prior(labels)
        batches = list(_batches(len(rows), options))
        update = optimizer(tensors, options)
        losses: list[float] = []
        for number, batch in enumerate(batches):
            chosen = torch.from_numpy(batch)
            logits = self.logits(tensors, inputs[chosen]) + prior
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
        """Count correct predictions. Raises TrainingError if the rows do not fit."""
        self._check(rows)
        tensors = [torch.from_numpy(array.copy()) for array in weights.values()]
        inputs, labels = _as_tensors(rows)
        correct, total = 0, 0.0
        with torch.no_grad():
            for start in range(0, len(rows), _TEST_BATCH):
                answers = labels[start : start + _TEST_BATCH]
                logits = self.logits(tensors, inputs[start : start + _TEST_BATCH])
                correct += int((logits.argmax(1) == answers).sum())
                total += float(functional.cross_entropy(logits, answers, reduction="sum"))
                report(start // _TEST_BATCH + 1, -(-len(rows) // _TEST_BATCH), total / len(rows))
        return Evaluated(rows=len(rows), correct=correct, loss=total / len(rows))

    def _log_prior(self, labels: torch.Tensor) -> torch.Tensor:
        counts = torch.bincount(labels, minlength=self._input_spec.classes).float() + 1
        return torch.log(counts / counts.sum())

    def _check(self, rows: Rows) -> None:
        self._input_spec.check(rows)
        if rows.kind is Kind.FEATURES and not np.isfinite(rows.inputs).all():
            raise TrainingError(
                "a feature is not a finite number", remedy="use the data that the job's manifest names"
            )


def _as_tensors(rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs unchanged, labels as int64; copies, because torch warns of read-only memory."""
    return torch.from_numpy(np.array(rows.inputs)), torch.from_numpy(rows.labels.astype(np.int64))


def _batches(rows: int, options: Options) -> Iterator[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Row numbers of each batch, shuffled each epoch. A short last batch is left out."""
    random = np.random.RandomState(options.seed)
    drawn = min(rows, options.max_rows or rows)
    size = min(options.batch_size, drawn)
    for _ in range(options.local_epochs):
        order = random.permutation(rows)[:drawn].astype(np.int64)
        for start in range(0, drawn - size + 1, size):
            yield order[start : start + size]
