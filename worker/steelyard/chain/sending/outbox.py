"""The journal of transactions: every signed one is on disk before anything is sent.

One SQLite file per (chain, key), shared by all processes that use the key. An *intent* names an effect; it
owns one nonce at a time, so that of all its *attempts* (the transaction and its replacements) at most one is
ever mined.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from steelyard.errors import JournalError
from steelyard.util.sqlite import open_shared, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS intent (
    name TEXT PRIMARY KEY, nonce INTEGER NOT NULL, target TEXT NOT NULL, data BLOB NOT NULL,
    value TEXT NOT NULL, gas INTEGER NOT NULL, what TEXT NOT NULL, state TEXT NOT NULL, cost TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS intent_by_nonce ON intent (nonce);
CREATE TABLE IF NOT EXISTS attempt (
    hash TEXT PRIMARY KEY, name TEXT NOT NULL, nonce INTEGER NOT NULL, raw BLOB NOT NULL,
    max_fee TEXT NOT NULL, tip TEXT NOT NULL, created REAL NOT NULL);
CREATE INDEX IF NOT EXISTS attempt_by_name ON attempt (name);
CREATE TABLE IF NOT EXISTS spent (
    name TEXT, nonce INTEGER, wei TEXT NOT NULL, moment REAL NOT NULL, PRIMARY KEY (name, nonce));
"""


class State(StrEnum):
    """Where an intent stands."""

    SIGNED = "signed"  # on disk; perhaps broadcast
    SENT = "sent"  # a node took it
    MINED = "mined"  # in a block, not reverted
    FAILED = "failed"  # in a block, reverted: no effect, may be tried again
    VOID = (
        "void"  # refused by the node, or its nonce went to another transaction: no effect, may be tried again
    )


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One signed transaction. Fees in wei per gas."""

    hash: str
    raw: bytes
    max_fee: int
    tip: int
    created: float


@dataclass(frozen=True, kw_only=True)
class PendingTx:
    """An effect, with its attempts from the first to the last.

    `cost` is the most that it can cost, in wei.
    """

    name: str
    nonce: int
    to: str
    data: bytes
    value: int
    gas: int
    what: str
    state: State
    cost: int
    attempts: tuple[Attempt, ...] = ()


class Outbox(Protocol):
    """What the sender needs on disk. Each method is one transaction of the store."""

    def get(self, name: str) -> PendingTx | None:
        """The intent of that name."""

    def unsettled(self) -> list[PendingTx]:
        """Intents that are signed or sent, by nonce."""

    def from_nonce(self, nonce: int) -> list[PendingTx]:
        """Intents, whatever their state but void, that own `nonce` or a later one, by nonce."""

    def record(self, intent: PendingTx, attempt: Attempt) -> None:
        """Write the intent (in place of an earlier one of its name) and a first or further attempt."""

    def settle(self, name: str, state: State, cost: int | None = None) -> None:
        """Set the state; `cost` is what a mined transaction did cost, in wei."""

    def spent_since(self, moment: float) -> int:
        """Wei paid since `moment` (unix seconds), and the most that unsettled intents can cost."""

    def close(self) -> None:
        """Close the file."""


class SqliteOutbox:
    """`Outbox` in SQLite. The caller's key lock serialises writers; readers need none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = open_shared(path, _SCHEMA, busy_s=20.0)
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f"{path} cannot be opened: {error}", remedy="free disk space or move the file away"
            ) from error

    def get(self, name: str) -> PendingTx | None:
        """See TxJournal."""
        found = self._intents("WHERE name = ?", name)
        return found[0] if found else None

    def unsettled(self) -> list[PendingTx]:
        """See TxJournal."""
        return self._intents("WHERE state IN ('signed', 'sent') ORDER BY nonce")

    def from_nonce(self, nonce: int) -> list[PendingTx]:
        """See TxJournal."""
        return self._intents("WHERE nonce >= ? AND state <> 'void' ORDER BY nonce", nonce)

    def record(self, intent: PendingTx, attempt: Attempt) -> None:
        """See TxJournal."""
        row = (intent.name, intent.nonce, intent.to, intent.data, str(intent.value), intent.gas, intent.what)
        with self._write(durable=True) as db:
            db.execute(
                "INSERT OR REPLACE INTO intent VALUES (?,?,?,?,?,?,?,?,?)",
                (*row, str(intent.state), str(intent.cost)),
            )
            db.execute(
                "INSERT OR REPLACE INTO attempt VALUES (?,?,?,?,?,?,?)",
                (
                    attempt.hash,
                    intent.name,
                    intent.nonce,
                    attempt.raw,
                    str(attempt.max_fee),
                    str(attempt.tip),
                    attempt.created,
                ),
            )

    def settle(self, name: str, state: State, cost: int | None = None) -> None:
        """See TxJournal."""
        with self._write() as db:
            db.execute("UPDATE intent SET state = ? WHERE name = ?", (state, name))
            if cost is not None:
                db.execute(
                    "INSERT OR REPLACE INTO spent SELECT name, nonce, ?, ? FROM intent WHERE name = ?",
                    (str(cost), time.time(), name),
                )

    def spent_since(self, moment: float) -> int:
        """See TxJournal. Sums in Python: wei pass SQLite's 63 bits."""
        paid = self._db.execute("SELECT wei FROM spent WHERE moment > ?", (moment,)).fetchall()
        promised = self._db.execute("SELECT cost FROM intent WHERE state IN ('signed', 'sent')").fetchall()
        return sum(int(row[0]) for row in (*paid, *promised))

    def close(self) -> None:
        """See TxJournal."""
        self._db.close()

    @contextlib.contextmanager
    def _write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction; `durable` survives a power cut, as what was signed must."""
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with transaction(self._db) as db:
                yield db
        except sqlite3.Error as error:
            left = "nothing was sent" if durable else "what was sent is found again at the next start"
            raise JournalError(
                f"{self.path} cannot be written: {error}", remedy=f"free disk space; {left}"
            ) from error

    def _intents(self, where: str, *values: object) -> list[PendingTx]:
        rows = self._db.execute(
            f"SELECT name, nonce, target, data, value, gas, what, state, cost FROM intent {where}",  # noqa: S608
            values,
        ).fetchall()
        return [
            PendingTx(
                name=row[0],
                nonce=row[1],
                to=row[2],
                data=row[3],
                value=int(row[4]),
                gas=row[5],
                what=row[6],
                state=State(row[7]),
                cost=int(row[8]),
                attempts=self._attempts(row[0], row[1]),
            )
            for row in rows
        ]

    def _attempts(self, name: str, nonce: int) -> tuple[Attempt, ...]:
        rows = self._db.execute(
            "SELECT hash, raw, max_fee, tip, created FROM attempt "
            "WHERE name = ? AND nonce = ? ORDER BY created",
            (name, nonce),
        )
        return tuple(
            Attempt(hash=row[0], raw=row[1], max_fee=int(row[2]), tip=int(row[3]), created=row[4])
            for row in rows
        )
