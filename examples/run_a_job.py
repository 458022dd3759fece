"""Create, join and run a job of two workers and an aggregator on a development chain, from Python."""

import asyncio
import tempfile
from pathlib import Path

import numpy as np

import steelyard as sy

UNIT = 10**18  # of the test token


async def run_job(dev: sy.DevNetwork, folder: Path) -> int:
    """All files go below `folder`; returns the job's number."""
    for shard in range(2):  # the label says whether one pixel is bright
        images = np.random.default_rng(shard).integers(0, 256, (100, 1, 28, 28), dtype=np.uint8)
        sy.write_rows(folder / f"shard-{shard}.safetensors", sy.Rows(images, images[:, 0, 9, 9] // 128))
    data, terms = sy.DataSection(source=str(folder)), sy.TermsSection(rounds=2, challenge_window=2)
    description = sy.JobDescription(name="Bright pixels", data=data, terms=terms)
    sponsor = dev.participant(folder / "sponsor")
    async with sponsor.open_store(serve=True) as store, sponsor.session() as session:
        job = (await sy.create_job(session, store, description, scratch=sponsor.folder)).job
        ann, ben, agg = (dev.participant(folder / name, store.url) for name in ("ann", "ben", "agg"))
        for worker in (ann, ben):
            async with worker.session() as own:
                await sy.register_worker(own, stake_units=100 * UNIT)
                await sy.join_job(own, store, job)
        async with agg.session() as own:
            await sy.register_aggregator(own, 500 * UNIT)
        nodes = [ann.node(job, "worker"), ben.node(job, "worker"), agg.node(job, "aggregator")]
        await asyncio.gather(*(node.start() for node in nodes))
        await sy.control_job(session, job, "start")
        print("the nodes ended:", [(await node.wait()).status for node in nodes])
    return job


if __name__ == "__main__":
    with sy.dev_network() as network, tempfile.TemporaryDirectory() as name:
        asyncio.run(run_job(network, Path(name)))
