"""Advisory locks on files, across processes. The system frees one when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

__all__ = ["open_lock", "try_lock_file", "wait_lock_file"]


def open_lock(path: Path, mode: int = 0o600) -> int:
    """Open a lock file, created if it is missing. Returns its descriptor, not locked. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)


def try_lock_file(descriptor: int) -> bool:
    """Lock an open file against all other openings, without waiting; False if another one has the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_lock_file(descriptor: int) -> None:
    """Lock an open file against all other openings, and wait for it without limit."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
