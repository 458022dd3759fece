"""A member's own data: looked at before it is joined or trained with, as far as it is here to look at."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from steelyard.cli.session import Session
from steelyard.cli.stores import fetching_only
from steelyard.content import Cid, make_store
from steelyard.errors import ConfigError, FormatError, TrainingError
from steelyard.jobs.manifest import Manifest
from steelyard.learning.data import read_rows
from steelyard.learning.job_setup import check_rows

MOST_BYTES = 1 << 40


async def check_published(session: Session, manifest: Manifest, data: str) -> Cid:
    """The CID of published rows. Raises ConfigError where they are held here and do not fit the job."""
    cid = Cid.parse(data)
    out = session.out
    with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
        async with make_store(fetching_only(session.config)) as store:
            if not await store.has(cid):
                out.say(
                    f"{data} is not in this home's store: it is not looked at, and others have to hand it out"
                )
                return cid
            path = await store.get(cid, Path(scratch) / "rows", max_bytes=MOST_BYTES, timeout_s=60.0)
        try:
            rows = await asyncio.to_thread(read_rows, path)
        except FormatError:
            out.say(f"{data} holds no rows that can be read as they are: they are not compared with the job")
            return cid
        try:
            check_rows(manifest, rows)
        except TrainingError as error:
            raise ConfigError(f"{data}: {error.message}", remedy=error.remedy) from error
    return cid


def check_file(path: Path | None) -> Path | None:
    """The data file that stays at home. Raises ConfigError without one, FormatError for another file."""
    if path is None:
        return None
    if not path.is_file():
        raise ConfigError(
            f"there is no file {path}",
            remedy="give a shard-N.safetensors of `steelyard data publish --at-home`",
        )
    read_rows(path)
    return path.absolute()
