"""The outbox: every signed transaction is on disk before it is broadcast.

One SQLite file per (chain, key), shared by all processes that use the key. An *intent* names an effect; its
pending transaction has one nonce at a time, so that of all its *attempts* (the transaction and its
replacements) at most one is ever mined.
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
    """The state of a pending transaction."""

    SIGNED = "signed"  # on disk; perhaps broadcast
    SENT = "sent"  # a node accepted it
    MINED = "mined"  # in a block, not reverted
    FAILED = "failed"  # in a block, reverted: no effect, may be tried again
    VOID = "void"  # refused, or its nonce went to another transaction: no effect, may be tried again


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
    """The transaction of one intent, with its attempts from the first to the last."""

    name: str  # target and intent
    nonce: int
    to: str
    data: bytes
    value: int  # wei
    gas: int  # limit
    description: str  # `Contract.function`, for messages
    state: State
    cost: int  # wei at most, with the value
    attempts: tuple[Attempt, ...] = ()


class Outbox(Protocol):
    """Storage of pending transactions. Each method is one database transaction."""

    def get(self, name: str) -> PendingTx | None:
        """The pending transaction of that name."""

    def unsettled(self) -> list[PendingTx]:
        """Transactions that are signed or sent, by nonce."""

    def from_nonce(self, nonce: int) -> list[PendingTx]:
        """Transactions, except void ones, with `nonce` or a later one, by nonce."""

    def record(self, tx: PendingTx, attempt: Attempt) -> None:
        """Write `tx`, replacing an earlier one of its name, and a first or further attempt."""

    def settle(self, name: str, state: State, cost: int | None = None) -> None:
        """Set the state; `cost` is the actual cost of a mined transaction, in wei."""

    def spent_since(self, since: float) -> int:
        """Wei paid since `since` (unix seconds) plus the highest cost of unsettled transactions."""

    def close(self) -> None:
        """Close the file."""


class SqliteOutbox:
    """`Outbox` in SQLite. The caller's key lock serialises writers; readers need no lock."""

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
        """See Outbox."""
        found = self._select("WHERE name = ?", name)
        return found[0] if found else None

    def unsettled(self) -> list[PendingTx]:
        """See Outbox."""
        return self._select("WHERE state IN ('signed', 'sent') ORDER BY nonce")

    def from_nonce(self, nonce: int) -> list[PendingTx]:
        """See Outbox."""
        return self._select("WHERE nonce >= ? AND state <> 'void' ORDER BY nonce", nonce)

    def record(self, tx: PendingTx, attempt: Attempt) -> None:
        """See Outbox."""
        row = (tx.name, tx.nonce, tx.to, tx.data, str(tx.value), tx.gas, tx.description)
        with self._write(durable=True) as db:
            db.execute(
                "INSERT OR REPLACE INTO intent VALUES (?,?,?,?,?,?,?,?,?)",
                (*row, str(tx.state), str(tx.cost)),
            )
            db.execute(
                "INSERT OR REPLACE INTO attempt VALUES (?,?,?,?,?,?,?)",
                (
                    attempt.hash,
                    tx.name,
                    tx.nonce,
                    attempt.raw,
                    str(attempt.max_fee),
                    str(attempt.tip),
                    attempt.created,
                ),
            )

    def settle(self, name: str, state: State, cost: int | None = None) -> None:
        """See Outbox."""
        with self._write() as db:
            db.execute("UPDATE intent SET state = ? WHERE name = ?", (state, name))
            if cost is not None:
                db.execute(
                    "INSERT OR REPLACE INTO spent SELECT name, nonce, ?, ? FROM intent WHERE name = ?",
                    (str(cost), time.time(), name),
                )

    def spent_since(self, since: float) -> int:
        """See Outbox. Summed in Python: wei exceed SQLite's 63 bits."""
        paid = self._db.execute("SELECT wei FROM spent WHERE moment > ?", (since,)).fetchall()
        pending = self._db.execute("SELECT cost FROM intent WHERE state IN ('signed', 'sent')").fetchall()
        return sum(int(row[0]) for row in (*paid, *pending))

    def close(self) -> None:
        """See Outbox."""
        self._db.close()

    @contextlib.contextmanager
    def _write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One database transaction; `durable` survives a power cut, as signed bytes must."""
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with transaction(self._db) as db:
                yield db
        except sqlite3.Error as error:
            left = "nothing was sent" if durable else "sent transactions are found again at the next start"
            raise JournalError(
                f"{self.path} cannot be written: {error}", remedy=f"free disk space; {left}"
            ) from error

    def _select(self, where: str, *values: object) -> list[PendingTx]:
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
                description=row[6],
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


def open_tx(outbox: Outbox, name: str) -> PendingTx | None:
    """The transaction of that name if an attempt was mined or may yet be; None if it may be tried again."""
    tx = outbox.get(name)
    return None if tx is None or tx.state in (State.FAILED, State.VOID) else tx
