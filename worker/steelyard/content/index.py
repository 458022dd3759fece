"""The embedded store's index: which files it holds, which blocks are in them, what is served and pinned.

One SQLite file, shared by all processes on the store's folder. A write waits up to `BUSY_S` for theirs.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.content import index_sql as queries
from steelyard.content.dagpb import decode_node
from steelyard.content.layout import Layout
from steelyard.content.store import Entry, Freed, StoreTotals
from steelyard.core.cid import RAW, Cid
from steelyard.errors import ContentError, DiskFull
from steelyard.util.sqlite import open_shared, transaction

BUSY_S = 10.0  # seconds to wait for another process's write


@dataclass(frozen=True, slots=True)
class BlockLocation:
    """Where a block is: a leaf of the file `root`, or the bytes of an inner node or directory."""

    root: Cid
    leaf: int
    node: bytes | None


class Index:
    """The tables of one store folder."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._path = path
        with self._errors():
            self._db = open_shared(path, queries.SCHEMA, busy_s=BUSY_S, check_same_thread=False)
            self._db.executescript(queries.SETTINGS)

    def close(self) -> None:
        """Close the connection; what was written stays."""
        with self._lock:
            self._db.close()

    def put_file(self, cid: Cid, layout: Layout, place: Callable[[], None], *, provide: bool) -> None:
        """Record a file and move it into the folder with `place`. This can set `provided`, never unset it."""
        key, (_, _, inner) = cid.to_bytes(), layout.tree()
        rows: list[tuple[bytes, bytes, int, bytes | None]] = []
        rows += [(Cid(RAW, layout.leaf(i)).to_bytes(), key, i, None) for i in range(len(layout))]
        rows += [(block.cid.to_bytes(), key, -1, block.data) for block in inner]
        with self._write():
            place()
            self._put_entry(key, "file", layout.size, layout.leaves, provide)
            self._db.executemany("INSERT OR IGNORE INTO blocks VALUES(?, ?, ?, ?)", rows)

    def put_directory(self, cid: Cid, block: bytes, *, provide: bool) -> None:
        """Record a directory's own block and its links."""
        key, node = cid.to_bytes(), decode_node(block)
        with self._write():
            self._put_entry(key, "directory", len(block), None, provide)
            self._db.execute("INSERT OR IGNORE INTO blocks VALUES(?, ?, -1, ?)", (key, key, block))
            self._db.executemany(
                "INSERT OR IGNORE INTO links VALUES(?, ?)",
                [(key, link.cid.to_bytes()) for link in node.links],
            )

    def kind(self, cid: Cid) -> str | None:
        """Whether it is a "file" or a "directory"; None if it is not held undamaged."""
        row = self._one("SELECT kind FROM entries WHERE cid = ? AND damaged = 0", cid.to_bytes())
        return None if row is None else str(row[0])

    def layout(self, cid: Cid) -> Layout | None:
        """The layout of a held file, damaged or not."""
        row = self._one("SELECT size, leaves FROM entries WHERE cid = ? AND kind = 'file'", cid.to_bytes())
        return None if row is None else Layout(int(row[0]), bytes(row[1]))

    def directory(self, cid: Cid) -> bytes | None:
        """The block of a held directory."""
        sql = "SELECT node FROM blocks JOIN entries ON entries.cid = root WHERE root = ?1 AND blocks.cid = ?1"
        row = self._one(sql + " AND kind = 'directory'", cid.to_bytes())
        return None if row is None or row[0] is None else bytes(row[0])

    def places(self, cid: Cid) -> list[BlockLocation]:
        """Every undamaged file or directory that has this block in it, served or not."""
        sql = """SELECT root, position, node FROM blocks JOIN entries ON entries.cid = root
                 WHERE blocks.cid = ? AND damaged = 0 LIMIT 1000"""
        return [
            BlockLocation(Cid.from_bytes(root), int(position), None if node is None else bytes(node))
            for root, position, node in self._all(sql, (cid.to_bytes(),))
        ]

    def is_provided(self, cid: Cid) -> bool:
        """Whether it is served, by itself or in a directory that is."""
        row = self._one(queries.ABOVE, cid.to_bytes())
        return bool(row and row[0])

    def provided(self) -> list[Cid]:
        """Undamaged entries that are provided themselves."""
        rows = self._all("SELECT cid FROM entries WHERE provided = 1 AND damaged = 0 ORDER BY cid", ())
        return [Cid.from_bytes(row[0]) for row in rows]

    def set_provided(self, cid: Cid, *, provided: bool) -> bool:
        """Serve or withhold. False if it is not held."""
        with self._write():
            sql = "UPDATE entries SET provided = ? WHERE cid = ?"
            return self._db.execute(sql, (int(provided), cid.to_bytes())).rowcount > 0

    def set_damaged(self, cid: Cid) -> None:
        """Its file no longer has the bytes that were stored: stop serving it until it is stored again."""
        with self._write():
            self._db.execute("UPDATE entries SET damaged = 1 WHERE cid = ?", (cid.to_bytes(),))

    def pin(self, cid: Cid, until: float) -> None:
        """Keep until a Unix time; an earlier one than before changes nothing."""
        with self._write():
            sql = """INSERT INTO pins VALUES(?, ?)
                     ON CONFLICT(cid) DO UPDATE SET until = max(until, excluded.until)"""
            self._db.execute(sql, (cid.to_bytes(), until))

    def unpin(self, cid: Cid) -> None:
        """Drop its pin."""
        with self._write():
            self._db.execute("DELETE FROM pins WHERE cid = ?", (cid.to_bytes(),))

    def children(self, cid: Cid) -> list[Cid]:
        """The CIDs that a held directory links to."""
        rows = self._all("SELECT child FROM links WHERE parent = ?", (cid.to_bytes(),))
        return [Cid.from_bytes(row[0]) for row in rows]

    def collect(
        self, grace_s: float, on_disk: Callable[[], list[Cid]], remove: Callable[[Cid], None]
    ) -> Freed:
        """Delete entries that no pin keeps and older than `grace_s`; `remove` deletes files without entry.

        The entries go first: a kill in between leaves a file without an entry, which the next call
        deletes, and never an entry without its file. Each step is one transaction, as adding is: nothing that
        another process adds meanwhile is deleted.
        """
        now = time.time()
        with self._write():
            rows = self._all(queries.KEPT, {"now": now, "young": now - grace_s})
            for key, _, _ in rows:
                for sql in ("entries WHERE cid", "blocks WHERE root", "links WHERE parent", "pins WHERE cid"):
                    self._db.execute(f"DELETE FROM {sql} = ?", (key,))  # noqa: S608 - the four texts above
        with self._write():
            known = {row[0] for row in self._all("SELECT cid FROM entries", ())}
            for cid in on_disk():
                if cid.to_bytes() not in known:
                    remove(cid)
        return Freed(entries=len(rows), freed_bytes=sum(int(size) for _, _, size in rows))

    def entries(self) -> list[Entry]:
        """All that is held undamaged, by CID."""
        given = {row[0] for row in self._all(queries.GIVEN, ())}
        sql = """SELECT cid, kind, size, added, until FROM entries LEFT JOIN pins USING(cid)
                 WHERE damaged = 0 ORDER BY cid"""
        return [
            Entry(
                cid=Cid.from_bytes(cid),
                kind="file" if kind == "file" else "directory",
                size=int(size),
                provided=cid in given,
                pinned_until=None if until is None or until <= time.time() else float(until),
                added=float(added),
            )
            for cid, kind, size, added, until in self._all(sql, ())
        ]

    def held(self) -> StoreTotals:
        """Counts and bytes of what is held."""
        entries = self.entries()
        pinned = {row[0] for row in self._all(queries.PINNED, {"now": time.time()})}
        return StoreTotals(
            files=sum(entry.kind == "file" for entry in entries),
            directories=sum(entry.kind == "directory" for entry in entries),
            held_bytes=sum(entry.size for entry in entries),
            pinned_bytes=sum(entry.size for entry in entries if entry.cid.to_bytes() in pinned),
            provided_bytes=sum(entry.size for entry in entries if entry.provided),
        )

    def _put_entry(self, key: bytes, kind: str, size: int, leaves: bytes | None, provide: bool) -> None:
        self._db.execute(
            """INSERT INTO entries VALUES(?, ?, ?, ?, 0, ?, ?) ON CONFLICT(cid) DO UPDATE
               SET damaged = 0, added = excluded.added, provided = max(provided, excluded.provided)""",
            (key, kind, size, int(provide), time.time(), leaves),
        )

    def _one(self, sql: str, key: bytes) -> tuple[Any, ...] | None:
        rows = self._all(sql, (key,))
        return rows[0] if rows else None

    def _all(self, sql: str, args: tuple[object, ...] | dict[str, object]) -> list[tuple[Any, ...]]:
        with self._lock, self._errors():
            return self._db.execute(sql, args).fetchall()

    @contextmanager
    def _write(self) -> Iterator[None]:
        with self._lock, self._errors(), transaction(self._db):
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            if name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR"):
                raise DiskFull(
                    f"no room to write {self._path} ({error})", remedy="free disk space; nothing was lost"
                ) from error
            raise ContentError(
                f"index {self._path} of the content store failed ({error})",
                remedy="end other programs that use it; if it is damaged, delete it: files are found again",
            ) from error
