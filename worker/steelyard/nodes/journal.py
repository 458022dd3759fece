"""A node's journal: the job's events as read from the chain, and every intent before it is performed.

One SQLite file per node and job, opened by one process at a time. A killed process loses nothing: the next
one folds the same events into the same view, finds its intents, and continues from the state of the chain.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.chain.abi_version import abi_fingerprint, other_abi
from steelyard.chain.follower import Batch, Cursor
from steelyard.chain.types import Event
from steelyard.errors import DiskFull, JournalError
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.state import event_log
from steelyard.util.sqlite import transaction

VERSION = "1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (
    block INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (block, place));
CREATE TABLE IF NOT EXISTS intent (
    name TEXT PRIMARY KEY, body TEXT NOT NULL, state TEXT NOT NULL, moment REAL NOT NULL);
"""


@dataclass(frozen=True, kw_only=True)
class Intent:
    """Something that the node intends to do. `done` is set once it is known to have happened."""

    name: str
    body: Mapping[str, Any]
    done: bool


class Journal:
    """The journal of the node with this identity (chain, contract, job, account).

    Raises JournalError if the file belongs to another node or is in use.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=0.5, isolation_level=None)
            # The lock lasts until the process ends, however it ends: a second node on this folder is refused.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript("BEGIN IMMEDIATE;" + _SCHEMA + "COMMIT;")
        except sqlite3.Error as error:
            raise JournalError(
                f"{path} cannot be opened: {error}",
                remedy="stop the other node that uses this home, or move a damaged file away",
            ) from error
        self._check_abi()
        self._identify({"abi": abi_fingerprint(), **identity, "version": VERSION})

    def close(self) -> None:
        """Close the file and release its lock."""
        self._db.close()

    # ------------------------------------------------------------------ the chain's log
    def cursor(self) -> Cursor | None:
        """Position up to which the chain was read; None in a new journal."""
        row = self._db.execute("SELECT value FROM fact WHERE name = 'cursor'").fetchone()
        return None if row is None else Cursor.load(row[0])

    def events(self) -> list[Event]:
        """The events so far, in the chain's order."""
        rows = self._db.execute("SELECT name, body FROM event ORDER BY block, place").fetchall()
        return [event_log.load(name, body) for name, body in rows]

    def apply(self, batch: Batch, events: Sequence[Event]) -> None:
        """Store a batch in one transaction: delete rolled-back events, add `events`, move the cursor."""
        crashpoint("batch.before")
        with self._write() as db:
            if batch.rollback_to is not None:
                db.execute("DELETE FROM event WHERE block > ?", (batch.rollback_to,))
            db.executemany(
                "INSERT OR REPLACE INTO event VALUES (?,?,?,?)",
                [(event.position.block, event.position.index, *event_log.dump(event)) for event in events],
            )
            db.execute("INSERT OR REPLACE INTO fact VALUES ('cursor', ?)", (batch.cursor.dump(),))
        crashpoint("batch.after")

    # ------------------------------------------------------------------ intents
    def intent(self, name: str) -> Intent | None:
        """The intent of this name; None if there is none."""
        row = self._db.execute("SELECT body, state FROM intent WHERE name = ?", (name,)).fetchone()
        return None if row is None else Intent(name=name, body=json.loads(row[0]), done=row[1] == "done")

    def intents(self, prefix: str) -> list[Intent]:
        """Intents whose names begin with `prefix`, oldest first."""
        rows = self._db.execute(
            "SELECT name, body, state FROM intent WHERE substr(name, 1, ?) = ? ORDER BY moment",
            (len(prefix), prefix),
        ).fetchall()
        return [Intent(name=row[0], body=json.loads(row[1]), done=row[2] == "done") for row in rows]

    def write(self, name: str, body: Mapping[str, Any], *, done: bool = False) -> None:
        """Write an intent to disk before it is performed, or replace it. Survives a power cut."""
        crashpoint("journal.before")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO intent VALUES (?,?,?,?)",
                (name, json.dumps(dict(body)), "done" if done else "meant", time.time()),
            )
        self._db.execute("PRAGMA synchronous = NORMAL")
        crashpoint("journal.after")

    def mark_done(self, name: str) -> None:
        """Mark an intent as done."""
        with self._write() as db:
            db.execute("UPDATE intent SET state = 'done' WHERE name = ?", (name,))

    def forget(self, name: str) -> None:
        """Delete an intent."""
        with self._write() as db:
            db.execute("DELETE FROM intent WHERE name = ?", (name,))

    # ------------------------------------------------------------------ private
    def _check_abi(self) -> None:
        """Refuse a journal with events of another ABI.  Raises JournalError."""
        facts = dict(self._db.execute("SELECT name, value FROM fact WHERE name IN ('abi', 'version')"))
        if facts and facts.get("abi") != abi_fingerprint():
            self._db.close()
            raise JournalError(
                f"{self.path} {other_abi(facts.get('abi'))}",
                remedy="finish its job with the version of Steelyard that wrote it, or delete the file"
                " and follow a new deployment; the log is read from the chain again",
            )

    def _identify(self, identity: Mapping[str, str]) -> None:
        """Write the identity into a new journal, or compare it."""
        for name, value in identity.items():
            row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
            if row is None:
                with self._write() as db:
                    db.execute("INSERT INTO fact VALUES (?, ?)", (name, value))
            elif row[0] != value:
                self._db.close()
                raise JournalError(
                    f"{self.path} is the journal of {name} {row[0]}, this node has {name} {value}",
                    remedy="give another --home, or delete that folder if the chain is new",
                )

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._db) as db:
                yield db
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise DiskFull(
                    f"no space left to write {self.path}",
                    remedy="free disk space; no action was performed without its journal entry",
                ) from error
            raise JournalError(f"{self.path} cannot be written: {error}", remedy="check the disk") from error
