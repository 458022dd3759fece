"""Files that several processes open at the same moment."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from steelyard.util.sqlite import open_shared, transaction

SCHEMA = "CREATE TABLE IF NOT EXISTS t(x INTEGER PRIMARY KEY);"


def test_a_file_that_another_process_is_about_to_open_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)  # not yet in WAL mode
    other.execute("CREATE TABLE first(x)")
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, other.close)
    timer.start()
    db = open_shared(path, SCHEMA, busy_s=20)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()
    timer.join()


def test_a_file_that_stays_locked_is_refused_in_time(tmp_path: Path) -> None:
    path = tmp_path / "locked.sqlite"
    holder = open_shared(path, SCHEMA, busy_s=1)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        open_shared(path, SCHEMA, busy_s=0.2)
    holder.close()


def test_a_file_that_is_not_a_database_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "text.sqlite"
    path.write_text("this is not SQLite, but it is long enough to be looked at" * 20)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        open_shared(path, SCHEMA, busy_s=5)


def test_a_transaction_is_committed_whole_or_rolled_back(tmp_path: Path) -> None:
    db = open_shared(tmp_path / "rows.sqlite", SCHEMA, busy_s=5)
    with transaction(db) as inside:
        inside.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError), transaction(db) as inside:
        inside.executemany("INSERT INTO t VALUES (?)", [(2,), (1,)])
    assert not db.in_transaction
    assert db.execute("SELECT x FROM t").fetchall() == [(1,)]
    db.close()


def test_a_second_writer_is_refused_before_it_has_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    first, second = open_shared(path, SCHEMA, busy_s=0.1), open_shared(path, SCHEMA, busy_s=0.1)
    with (
        transaction(first),
        pytest.raises(sqlite3.OperationalError, match="locked"),
        transaction(second) as inside,
    ):
        inside.execute("INSERT INTO t VALUES (2)")
    assert first.execute("SELECT x FROM t").fetchall() == []
    first.close()
    second.close()
