"""Records of what this store put into the daemon: enough to remove it, also after a crash."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.cid import Cid
from steelyard.errors import ContentError, DiskFull
from steelyard.util.sqlite import open_shared, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS roots(
    cid BLOB PRIMARY KEY, published INTEGER NOT NULL, blocks BLOB NOT NULL, since REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owner(name TEXT NOT NULL);
"""
_BUSY_S = 10.0
_CID_BYTES = 36


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A file or directory that is in the daemon, or was being put there."""

    cid: Cid
    published: bool  # pinned there to be served; else only fetched through it
    blocks: tuple[Cid, ...]  # its blocks, as far as they are known
    since: float  # Unix seconds


class DaemonLedger:
    """One SQLite file beside the index, shared by the processes on one store folder. Methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._errors():
            self._db = open_shared(path, _SCHEMA, busy_s=_BUSY_S, check_same_thread=False)
        self.owner = self._owner()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def publishing(self, cid: Cid, blocks: Sequence[Cid]) -> None:
        """Record that it is about to be put into the daemon and pinned."""
        joined = b"".join(block.to_bytes() for block in blocks)
        self._do("INSERT OR REPLACE INTO roots VALUES(?, 1, ?, ?)", (cid.to_bytes(), joined, time.time()))

    def fetching(self, cid: Cid) -> None:
        """Record that it was, or is about to be, fetched through the daemon."""
        sql = "INSERT OR IGNORE INTO roots VALUES(?, 0, ?, ?)"
        self._do(sql, (cid.to_bytes(), cid.to_bytes(), time.time()))

    def forget(self, cid: Cid) -> None:
        """Delete the row: nothing of it is left in the daemon for this store."""
        self._do("DELETE FROM roots WHERE cid = ?", (cid.to_bytes(),))

    def row(self, cid: Cid) -> LedgerRow | None:
        """The row of one CID, if any."""
        found = self._do("SELECT * FROM roots WHERE cid = ?", (cid.to_bytes(),))
        return _row(found[0]) if found else None

    def rows(self) -> list[LedgerRow]:
        """All rows, by CID."""
        return [_row(found) for found in self._do("SELECT * FROM roots ORDER BY cid", ())]

    def _owner(self) -> str:
        """A name of this store, for pins of its own in a daemon that others use too."""
        with self._lock, self._errors(), transaction(self._db) as db:
            found = db.execute("SELECT name FROM owner").fetchone()
            if found is None:
                found = (uuid.uuid4().hex[:16],)
                db.execute("INSERT INTO owner VALUES(?)", found)
            return str(found[0])

    def _do(self, sql: str, args: tuple[object, ...]) -> list[tuple[bytes, int, bytes, float]]:
        with self._lock, self._errors():
            return self._db.execute(sql, args).fetchall()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR")):
                raise DiskFull(f"no room to write {self._path} ({error})", remedy="free space") from error
            raise ContentError(
                f"{self._path} failed ({error})", remedy="end other programs that use this store"
            ) from error


def _row(found: tuple[bytes, int, bytes, float]) -> LedgerRow:
    cid, published, blocks, since = found
    parts = [blocks[at : at + _CID_BYTES] for at in range(0, len(blocks), _CID_BYTES)]
    return LedgerRow(Cid.from_bytes(cid), bool(published), tuple(map(Cid.from_bytes, parts)), float(since))
