"""SQLite: files that several processes share, and write transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RETRY_S = 0.02  # seconds between two tries to open a file that another process is opening


def open_shared(
    path: Path, schema: str, *, busy_s: float, check_same_thread: bool = True
) -> sqlite3.Connection:
    """Open a file in WAL mode with its tables, created if they are missing.

    busy_s: seconds to wait for other processes, now and at each later statement.  Raises sqlite3.Error.

    SQLite refuses the change to WAL at once if another process is making it, whatever the busy timeout says
    (https://sqlite.org/wal.html, "sometimes queries return SQLITE_BUSY in WAL mode"), so it is tried again.
    """
    until = time.monotonic() + busy_s
    while True:
        db = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=check_same_thread)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript("BEGIN IMMEDIATE;" + schema + "COMMIT;")
        except sqlite3.OperationalError as error:
            db.close()
            if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(RETRY_S)
        except BaseException:
            db.close()
            raise
        else:
            return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: begun at once, committed at the end, rolled back at any exception.

    db: opened with `isolation_level=None`.  Raises sqlite3.Error.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
