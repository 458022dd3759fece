"""The sponsor's side of the demo: it mirrors posted files, and evaluates each model on the test rows."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.cli.demo.progress import DemoProgress
from steelyard.content import FOREVER, Cid, ContentStore
from steelyard.errors import ContentError, TrainingError
from steelyard.jobs.manifest import Manifest
from steelyard.learning.trainer import Trainer, TrainerSettings

FETCH_S = 30.0
MAX_BYTES = 1 << 24
TEST_S = 60.0
NICE = 10  # training has priority


@dataclass(kw_only=True)
class Tester:
    """Tests posted models, one after the other; pins every update and result in the sponsor's store."""

    store: ContentStore
    folder: Path
    progress: DemoProgress
    trainer: Trainer
    sizes: dict[str, int] = field(default_factory=dict)  # bytes by CID
    _wanted: asyncio.Queue[tuple[int, str, str]] = field(default_factory=asyncio.Queue)
    _fetching: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    def of(cls, store: ContentStore, folder: Path, progress: DemoProgress) -> Tester:
        """With its own folder and training process."""
        trainer = Trainer(folder / "testing", TrainerSettings(nice=NICE))
        return cls(store=store, folder=folder / "tested", progress=progress, trainer=trainer)

    def mirror(self, cid: str) -> None:
        """Fetch a public file and pin it: nodes release those of settled rounds."""
        task = asyncio.create_task(self._mirror(cid))
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    def want(self, round_: int, result: str, cid: str) -> None:
        """Test a posted model when there is time."""
        self._wanted.put_nowait((round_, result, cid))

    async def run(self, manifest: Manifest, test: Path) -> None:
        """Test the queued models, forever; results that became void are skipped."""
        while True:
            number, result, cid = await self._wanted.get()
            progress = self.progress.rounds[number]
            if progress.result == result:
                with contextlib.suppress(ContentError, TrainingError):
                    state = await self._get(cid)
                    found = await self.trainer.evaluate(manifest, state=state, data=test, deadline_s=TEST_S)
                    if progress.result == result:
                        progress.accuracy = found.accuracy
            self._wanted.task_done()

    async def settled(self) -> None:
        """Wait until everything is mirrored and tested."""
        await self._wanted.join()
        await asyncio.gather(*self._fetching, return_exceptions=True)

    async def close(self) -> None:
        """End the training process and what is being fetched."""
        for task in self._fetching:
            task.cancel()
        await self.trainer.close()

    async def _mirror(self, cid: str) -> None:
        with contextlib.suppress(ContentError):
            await self._get(cid)

    async def _get(self, cid: str) -> Path:
        path = self.folder / cid
        if cid not in self.sizes:
            self.folder.mkdir(exist_ok=True)
            await self.store.get(
                Cid.parse(cid), path, max_bytes=MAX_BYTES, timeout_s=FETCH_S, provide=True, pin_until=FOREVER
            )
            self.sizes[cid] = path.stat().st_size
        return path
