"""A member's own data, checked before joining or training as far as it can be read here."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from steelyard.content import Cid, ContentStore
from steelyard.errors import ConfigError, FormatError, TrainingError
from steelyard.jobs.manifest import Manifest
from steelyard.learning.data import read_rows
from steelyard.learning.job_setup import check_rows
from steelyard.operations.chain_session import ProgressCallback, no_progress

MAX_BYTES = 1 << 40
LOCAL_S = 60.0  # to read what the store holds


async def check_published_rows(
    store: ContentStore, manifest: Manifest, cid: Cid, *, progress: ProgressCallback = no_progress
) -> None:
    """Raise ConfigError if the store holds these rows and they do not fit the job.

    Rows that are not in the store, or cannot be read, are not checked; the progress callback is told so.
    """
    with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
        if not await store.has(cid):
            progress(f"{cid} is not in this home's store: it is not checked, and others have to serve it")
            return
        path = await store.get(cid, Path(scratch) / "rows", max_bytes=MAX_BYTES, timeout_s=LOCAL_S)
        try:
            rows = await asyncio.to_thread(read_rows, path)
        except FormatError:
            progress(f"{cid} holds no readable rows: they are not compared with the job")
            return
        try:
            check_rows(manifest, rows)
        except TrainingError as error:
            raise ConfigError(f"{cid}: {error.message}", remedy=error.remedy) from error


def check_data_file(path: Path | None) -> Path | None:
    """The absolute path of a data file that stays at home; None stays None.

    Raises ConfigError if there is no such file, FormatError if it is not a data file.
    """
    if path is None:
        return None
    if not path.is_file():
        raise ConfigError(
            f"there is no file {path}",
            remedy="give a shard-N.safetensors of `steelyard data publish --at-home`",
        )
    read_rows(path)
    return path.absolute()
