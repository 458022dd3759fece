"""The outbox: what is written survives, and a failed write is reported before anything is sent."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from pathlib import Path

import pytest

from steelyard.chain.sending.outbox import Attempt, PendingTx, SqliteOutbox, State
from steelyard.errors import JournalError

PEER = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"


def intent(name: str = "a", nonce: int = 0, *, cost: int = 10**18, state: State = State.SIGNED) -> PendingTx:
    return PendingTx(
        name=name,
        nonce=nonce,
        to=PEER,
        data=b"\x01",
        value=2**100,
        gas=21_000,
        description="Box.add",
        state=state,
        cost=cost,
    )


def attempt(tag: str, created: float = 1.0) -> Attempt:
    return Attempt(hash=f"0x{tag}", raw=tag.encode(), max_fee=2**70, tip=5, created=created)


def test_the_outbox_returns_what_was_recorded_after_a_restart(tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "keys" / "outbox.sqlite")
    outbox.record(intent(), attempt("aa"))
    outbox.record(intent(), attempt("bb", 2.0))
    outbox.close()
    found = SqliteOutbox(tmp_path / "keys" / "outbox.sqlite").get("a")
    assert found == dataclasses.replace(intent(), attempts=(attempt("aa"), attempt("bb", 2.0)))


def test_a_new_nonce_leaves_the_attempts_of_the_old_one_behind(tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.sqlite")
    outbox.record(intent(), attempt("aa"))
    outbox.settle("a", State.VOID)
    outbox.record(intent(nonce=4), attempt("cc"))
    found = outbox.get("a")
    assert found is not None
    assert (found.nonce, found.attempts) == (4, (attempt("cc"),))
    outbox.close()


def test_what_is_unsettled_and_what_owns_nonces_are_listed_by_nonce(tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.sqlite")
    for nonce, state in enumerate((State.SENT, State.MINED, State.FAILED, State.VOID, State.SIGNED)):
        outbox.record(intent(f"i{nonce}", nonce), attempt(f"{nonce}"))
        outbox.settle(f"i{nonce}", state)
    assert [each.nonce for each in outbox.unsettled()] == [0, 4]
    assert [each.nonce for each in outbox.from_nonce(1)] == [1, 2, 4]
    outbox.close()


def test_spend_counts_pending_then_actual_cost_and_expires_after_a_day(tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.sqlite")
    outbox.record(intent("a", 0, cost=10**19), attempt("aa"))
    outbox.record(intent("b", 1, cost=10**19), attempt("bb"))
    assert outbox.spent_since(0) == 2 * 10**19
    outbox.settle("a", State.MINED, 3)
    outbox.settle("b", State.VOID)
    assert outbox.spent_since(time.time() - 100) == 3
    assert outbox.spent_since(time.time() + 100) == 0
    outbox.settle("a", State.MINED, 3)
    assert outbox.spent_since(0) == 3
    outbox.close()


def test_a_retried_intent_keeps_the_cost_of_its_first_try(tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.sqlite")
    outbox.record(intent("a", 0), attempt("aa"))
    outbox.settle("a", State.FAILED, 7)
    outbox.record(intent("a", 1), attempt("bb"))
    outbox.settle("a", State.MINED, 8)
    assert outbox.spent_since(0) == 15
    outbox.close()


def test_a_file_that_is_not_an_outbox_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(JournalError, match=r"outbox\.sqlite"):
        SqliteOutbox(path)


def test_a_write_that_fails_is_reported_before_anything_is_sent(tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.sqlite")
    other = sqlite3.connect(tmp_path / "outbox.sqlite")
    other.execute("DROP TABLE attempt")
    other.commit()
    other.close()
    with pytest.raises(JournalError, match="nothing was sent"):
        outbox.record(intent(), attempt("aa"))
    assert outbox._db.execute("SELECT count(*) FROM intent").fetchone() == (0,)
    outbox.close()


def test_a_full_disk_is_reported_and_leaves_the_outbox_intact(tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.sqlite")
    outbox.record(intent("a", 0), attempt("aa"))
    [[pages]] = outbox._db.execute("PRAGMA page_count")
    outbox._db.execute(f"PRAGMA max_page_count = {pages}")
    big = dataclasses.replace(intent("b", 1), data=bytes(100_000))
    with pytest.raises(JournalError, match=r"full.*nothing was sent"):
        outbox.record(big, attempt("bb"))
    assert outbox.get("b") is None
    assert [each.name for each in outbox.unsettled()] == ["a"]
    outbox.close()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteOutbox(tmp_path / "file" / "outbox.sqlite")
