"""The embedded store's folder: whole files by CID, and parts of files that are being fetched.

A file becomes visible by one rename, when every byte of it has been checked.

    files/ab/bafk...      whole files, "ab" being the CID's last two characters
    parts/bafk...         files being fetched
    locks/bafk...         held by the process that fetches
    tmp/                  files being hashed before they have a name
    index.sqlite          see index.py
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.content.layout import LEAF_BYTES, Layout, read_layout
from steelyard.core.cid import Cid
from steelyard.errors import CidError, ContentCorrupt, ContentError, ContentMissing, DiskFull
from steelyard.util.file_lock import open_lock, try_lock_file

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP}
_FREE_MARGIN = 8 * 1024 * 1024  # bytes left free, so that journals and databases beside the store go on


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk into DiskFull and any other failure of the file system into ContentError."""
    try:
        yield
    except FileNotFoundError as error:
        raise ContentMissing(f"no file {error.filename or path}", remedy="check the path") from error
    except OSError as error:
        if error.errno in _FULL:
            message = f"no room to write {path} ({error.strerror})"
            raise DiskFull(message, remedy="free disk space or raise the quota; nothing was lost") from error
        raise ContentError(f"cannot use {path} ({error})", remedy="check path and permissions") from error


class StoreFolder:
    """The paths of one store folder and the moves between them. Every method blocks on the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tmp = root / "tmp"
        with disk_errors(root):
            for name in ("files", "parts", "locks", "tmp"):
                (root / name).mkdir(parents=True, exist_ok=True)

    def file(self, cid: Cid) -> Path:
        """Path of the whole file `cid`."""
        text = str(cid)
        return self.root / "files" / text[-2:] / text

    def part(self, cid: Cid) -> Path:
        """Path of the part file of `cid` during its fetch."""
        return self.root / "parts" / str(cid)

    @contextmanager
    def import_file(self, source: Path) -> Iterator[Path]:
        """A private name in the store for the bytes of `source`: a hard link where possible, else a copy."""
        private = self._tmp / uuid.uuid4().hex
        with disk_errors(self.root):
            if not stat.S_ISREG(source.lstat().st_mode):
                raise ContentError(
                    f"{source} is not a regular file", remedy="give the file itself, not a link"
                )
            try:
                _link_or_copy(source, private)
                yield private
            finally:
                private.unlink(missing_ok=True)

    @contextmanager
    def import_bytes(self, data: bytes) -> Iterator[Path]:
        """A private file with `data` in it."""
        private = self._tmp / uuid.uuid4().hex
        with disk_errors(private):
            try:
                private.write_bytes(data)
                yield private
            finally:
                private.unlink(missing_ok=True)

    def commit(self, private: Path, cid: Cid) -> None:
        """Make a checked file visible under its CID, replacing any earlier file."""
        target = self.file(cid)
        with disk_errors(target):
            target.parent.mkdir(exist_ok=True)
            private.replace(target)

    def export(self, cid: Cid, dest: Path) -> None:
        """Put a held file at `dest`, whole or not at all: a hard link where possible, else a copy."""
        beside = dest.with_name(f".{dest.name[:100]}.{uuid.uuid4().hex[:8]}")
        with disk_errors(dest):
            dest.parent.mkdir(parents=True, exist_ok=True)
            try:
                _link_or_copy(self.file(cid), beside)
                # A rename between two links to one file does nothing and leaves both links.
                beside.replace(dest)
            finally:
                beside.unlink(missing_ok=True)

    def remove(self, cid: Cid) -> None:
        """Delete a file of the store."""
        with disk_errors(self.file(cid)):
            self.file(cid).unlink(missing_ok=True)

    def sweep(self, older_than: float) -> int:
        """Delete leftovers of killed processes: parts and temporary files last touched before a Unix time.

        Returns the bytes freed.
        """
        freed = 0
        for path in (*self._tmp.iterdir(), *(self.root / "parts").iterdir()):
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                if found.st_mtime >= older_than:
                    continue
                with try_lock(self.lock(path)) as mine:
                    if mine:
                        path.unlink(missing_ok=True)
                        freed += found.st_size
        return freed

    def lock(self, part: Path) -> Path:
        """The lock file of a part."""
        return self.root / "locks" / part.name

    def whole_files(self) -> Iterator[tuple[Path, Cid]]:
        """All files by the CIDs that they are named after."""
        for path in sorted((self.root / "files").glob("??/*")):
            with contextlib.suppress(CidError):
                yield path, Cid.parse(path.name)

    def need_room(self, size: int, part: Path | None = None) -> None:
        """Raise DiskFull if `size` bytes do not fit beside what `part` has of them already."""
        free = shutil.disk_usage(self.root).free
        with contextlib.suppress(FileNotFoundError):
            size -= 0 if part is None else part.stat().st_blocks * 512
        if size + _FREE_MARGIN > free:
            raise DiskFull(
                f"no room for {size} bytes in {self.root} ({free} bytes free)",
                remedy="free disk space, run `steelyard content gc` or move the store",
            )


def make_folder(folder: Path) -> None:
    """Make a new folder, with those above it."""
    with disk_errors(folder):
        folder.mkdir(parents=True)


def move_folder(source: Path, dest: Path) -> None:
    """Rename a finished folder to `dest`, which must not exist or be an empty folder."""
    with disk_errors(dest):
        source.replace(dest)


def layout_of(path: Path) -> Layout:
    """Hash a whole file."""
    with disk_errors(path), path.open("rb") as stream:
        return read_layout(stream)


def read_leaf(path: Path, layout: Layout, index: int) -> bytes:
    """One leaf of a held file, checked. Raises ContentCorrupt, naming the file, if it has changed."""
    want = layout.leaf_size(index)
    try:
        with path.open("rb", buffering=0) as stream:
            data = os.pread(stream.fileno(), want, index * LEAF_BYTES)
    except OSError as error:
        raise damaged(path, f"unreadable: {error.strerror}") from error
    if len(data) != want or hashlib.sha256(data).digest() != layout.leaf(index):
        raise damaged(path, f"the {want} bytes from {index * LEAF_BYTES} do not match their hash")
    return data


def check(path: Path, layout: Layout) -> None:
    """Check every byte of a held file. Raises ContentCorrupt, naming the file."""
    try:
        found = layout_of(path)
    except ContentError as error:
        raise damaged(path, f"unreadable: {error.message}") from error
    if found != layout:
        raise damaged(path, "its bytes do not match their hash")


def damaged(path: Path, what: str) -> ContentCorrupt:
    """The error for a file of the store that is damaged."""
    return ContentCorrupt(
        f"stored file {path} is damaged ({what})",
        remedy="`get` fetches it again if a peer has it; check the disk and what writes to that file",
    )


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` against other threads and processes; yields False if another holds it.

    It is deleted while it is held, so after locking, check that `path` is still the same file.
    """
    with disk_errors(path):
        fd = open_lock(path, 0o644)
    try:
        mine = try_lock_file(fd) and path.exists() and os.path.samestat(os.fstat(fd), path.stat())
        try:
            yield mine
        finally:
            if mine:
                path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, target)
