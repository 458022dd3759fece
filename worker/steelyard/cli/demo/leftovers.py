"""A demo's folder, and leftovers of killed demos: folders, and pins in the user's IPFS daemon.

A folder is locked while its demo or one of its nodes lives. The ledger of each store in it lists what the
store added to the daemon, so nothing else is ever removed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from steelyard.content import StoreConfig
from steelyard.content.kubo.address import DaemonAddress
from steelyard.errors import ContentError
from steelyard.util.file_lock import open_lock, try_lock_file, wait_lock_file

_PREFIX = "steelyard-demo-"
_LOCK, _DAEMON = "running", "ipfs-daemon"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DemoFolder:
    """The folder of one demo."""

    path: Path
    lock: int  # file descriptor; nodes inherit it


@contextmanager
def own_folder(daemon: DaemonAddress | None) -> Iterator[DemoFolder]:
    """A new folder, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = open_lock(path / _LOCK)
    try:
        wait_lock_file(lock)
        (path / _DAEMON).write_text(daemon.url if daemon else "")
        yield DemoFolder(path=path, lock=lock)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


async def sweep(daemon: DaemonAddress | None) -> int:
    """Remove leftovers of killed demos here and in this daemon; returns the number of demos."""
    found = 0
    for path in await asyncio.to_thread(lambda: sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"))):
        with _locked(path) as left, suppress(OSError):
            place = (path / _DAEMON).read_text() if left else None
            if place == "" or (place is not None and daemon is not None and place == daemon.url):
                if place and daemon is not None and not await clear_daemon(daemon, path):
                    continue
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
                found += 1
    return found


async def clear_daemon(daemon: DaemonAddress | None, folder: Path) -> bool:
    """Remove from the user's IPFS daemon what a demo added; False if that failed."""
    if daemon is None:
        return True
    from steelyard.content.kubo.store import KuboStore

    for root in await asyncio.to_thread(lambda: sorted(folder.glob("*/content"))):
        config = StoreConfig(root=root, serve=False, exchange=False, ipfs=daemon.url, ipfs_auth=daemon.auth)
        try:
            async with KuboStore(config) as store:
                await store.clear()
        except ContentError as error:
            log.warning("pins named steelyard stay in the IPFS daemon: %s", error)
            return False
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """True if the folder is this user's and not in use; it is locked within the context."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(folder)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # another user's, not of a demo, or removed in the meantime
        yield False
        return
    try:
        yield try_lock_file(lock)
    finally:
        os.close(lock)
