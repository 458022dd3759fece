"""From a source to a trained round, as a sponsor and a worker do it, but without a chain."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.content import Cid, EmbeddedStore, StoreConfig
from steelyard.jobs.data_manifest import DataManifest
from steelyard.jobs.manifest import Manifest
from steelyard.learning.data import Rows, read_rows
from steelyard.learning.loaders import SourceOptions
from steelyard.learning.trainer import EvalMetrics, Trainer, TrainMetrics
from steelyard.operations.description import JobDescription
from steelyard.operations.publishing import publish_job
from steelyard.operations.shards import ShardRequest, describe_shards, store_shards, write_shards


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The published data, the job, and the metrics of its first round."""

    data: DataManifest
    job: Manifest
    shards: list[Rows]
    test: Rows | None
    trained: TrainMetrics
    before: EvalMetrics  # on the first shard
    after: EvalMetrics

    @property
    def labels(self) -> Counter[str]:
        """Rows of each label in all files together, counted in the files."""
        found: Counter[str] = Counter()
        for rows in (*self.shards, *([self.test] if self.test else [])):
            found.update(self.data.labels[int(label)] for label in rows.labels)
        return found

    def pixels(self) -> list[bytes]:
        """Every row's input, sorted."""
        files = (*self.shards, *([self.test] if self.test else []))
        return sorted(np.asarray(row).tobytes() for rows in files for row in rows.inputs)


async def trial(
    where: Path | str,
    folder: Path,
    trainer: Trainer,
    *,
    shards: int = 2,
    partition: str = "dirichlet:5",
    **options: Any,
) -> Trial:
    """Publish into a store, make a job of it, fetch its shards by CID, train one round on the first."""
    out, fetched = folder / "out", folder / "fetched"
    for place in (out, fetched, folder / "job"):
        place.mkdir()
    request = ShardRequest(
        where=str(where), options=SourceOptions(**options), shards=shards, partition=partition
    )
    async with EmbeddedStore(StoreConfig(root=folder / "store", serve=False, exchange=False)) as store:
        made = write_shards(request, out)
        data = describe_shards(request, made, made.shards, made.test)
        files = [file.path for file in (*made.shards, *([made.test] if made.test else []))]
        await store_shards(store, data, out, files)
        job = (await publish_job(JobDescription.read(out), store, folder / "job")).manifest

        async def get(cid: str) -> Path:
            return await store.get(Cid.parse(cid), fetched / cid, max_bytes=1 << 30, timeout_s=60)

        paths = [await get(shard.cid) for shard in job.shards]
        test = read_rows(await get(job.test.cid)) if job.test else None
        state, local = await get(job.initial.cid), folder / "local"
        before = await trainer.evaluate(job, state=state, data=paths[0], deadline_s=60)
        trained = await trainer.train(
            job, state=state, data=paths[0], out=local, round_=1, member="ann", deadline_s=60
        )
        after = await trainer.evaluate(job, state=local, data=paths[0], deadline_s=60)
    return Trial(
        data=data, job=job, shards=[read_rows(path) for path in paths], test=test,
        trained=trained, before=before, after=after,
    )  # fmt: skip


def assert_learned(done: Trial) -> None:
    """Check that the round trained on its rows and that the loss fell."""
    assert done.trained.rows > 0
    assert done.after.loss < done.before.loss
    assert done.after.rows == len(done.shards[0]) == done.data.shards[0].rows
    assert [shard.weight for shard in done.job.shards] == [len(rows) for rows in done.shards]
    for part, rows in zip(done.data.shards, done.shards, strict=True):
        assert list(part.counts) == np.bincount(rows.labels, minlength=len(done.data.labels)).tolist()
