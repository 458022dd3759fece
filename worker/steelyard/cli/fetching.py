"""A client, a store that only fetches, and a scratch folder: for commands that look at published files."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from steelyard.cli.context import ChainSession, work
from steelyard.cli.jobs.history import terms_of
from steelyard.cli.stores import fetching_only
from steelyard.content import EmbeddedStore, make_store


@asynccontextmanager
async def fetching(job: int) -> AsyncIterator[tuple[ChainSession, EmbeddedStore, Path]]:
    """For one job.  Raises ConfigError where there is no such job."""
    async with work() as at:
        await terms_of(at.client, job)
        with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
            async with make_store(fetching_only(at.session.config)) as store:
                yield at, store, Path(scratch)
