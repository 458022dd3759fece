"""One lock per key, across processes: its holder assigns nonces and broadcasts."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from types import TracebackType

from steelyard.errors import ChainError
from steelyard.util.file_lock import open_lock, try_lock_file


class KeyLock:
    """An advisory file lock; the operating system releases it if its holder dies.

    Tasks of one process queue on an asyncio lock first, so that only processes compete for the file.
    """

    def __init__(self, path: Path, *, patience_s: float) -> None:
        self.path = path
        self.patience_s = patience_s
        self._tasks = asyncio.Lock()
        self._descriptor = -1

    async def __aenter__(self) -> None:
        await self._tasks.acquire()
        try:
            await self._acquire()
        except BaseException:
            self._tasks.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        self._tasks.release()

    async def _acquire(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = open_lock(self.path)
        except OSError as error:
            raise ChainError(
                f"the key lock {self.path} cannot be opened: {error.strerror}",
                remedy="free disk space, or make the folder writable; nothing was sent",
            ) from error
        until = time.monotonic() + self.patience_s
        pause = 0.001
        while True:
            try:
                if try_lock_file(descriptor):
                    break
                if time.monotonic() > until:
                    holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                    raise ChainError(
                        f"process {holder} has held the key lock {self.path} for {self.patience_s:g} s",
                        remedy="wait for it, or end it",
                    )
                await asyncio.sleep(pause)
            except BaseException:
                os.close(descriptor)
                raise
            pause = min(pause * 1.5, 0.02)
        os.pwrite(descriptor, f"{os.getpid():<20}".encode(), 0)
        self._descriptor = descriptor
