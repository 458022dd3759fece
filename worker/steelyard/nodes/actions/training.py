"""A worker's training: from a parent to an update file, with error feedback by opening; tests of models."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from steelyard.content import Cid
from steelyard.core.encodings import Encoding
from steelyard.core.files import WrittenUpdate, encode_update
from steelyard.errors import NodeError
from steelyard.jobs.manifest import Manifest
from steelyard.learning.trainer import EvalMetrics, TrainingProgress, TrainMetrics
from steelyard.nodes.actions.types import Evaluate, Train
from steelyard.nodes.context import NodeContext
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.job_info import fetch
from steelyard.nodes.private_rows import PrivateRows
from steelyard.nodes.state.local import RebuiltResult
from steelyard.nodes.state.view import MemberSeat, Opening

PROGRESS_S = 0.5  # between reports of a training's progress
MARGIN = 0.05  # of the submit window that is left for writing and sending the update


class TrainerLike(Protocol):
    """What a worker asks of its training process."""

    progress: TrainingProgress | None

    async def start(self) -> None:
        """Be ready."""

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
        """Write the local model, quantized, as a state file."""

    async def evaluate(
        self, manifest: Manifest, *, state: Path, data: Path, deadline_s: float
    ) -> EvalMetrics:
        """Test a model."""

    async def close(self) -> None:
        """End."""


def seat_of(desk: NodeContext) -> MemberSeat:
    """The node's own seat. Raises NodeError where it has none."""
    seat = desk.view.seats.get(desk.local.identity)
    if seat is None:
        raise NodeError("this account has no seat in the job", remedy="`steelyard job join` first")
    return seat


def own_update(desk: NodeContext, serial: int) -> Path:
    """Where the node's own update for an opening is."""
    return desk.folder / "own" / f"{serial}.update"


class TrainingActions:
    """One worker's training in one job, and the files that it leaves."""

    def __init__(self, desk: NodeContext, trainer: TrainerLike) -> None:
        self._desk, self._trainer = desk, trainer
        self.private = PrivateRows(desk)
        for name in ("own", "kept", "local", "data"):
            (desk.folder / name).mkdir(parents=True, exist_ok=True)
        for intent in desk.journal.intents("update:"):
            serial = int(intent.body["serial"])
            if own_update(desk, serial).exists():
                desk.local.prepared.add(serial)

    async def train(self, action: Train) -> None:
        """Train, write the update, and journal it with what error feedback it leaves."""
        desk, opening = self._desk, self._desk.opening(action.serial)
        parent = desk.local.rebuilt.get(opening.parent) or desk.local.ahead[opening.parent]
        local = await self._trained(opening, parent)
        written, cid = await self._encode(opening, parent, local)
        sealed = desk.info.seal(opening.serial, desk.local.identity, written.update_root)
        body = {
            "serial": opening.serial,
            "parent": opening.parent.hex(),
            "sealed": sealed.hex(),
            "cid": str(cid),
            "bytes": written.size,
        }
        desk.journal.write(f"update:{opening.serial}", body)
        desk.local.prepared.add(opening.serial)

    async def _trained(self, opening: Opening, parent: RebuiltResult) -> Path:
        """The local model: trained now, or before for an opening of the same round on the same parent."""
        desk = self._desk
        out = desk.folder / "local" / f"{opening.number}-{parent.id.hex()[:16]}.state"
        if out.exists() or parent.state is None:
            return out
        data = await self._rows()
        left = opening.submit_by - await desk.client.chain_time() - MARGIN * desk.info.terms.submit_window
        desk.report.say("training", serial=opening.serial, round_=opening.number)
        watch = asyncio.create_task(self._tell_progress(opening))
        try:
            metrics = await self._trainer.train(
                desk.info.manifest,
                state=parent.state,
                data=data,
                out=out,
                round_=opening.number,
                member=desk.local.identity,
                deadline_s=min(max(left, 1.0), desk.config.train_s),
            )
        finally:
            watch.cancel()
        crashpoint("train.after")
        desk.report.say(
            "trained",
            serial=opening.serial,
            round_=opening.number,
            seconds=round(metrics.seconds, 3),
            steps=metrics.steps,
            rows=metrics.rows,
            loss=metrics.loss,
        )
        return out

    async def _tell_progress(self, opening: Opening) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            now = self._trainer.progress
            if now is not None:
                self._desk.report.say(
                    "progress",
                    serial=opening.serial,
                    round_=opening.number,
                    step=now.step,
                    steps=now.steps,
                    loss=now.loss,
                )

    async def _rows(self) -> Path:
        """This member's data. Raises NodeError where there is none, ContentError where nobody has it."""
        desk, seat = self._desk, seat_of(self._desk)
        if desk.config.data is not None:
            return desk.config.data
        return await self.private.of(seat)

    async def _encode(
        self, opening: Opening, parent: RebuiltResult, local: Path
    ) -> tuple[WrittenUpdate, Cid]:
        desk, step = self._desk, self._desk.info.step
        if parent.state is None:
            raise NodeError(f"there is no state to train on: {parent.why}", remedy="wait for another result")
        path, lossy = own_update(self._desk, opening.serial), step.encoding is not Encoding.RAW32
        written = await asyncio.to_thread(
            encode_update,
            path,
            encoding=step.encoding,
            job=desk.info.job,
            serial=opening.serial,
            block_count=step.block_count,
            local=local,
            base=parent.state,
            kept=self._kept_before(opening.serial),
            new_kept=self._kept(opening.serial) if lossy else None,
        )
        return written, await desk.store.cid_of(path)

    def _kept_before(self, serial: int) -> Path | None:
        """What the last update on the way to this opening left; void rounds are not on the way."""
        for ancestor in self._desk.view.ancestors(serial):
            mine = ancestor.submissions.get(seat_of(self._desk).slot)
            path = self._kept(ancestor.serial)
            if mine is not None and mine.worker == self._desk.local.identity and path.exists():
                return path
        return None

    async def evaluate(self, action: Evaluate) -> None:
        """Test a rebuilt model on the manifest's test rows."""
        desk, rebuilt = self._desk, self._desk.local.rebuilt[action.id]
        test = desk.info.manifest.test
        if test is None or rebuilt.state is None:
            desk.local.evaluated.add(action.id)
            return
        cid = Cid.parse(test.cid)
        path = desk.folder / "data" / test.cid
        data = await fetch(
            desk.store,
            cid,
            path,
            max_bytes=test.size,
            timeout_s=desk.fetch_s,
            pin_until=desk.info.unsettled_until,
        )
        got = await self._trainer.evaluate(
            desk.info.manifest, state=rebuilt.state, data=data, deadline_s=desk.config.train_s
        )
        desk.local.evaluated.add(action.id)
        post = desk.view.posts.get(action.id)
        desk.report.say(
            "evaluated",
            serial=post.serial if post else 0,
            round_=post.number if post else 0,
            id="0x" + action.id.hex(),
            accuracy=got.accuracy,
            loss=got.loss,
            rows=got.rows,
            seconds=round(got.seconds, 3),
        )

    def drop_before(self, serial: int) -> None:
        """Remove own files of openings before `serial`, but the error feedback that the next update needs."""
        desk = self._desk
        finals = [post.serial for post in desk.view.final_posts() if self._kept(post.serial).exists()]
        keep_from = min(serial, max(finals, default=0))
        for folder, first in (("own", serial), ("kept", keep_from)):
            for path in (desk.folder / folder).iterdir():
                if path.stem.isdigit() and int(path.stem) < first:
                    path.unlink(missing_ok=True)
        opening = desk.view.openings.get(serial)
        for path in (desk.folder / "local").iterdir():
            number = path.name.partition("-")[0]
            if opening is not None and number.isdigit() and int(number) < opening.number:
                path.unlink(missing_ok=True)

    def _kept(self, serial: int) -> Path:
        return self._desk.folder / "kept" / f"{serial}.state"
