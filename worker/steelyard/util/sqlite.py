"""SQLite files that several processes share."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

RETRY_S = 0.02  # seconds between two tries to open a file that another process is opening


def open_shared(
    path: Path, schema: str, *, busy_s: float, check_same_thread: bool = True
) -> sqlite3.Connection:
    """Open a file in WAL mode with its tables, created where they are missing.

    busy_s: seconds to wait for other processes, now and at each later statement.  Raises sqlite3.Error.

    The change to WAL is refused at once where another process makes it, whatever the busy timeout says
    (https://sqlite.org/wal.html, "sometimes queries return SQLITE_BUSY in WAL mode"), hence the tries.
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
