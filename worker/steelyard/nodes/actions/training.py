"""A worker's training, from a parent state to an update file, with error feedback; evaluation of models.

The residual of an update (what its quantisation lost) is stored per opening, in the folder `kept`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from steelyard.content import Cid
from steelyard.core.update_writer import WrittenUpdate, encode_update
from steelyard.errors import NodeError
from steelyard.jobs.manifest import DataFile, Manifest
from steelyard.learning.trainer import EvalMetrics, TrainingProgress, TrainMetrics
from steelyard.nodes.actions.dispatch import Handlers
from steelyard.nodes.context import NodeContext
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.decisions.actions import Evaluate, Train
from steelyard.nodes.job_info import fetch
from steelyard.nodes.private_rows import PrivateRows
from steelyard.nodes.state.local import RebuiltResult
from steelyard.nodes.state.view import MemberSeat, Opening

PROGRESS_S = 0.5  # seconds between progress reports
MARGIN = 0.05  # fraction of the submit window that is reserved for writing and sending the update


class TrainerLike(Protocol):
    """The interface of the training process."""

    progress: TrainingProgress | None

    async def start(self) -> None:
        """Start the process."""

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
        """Train from `state` on `data` and write the quantized local model to `out`, a state file."""

    async def evaluate(
        self, manifest: Manifest, *, state: Path, data: Path, deadline_s: float
    ) -> EvalMetrics:
        """Measure a model on test rows."""

    async def close(self) -> None:
        """Stop the process."""


def seat_of(context: NodeContext) -> MemberSeat:
    """The node's own seat. Raises NodeError if it has none."""
    seat = context.view.seats.get(context.local.identity)
    if seat is None:
        raise NodeError("this account has no seat in the job", remedy="run `steelyard job join` first")
    return seat


def own_update(context: NodeContext, serial: int) -> Path:
    """Path of the node's own update for an opening."""
    return context.folder / "own" / f"{serial}.update"


class TrainingActions:
    """One worker's training and evaluation in one job, and their files."""

    def __init__(self, context: NodeContext, trainer: TrainerLike) -> None:
        self._context, self._trainer = context, trainer
        self.private = PrivateRows(context)
        for name in ("own", "kept", "local", "data"):
            (context.folder / name).mkdir(parents=True, exist_ok=True)
        for intent in context.journal.intents("update:"):
            serial = int(intent.body["serial"])
            if own_update(context, serial).exists():
                context.local.prepared.add(serial)

    def handlers(self) -> Handlers:
        """The method for each action type."""
        return {Train: self.train, Evaluate: self.evaluate}

    async def train(self, action: Train) -> None:
        """Train, write the update and its residual, and journal the update."""
        context, opening = self._context, self._context.opening(action.serial)
        parent = context.local.rebuilt.get(opening.parent) or context.local.prefetched[opening.parent]
        local = await self._trained(opening, parent)
        written, cid = await self._encode(opening, parent, local)
        sealed_root = context.info.seal(opening.serial, context.local.identity, written.update_root)
        body = {
            "serial": opening.serial,
            "parent": opening.parent.hex(),
            "sealed": sealed_root.hex(),
            "cid": str(cid),
            "bytes": written.size,
        }
        context.journal.write(f"update:{opening.serial}", body)
        context.local.prepared.add(opening.serial)

    async def _trained(self, opening: Opening, parent: RebuiltResult) -> Path:
        """Path of the local model; that of an earlier opening of the same round and parent is reused."""
        context = self._context
        out = context.folder / "local" / f"{opening.number}-{parent.id.hex()[:16]}.state"
        if out.exists() or parent.state is None:
            return out
        data, deadline_s = await self._rows(), await self._training_time(opening)
        context.report.emit("training", serial=opening.serial, round_=opening.number)
        progress = asyncio.create_task(self._report_progress(opening))
        try:
            metrics = await self._trainer.train(
                context.info.manifest,
                state=parent.state,
                data=data,
                out=out,
                round_=opening.number,
                member=context.local.identity,
                deadline_s=deadline_s,
            )
        finally:
            progress.cancel()
        crashpoint("train.after")
        context.report.emit(
            "trained",
            serial=opening.serial,
            round_=opening.number,
            seconds=round(metrics.seconds, 3),
            steps=metrics.steps,
            rows=metrics.rows,
            loss=metrics.loss,
        )
        return out

    async def _training_time(self, opening: Opening) -> float:
        """Seconds that a training may take."""
        context = self._context
        deadline = opening.submit_by - MARGIN * context.info.terms.submit_window
        left = deadline - await context.client.chain_time()
        return min(max(left, 1.0), context.config.train_s)

    async def _report_progress(self, opening: Opening) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            now = self._trainer.progress
            if now is not None:
                self._context.report.emit(
                    "progress",
                    serial=opening.serial,
                    round_=opening.number,
                    step=now.step,
                    steps=now.steps,
                    loss=now.loss,
                )

    async def _rows(self) -> Path:
        """This member's rows. Raises NodeError if it has none, ContentError if no peer serves them."""
        context, seat = self._context, seat_of(self._context)
        if context.config.data is not None:
            return context.config.data
        return await self.private.path_for(seat)

    async def _encode(
        self, opening: Opening, parent: RebuiltResult, local: Path
    ) -> tuple[WrittenUpdate, Cid]:
        context, step = self._context, self._context.info.step
        if parent.state is None:
            raise NodeError(
                f"the parent result 0x{opening.parent.hex()[:16]} has no state to train on: {parent.why}",
                remedy="wait for another result",
            )
        path, lossy = own_update(context, opening.serial), not step.encoding.spec.lossless
        written = await asyncio.to_thread(
            encode_update,
            path,
            encoding=step.encoding,
            job=context.info.job,
            serial=opening.serial,
            block_count=step.block_count,
            local=local,
            base=parent.state,
            residual=self._previous_residual(opening.serial),
            new_residual=self._residual(opening.serial) if lossy else None,
        )
        return written, await context.store.cid_of(path)

    def _previous_residual(self, serial: int) -> Path | None:
        """Residual of the last own update that this opening builds on; None if there is none."""
        for ancestor in self._context.view.ancestors(serial):
            mine = ancestor.submissions.get(seat_of(self._context).slot)
            path = self._residual(ancestor.serial)
            if mine is not None and mine.worker == self._context.local.identity and path.exists():
                return path
        return None

    async def evaluate(self, action: Evaluate) -> None:
        """Measure a rebuilt model on the manifest's test rows."""
        context, rebuilt = self._context, self._context.local.rebuilt[action.id]
        test = context.info.manifest.test
        if test is None or rebuilt.state is None:
            context.local.evaluated.add(action.id)
            return
        data = await self._test_rows(test)
        got = await self._trainer.evaluate(
            context.info.manifest, state=rebuilt.state, data=data, deadline_s=context.config.train_s
        )
        context.local.evaluated.add(action.id)
        post = context.view.posts.get(action.id)
        context.report.emit(
            "evaluated",
            serial=post.serial if post else 0,
            round_=post.number if post else 0,
            id="0x" + action.id.hex(),
            accuracy=got.accuracy,
            loss=got.loss,
            rows=got.rows,
            seconds=round(got.seconds, 3),
        )

    async def _test_rows(self, test: DataFile) -> Path:
        context = self._context
        return await fetch(
            context.store,
            Cid.parse(test.cid),
            context.folder / "data" / test.cid,
            max_bytes=test.size,
            timeout_s=context.fetch_s,
            pin_until=context.info.unsettled_until,
        )

    def drop_before(self, serial: int) -> None:
        """Remove own files of openings before `serial`, except the residual that the next update needs."""
        context = self._context
        finals = [post.serial for post in context.view.final_posts() if self._residual(post.serial).exists()]
        first_residual = min(serial, max(finals, default=0))
        for folder, first in (("own", serial), ("kept", first_residual)):
            for path in (context.folder / folder).iterdir():
                if path.stem.isdigit() and int(path.stem) < first:
                    path.unlink(missing_ok=True)
        opening = context.view.openings.get(serial)
        for path in (context.folder / "local").iterdir():
            number = path.name.partition("-")[0]
            if opening is not None and number.isdigit() and int(number) < opening.number:
                path.unlink(missing_ok=True)

    def _residual(self, serial: int) -> Path:
        return self._context.folder / "kept" / f"{serial}.state"
