"""The journal keeps events and intents after every kind of end."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.chain.follower import Batch, Cursor
from steelyard.chain.types import BlockHeader
from steelyard.errors import JournalError
from steelyard.nodes.journal import Journal
from steelyard.nodes.state.folding import fold
from support.job_log import id_of, two_at_work

WHO = {"chain": "31337", "job": "1", "account": "0xab"}
HEAD = BlockHeader(number=9, hash="0x09", parent="0x08", timestamp=1, base_fee=None, gas_limit=1)


def batch(to: int, *, rollback_to: int | None = None) -> Batch:
    return Batch(
        rollback_to=rollback_to,
        from_block=0,
        to_block=to,
        head=HEAD,
        events=(),
        cursor=Cursor.before(0).advanced_to(to, f"0x{to}"),
    )


def test_events_come_back_as_they_were(tmp_path: Path) -> None:
    log = two_at_work()
    log.submitted(1, 0, 1, close=True)
    log.posted(1, id_of(1), poster=10, included=3, size=2, hold_by=5)
    journal = Journal(tmp_path / "journal", WHO)
    journal.apply(batch(9), log.events)
    journal.close()
    again = Journal(tmp_path / "journal", WHO)
    assert again.events() == log.events
    cursor = again.cursor()
    assert cursor is not None
    assert cursor.number == 9
    assert fold(1, again.events()).head is not None


def test_a_rollback_deletes_later_blocks_and_replaces_them(tmp_path: Path) -> None:
    log = two_at_work()
    journal = Journal(tmp_path / "journal", WHO)
    journal.apply(batch(9), log.events)
    journal.apply(batch(9, rollback_to=2), log.events[3:])
    assert journal.events() == [*log.events[:2], *log.events[3:]]


def test_an_event_that_is_read_twice_counts_once(tmp_path: Path) -> None:
    log = two_at_work()
    journal = Journal(tmp_path / "journal", WHO)
    journal.apply(batch(5), log.events)
    journal.apply(batch(6), log.events[2:])
    assert journal.events() == log.events


def test_intents_are_found_again_by_name_and_by_kind(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", WHO)
    journal.write("submit:1:1", {"serial": 1})
    journal.write("submit:1:2", {"serial": 2})
    journal.write("hold:1:1", {})
    journal.mark_done("submit:1:1")
    journal.close()
    again = Journal(tmp_path / "journal", WHO)
    assert [(i.name, i.done) for i in again.intents("submit:")] == [
        ("submit:1:1", True),
        ("submit:1:2", False),
    ]
    found = again.intent("submit:1:2")
    assert found is not None
    assert found.body == {"serial": 2}
    again.forget("submit:1:2")
    assert again.intent("submit:1:2") is None


def test_two_nodes_on_one_home_are_refused(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal", WHO)
    with pytest.raises(JournalError, match=r"cannot be opened.*stop the other node"):
        Journal(tmp_path / "journal", WHO)
    first.close()
    Journal(tmp_path / "journal", WHO).close()


def test_a_journal_of_another_job_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "journal", WHO).close()
    with pytest.raises(JournalError, match=r"is the journal of job 1, this node has job 2"):
        Journal(tmp_path / "journal", {**WHO, "job": "2"})


def test_a_journal_of_another_abi_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "journal", WHO).close()
    with sqlite3.connect(tmp_path / "journal") as db:
        db.execute("DELETE FROM fact WHERE name = 'abi'")  # as versions before the fingerprint wrote it
    db.close()
    with pytest.raises(JournalError, match=r"another version of the contracts \(no ABI recorded;.*delete"):
        Journal(tmp_path / "journal", WHO)
    with sqlite3.connect(tmp_path / "journal") as db:
        db.execute("INSERT INTO fact VALUES ('abi', '0123')")
    db.close()
    with pytest.raises(JournalError, match=r"another version of the contracts \(ABI 0123;"):
        Journal(tmp_path / "journal", WHO)


def test_a_damaged_journal_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(JournalError, match="move a damaged file away"):
        Journal(tmp_path / "journal", WHO)


def test_an_unknown_event_is_an_error_that_says_so(tmp_path: Path) -> None:
    Journal(tmp_path / "journal", WHO).close()
    database = sqlite3.connect(tmp_path / "journal")
    database.execute("INSERT INTO event VALUES (1, 0, 'Nonsense', '{}')")
    database.commit()
    database.close()
    with pytest.raises(JournalError, match="Nonsense"):
        Journal(tmp_path / "journal", WHO).events()


@pytest.mark.parametrize(("point", "kept"), [("journal.before:2", ["a"]), ("journal.after:2", ["a", "b"])])
def test_what_was_written_survives_a_kill_and_the_next_process_may_open_it(
    tmp_path: Path, point: str, kept: list[str]
) -> None:
    code = (
        "import sys; from pathlib import Path; from steelyard.nodes.journal import Journal\n"
        f"j = Journal(Path(sys.argv[1]), {WHO!r})\n"
        "for name in 'abc': j.write(name, {})\n"
    )
    path = tmp_path / "journal"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "STEELYARD_CRASH": point, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert [intent.name for intent in Journal(path, WHO).intents("")] == kept
