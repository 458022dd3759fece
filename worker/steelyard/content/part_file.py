"""A file being fetched: written leaf by leaf, in any order, each leaf checked first."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Self

from steelyard.content.disk import disk_errors
from steelyard.content.layout import LEAF_BYTES, Layout


class PartFile:
    """The growing file. `put` may come from any thread; after `__exit__` it does nothing."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        self._layout = layout
        self._lock = threading.Lock()
        with disk_errors(path):
            self._fresh = not path.exists() or path.stat().st_size == 0
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.ftruncate(self._fd, layout.size)
            except OSError:
                os.close(self._fd)
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def missing(self) -> list[int]:
        """The leaves that are not in the file yet: an interrupted fetch resumes with these."""
        return [i for i in range(len(self._layout)) if self._fresh or not self._present(i)]

    def put(self, index: int, data: bytes | bytearray | memoryview) -> bool:
        """Write leaf `index` if it matches its digest. Returns False if it does not."""
        if hashlib.sha256(data).digest() != self._layout.leaf(index):
            return False
        with self._lock, disk_errors(self._path):
            view, position = memoryview(data), index * LEAF_BYTES
            while view and self._fd >= 0:
                written = os.pwrite(self._fd, view, position)
                view, position = view[written:], position + written
        return True

    def _present(self, index: int) -> bool:
        data = os.pread(self._fd, self._layout.leaf_size(index), index * LEAF_BYTES)
        return hashlib.sha256(data).digest() == self._layout.leaf(index)
