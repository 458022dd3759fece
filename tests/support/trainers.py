"""A trainer for tests of nodes, without torch: the local model depends only on member and round."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import numpy as np

from steelyard.core.state_file import open_state, write_state
from steelyard.jobs.manifest import Manifest
from steelyard.learning.process import TrainerSettings
from steelyard.learning.trainer import EvalMetrics, TrainingProgress, TrainMetrics


class StepTrainer:
    """Changes every value by up to 5,000, drawn from (member, round)."""

    def __init__(self, _scratch: Path, _settings: TrainerSettings) -> None:
        self.progress: TrainingProgress | None = None

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""

    async def train(
        self,
        manifest: Manifest,
        *,
        state: Path,
        data: Path,
        out: Path,
        round_: int,
        member: str | int,
        deadline_s: float,
    ) -> TrainMetrics:
        await asyncio.to_thread(self._train, manifest, state, out, f"{member}/{round_}")
        return TrainMetrics(rows=1, steps=1, loss=1.0 / round_, seconds=0.0)

    async def evaluate(
        self, manifest: Manifest, *, state: Path, data: Path, deadline_s: float
    ) -> EvalMetrics:
        return EvalMetrics(rows=10, correct=9, loss=0.1, seconds=0.0)

    def _train(self, manifest: Manifest, state: Path, out: Path, draw: str) -> None:
        seed = int.from_bytes(hashlib.sha256(draw.encode()).digest()[:4], "big")
        values = open_state(state, manifest.step.block_count).values()
        step = np.random.default_rng(seed).integers(-5000, 5000, values.shape, dtype=np.int32)
        write_state(out, values + step, manifest.step.block_count)
