"""Training and testing for a node, in a separate process: state file in, state file out.

    trainer = Trainer(home / "training")
    metrics = await trainer.train(manifest, state=..., data=..., out=..., round_=1, member="3", deadline_s=60)

On one machine, the result is a function of the state, the data, the manifest's training section, `round_` and
`member`. A failure of the child does not stop the node: it is retried once, then raises TrainingError.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from steelyard.errors import TrainingError
from steelyard.jobs.manifest import Manifest, TrainingConfig
from steelyard.learning.job_setup import check_recipe
from steelyard.learning.process import Child, ChildDied, TrainerSettings
from steelyard.learning.recipes.base import Options
from steelyard.learning.vector import safetensors_to_state, state_to_safetensors

__all__ = ["EvalMetrics", "TrainMetrics", "Trainer", "TrainerSettings", "TrainingProgress", "round_options"]

_ATTEMPTS = 2
_REPORT = "report this with trainer.log: the recipe violated the protocol of learning/child.py"


@dataclass(frozen=True, kw_only=True)
class TrainMetrics:
    """Metrics of a round's training."""

    rows: int  # rows seen, repeats counted
    steps: int
    loss: float  # mean over the last epoch
    seconds: float


@dataclass(frozen=True, kw_only=True)
class EvalMetrics:
    """Metrics of a test."""

    rows: int
    correct: int
    loss: float
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of correctly labelled rows, 0 to 1."""
        return self.correct / self.rows


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """Progress of the request in progress."""

    step: int
    steps: int
    loss: float
    at: float = field(default_factory=time.monotonic)  # monotonic seconds of this report


_Metrics = TypeVar("_Metrics", TrainMetrics, EvalMetrics)


class Trainer:
    """One worker's training process, started on first use and restarted after a crash."""

    def __init__(self, scratch: Path, settings: TrainerSettings | None = None) -> None:
        self._scratch = scratch.absolute()
        self._settings = settings or TrainerSettings()
        self._child: Child | None = None
        self._lock = asyncio.Lock()
        self._numbers = itertools.count()
        self._closed = False
        self.progress: TrainingProgress | None = None

    async def __aenter__(self) -> Trainer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """The process id of the child, if one runs."""
        return self._child.pid if self._child and self._child.alive else None

    async def start(self) -> None:
        """Start the child now, so that torch is imported before it is needed. Raises TrainingError."""
        async with self._lock:
            await self._running(self._settings.start_timeout_s)

    async def close(self) -> None:
        """End the child permanently; a request in progress fails. A second call does nothing."""
        self._closed = True
        child, self._child = self._child, None
        if child:
            await child.kill()

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
        """Train from `state` on `data` and write the local model, quantized, as the state file `out`.

        round_: 1 for the first. member: part of the seed, so that members draw differently.
        Raises TrainingError (no torch, deadline, two crashes, unsuitable data), QuantizeError if training
        diverged.
        """
        check_recipe(manifest)
        options = asdict(round_options(manifest.training, round_, member))
        with self._files() as (weights, local):
            await asyncio.to_thread(state_to_safetensors, state, weights, manifest.tensors)
            request = {
                **_model(manifest, weights, data),
                "op": "train",
                "out": str(local),
                "options": options,
            }
            metrics = _read(TrainMetrics, await self._ask(request, deadline_s))
            if not local.exists():
                raise TrainingError("the training process wrote no weights", remedy=_REPORT)
            await asyncio.to_thread(safetensors_to_state, local, out, manifest.tensors)
        return metrics

    async def evaluate(
        self, manifest: Manifest, *, state: Path, data: Path, deadline_s: float
    ) -> EvalMetrics:
        """Test the model of `state` on `data`. Raises TrainingError as `train` does."""
        check_recipe(manifest)
        with self._files() as (weights, _):
            await asyncio.to_thread(state_to_safetensors, state, weights, manifest.tensors)
            request = {**_model(manifest, weights, data), "op": "evaluate"}
            metrics = await self._ask(request, deadline_s)
        return _read(EvalMetrics, metrics)

    async def _ask(self, request: dict[str, Any], deadline_s: float) -> dict[str, Any]:
        """Send the request, once more to a new child if the first dies: the answer is the same."""
        ends = time.monotonic() + deadline_s
        async with self._lock:
            for attempt in range(1, _ATTEMPTS + 1):
                self.progress = None
                try:
                    child = await self._running(ends - time.monotonic())
                    return await child.ask(
                        request, deadline_s=ends - time.monotonic(), progress=self._note_progress
                    )
                except ChildDied:
                    if attempt == _ATTEMPTS or time.monotonic() >= ends:
                        raise
        raise TrainingError("no attempt was made", remedy=_REPORT)

    async def _running(self, left_s: float) -> Child:
        """The child, started if necessary within `left_s` seconds."""
        if self._closed:
            raise TrainingError("the trainer was closed", remedy="create a new one")
        if self._child is None or not self._child.alive:
            self._scratch.mkdir(parents=True, exist_ok=True)
            start_s = min(left_s, self._settings.start_timeout_s)
            self._child = await Child.start(self._scratch, replace(self._settings, start_timeout_s=start_s))
        return self._child

    def _note_progress(self, reply: dict[str, Any]) -> None:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            self.progress = TrainingProgress(
                step=int(reply["step"]), steps=int(reply["steps"]), loss=float(reply["loss"])
            )

    @contextlib.contextmanager
    def _files(self) -> Iterator[tuple[Path, Path]]:
        """Paths for input and output weights; the files are removed afterwards."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        number = next(self._numbers)
        names = [self._scratch / f"{kind}-{number}.safetensors" for kind in ("weights", "local")]
        try:
            yield names[0], names[1]
        finally:
            for name in names:
                name.unlink(missing_ok=True)


def _read(kind: type[_Metrics], metrics: dict[str, Any]) -> _Metrics:
    """The child's metrics as a dataclass. Raises TrainingError if one is missing."""
    try:
        return kind(**{name: metrics[name] for name in kind.__dataclass_fields__})
    except KeyError as missing:
        raise TrainingError(
            f"the training process sent no {missing} in its metrics", remedy=_REPORT
        ) from None


def _model(manifest: Manifest, weights: Path, data: Path) -> dict[str, Any]:
    return {
        "recipe": manifest.recipe,
        "architecture": dict(manifest.architecture),
        "weights": str(weights.absolute()),
        "data": str(data.absolute()),
    }


def round_options(training: TrainingConfig, round_: int, member: str | int) -> Options:
    """The round's options; the seed follows from the job's seed, the round and the member."""
    text = f"{training.seed}/{round_}/{member}"
    return Options(
        local_epochs=training.local_epochs,
        batch_size=training.batch_size,
        optimizer=training.optimizer,
        learning_rate=float(training.learning_rate) * float(training.round_decay) ** (round_ - 1),
        schedule=training.schedule,
        momentum=float(training.momentum),
        weight_decay=float(training.weight_decay),
        clip_norm=float(training.clip_norm),
        max_rows=training.max_rows,
        seed=int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big"),
    )
