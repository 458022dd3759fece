"""The store's folder: bytes kept once, found by CID, given whole or not at all; damage is seen."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.content import FOREVER, Cid
from steelyard.content.dagpb import DIRECTORY, DagNode, Link, encode_node
from steelyard.content.disk import try_lock
from steelyard.content.layout import LEAF_BYTES, Layout, read_layout
from steelyard.content.local_store import LocalStore
from steelyard.content.part_file import PartFile
from steelyard.errors import ContentCorrupt, ContentError, ContentMissing, DiskFull

BODY = bytes(range(256)) * 4096 * 3 + b"tail"  # three leaves and a bit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    store = LocalStore(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(BODY)
    return path


def keep(store: LocalStore, path: Path, *, provide: bool = True) -> Cid:
    return store.add(path, provide=provide, pin_until=None)


def stored_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and "index.sqlite" not in path.name]


def test_bytes_lie_on_disk_once_however_often_they_are_added(
    store: LocalStore, source: Path, tmp_path: Path
) -> None:
    cid = keep(store, source)
    assert keep(store, source) == cid
    assert store.add_bytes(BODY, provide=True, pin_until=None) == cid
    store.folder.export(cid, tmp_path / "out")
    store.folder.export(cid, tmp_path / "out")
    assert (tmp_path / "out").samefile(store.folder.file(cid))
    assert len(stored_files(tmp_path / "store")) == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_users_file_is_linked_not_copied(store: LocalStore, source: Path) -> None:
    assert source.samefile(store.folder.file(keep(store, source)))


def test_where_links_are_impossible_bytes_are_copied(
    store: LocalStore, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("steelyard.content.disk.os.link", refuse)
    cid = keep(store, source)
    assert not source.samefile(store.folder.file(cid))
    store.folder.export(cid, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == BODY


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 0), (0, 1), (LEAF_BYTES - 1, 2), (5, 3 * LEAF_BYTES), (0, 10**9), (len(BODY) - 1, 9), (10**9, 5)],
)
def test_any_range_reads_as_the_file_has_it(
    store: LocalStore, source: Path, offset: int, length: int
) -> None:
    assert store.read(keep(store, source), offset, length) == BODY[offset : offset + length]


def test_a_negative_range_is_an_error(store: LocalStore, source: Path) -> None:
    cid = keep(store, source)
    for offset, length in ((-1, 5), (0, -5)):
        with pytest.raises(ContentError):
            store.read(cid, offset, length)


def test_every_block_of_a_provided_file_is_public_and_of_a_withheld_one_none(
    store: LocalStore, source: Path
) -> None:
    cid = keep(store, source, provide=False)
    with source.open("rb") as stream:
        layout = read_layout(stream)
    blocks = [cid, *(Cid(0x55, layout.leaf(index)) for index in range(len(layout)))]
    assert all(store.public_block(block) is None for block in blocks)
    assert store.public_layout(cid) is None
    store.index.set_provided(cid, provided=True)
    found = [store.public_block(block) for block in blocks]
    assert all(data is not None and block.matches(data) for block, data in zip(blocks, found, strict=True))
    store.index.set_provided(cid, provided=False)
    assert all(store.public_block(block) is None for block in blocks)


def test_a_leaf_shared_with_a_withheld_file_is_public_through_the_provided_one(store: LocalStore) -> None:
    shared = os.urandom(LEAF_BYTES)
    open_cid = store.add_bytes(shared + b"open", provide=True, pin_until=None)
    held_back = store.add_bytes(shared + b"held back", provide=False, pin_until=None)
    assert store.public_block(Cid.of_block(0x55, shared)) == shared
    assert store.public_block(Cid.of_block(0x55, b"open")) == b"open"
    assert store.public_block(Cid.of_block(0x55, b"held back")) is None
    assert store.public_block(held_back) is None
    assert store.public_block(open_cid) is not None


def test_adding_again_without_providing_does_not_withdraw_what_is_public(
    store: LocalStore, source: Path
) -> None:
    cid = keep(store, source)
    keep(store, source, provide=False)
    assert store.public_layout(cid) is not None


def test_what_is_in_a_provided_directory_is_public_as_long_as_that_is(
    store: LocalStore, source: Path
) -> None:
    root = store.add_directory({"a/b/c": source, "d": source}, provide=True, pin_until=None)
    inner = store.names(root)
    assert inner is not None
    assert store.public_layout(inner["d"]) is not None
    assert store.public_block(inner["a"]) is not None
    store.index.set_provided(root, provided=False)
    assert store.public_layout(inner["d"]) is None
    assert store.public_block(inner["a"]) is None
    assert store.public_block(root) is None


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "grow"])
def test_a_damaged_file_is_named_when_it_is_read_and_no_longer_held(
    store: LocalStore, tmp_path: Path, damage: str
) -> None:
    cid = store.add_bytes(BODY, provide=True, pin_until=FOREVER)
    path = store.folder.file(cid)
    before = path.stat()
    if damage == "delete":
        path.unlink()
    elif damage == "grow":
        path.write_bytes(BODY + b"x")
    else:
        data = bytearray(BODY)
        data[LEAF_BYTES + 3] ^= 1
        path.write_bytes(data if damage == "flip" else data[: LEAF_BYTES + 3])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ContentCorrupt, match=str(path)):
        store.verified(cid)
    assert not store.holds(cid)
    assert store.public_layout(cid) is None
    assert store.public_block(cid) is None
    store.add_bytes(BODY, provide=False, pin_until=None)
    assert store.verified(cid) is not None
    assert store.public_layout(cid) is not None, "it is served as before"


def test_a_range_is_read_while_only_another_leaf_is_damaged(store: LocalStore) -> None:
    cid = store.add_bytes(BODY, provide=True, pin_until=None)
    with store.folder.file(cid).open("r+b") as stream:
        stream.seek(LEAF_BYTES)
        stream.write(b"rot")
    assert store.read(cid, 5, 100) == BODY[5:105]
    with pytest.raises(ContentCorrupt):
        store.read(cid, LEAF_BYTES - 1, 2)


def test_collection_keeps_pins_what_they_hold_and_what_is_young(
    store: LocalStore, source: Path, tmp_path: Path
) -> None:
    pinned = store.add_bytes(b"pinned", provide=False, pin_until=FOREVER)
    expired = store.add_bytes(b"expired", provide=True, pin_until=time.time() - 1)
    loose = store.add_bytes(b"loose", provide=True, pin_until=None)
    tree = store.add_directory({"x/y": source}, provide=False, pin_until=time.time() + 60)
    assert store.collect(grace_s=60).entries == 0
    freed = store.collect(grace_s=0)
    assert (freed.entries, freed.freed_bytes) == (2, len(b"expired") + len(b"loose"))
    assert store.holds(pinned)
    assert store.holds(tree)
    assert not store.holds(expired)
    assert not store.holds(loose)
    assert not store.folder.file(loose).exists()
    store.index.unpin(tree)
    assert store.collect(grace_s=0).entries == 3
    assert len(stored_files(tmp_path / "store")) == 1


def test_a_pin_is_lengthened_never_shortened(store: LocalStore) -> None:
    cid = store.add_bytes(b"x", provide=False, pin_until=FOREVER)
    store.index.pin(cid, time.time() - 5)
    assert store.index.entries()[0].pinned_until == FOREVER
    store.index.unpin(cid)
    assert store.index.entries()[0].pinned_until is None


def test_the_size_held_counts_each_file_once(store: LocalStore, source: Path) -> None:
    store.add_bytes(b"12345", provide=False, pin_until=FOREVER)
    root = store.add_directory({"a": source, "b": source}, provide=True, pin_until=None)
    block = store.index.directory(root)
    assert block is not None
    held = store.index.held()
    assert (held.files, held.directories) == (2, 1)
    assert held.held_bytes == 5 + len(BODY) + len(block)
    assert held.pinned_bytes == 5
    assert held.provided_bytes == len(BODY) + len(block)


@pytest.mark.parametrize("odd", ["missing", "folder", "link", "pipe"])
def test_what_is_no_regular_file_is_not_added(store: LocalStore, tmp_path: Path, odd: str) -> None:
    path = tmp_path / odd
    if odd == "folder":
        path.mkdir()
    elif odd == "link":
        path.symlink_to("/etc/passwd")
    elif odd == "pipe":
        os.mkfifo(path)
    with pytest.raises(ContentMissing if odd == "missing" else ContentError):
        keep(store, path)


def test_leftovers_of_killed_processes_are_swept_but_not_what_is_in_use(
    store: LocalStore, tmp_path: Path
) -> None:
    parts = tmp_path / "store" / "parts"
    for name in ("dead", "alive"):
        (parts / name).write_bytes(bytes(1000))
        os.utime(parts / name, (1, 1))
    (tmp_path / "store" / "tmp" / "old").write_bytes(bytes(100))
    os.utime(tmp_path / "store" / "tmp" / "old", (1, 1))
    with try_lock(store.folder.lock(parts / "alive")) as mine:
        assert mine
        assert store.collect(grace_s=60).freed_bytes == 1100
    assert [path.name for path in parts.iterdir()] == ["alive"]


def test_only_one_holds_a_lock_and_the_next_gets_it(tmp_path: Path) -> None:
    with try_lock(tmp_path / "lock") as first, try_lock(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with try_lock(tmp_path / "lock") as third:
        assert third
    assert not (tmp_path / "lock").exists()


def test_a_part_file_takes_right_leaves_only_and_knows_what_is_missing(tmp_path: Path) -> None:
    layout = Layout(2 * LEAF_BYTES, Cid.of_block(0x55, bytes(LEAF_BYTES)).digest * 2)
    with PartFile(tmp_path / "part", layout) as part:
        assert part.missing() == [0, 1], "a new file has nothing, though zeros would read as right"
        assert not part.put(0, b"\x01" * LEAF_BYTES)
        assert part.put(1, bytes(LEAF_BYTES))
    assert part.put(0, bytes(LEAF_BYTES)), "late, after closing: nothing happens"
    with PartFile(tmp_path / "part", layout) as again:
        assert again.missing() == []


def test_directories_that_double_at_each_level_are_judged_in_no_time(store: LocalStore) -> None:
    cid = store.add_bytes(b"x", provide=False, pin_until=None)
    for _ in range(40):
        block = encode_node(DagNode(DIRECTORY, (Link(cid, "a", 1), Link(cid, "b", 1))))
        cid = Cid.of_block(0x70, block)
        store.index.put_directory(cid, block, provide=False)
    assert store.holds(cid)
    store.index.set_provided(cid, provided=True)
    assert store.public_block(Cid.of_block(0x55, b"x")) == b"x"
    assert store.collect(grace_s=0).entries == 41


def test_a_file_that_a_killed_process_placed_but_did_not_record_is_collected(store: LocalStore) -> None:
    kept = store.add_bytes(b"kept", provide=False, pin_until=FOREVER)
    orphan = Cid.of_block(0x55, b"orphan")
    store.folder.file(orphan).parent.mkdir(exist_ok=True)
    store.folder.file(orphan).write_bytes(b"orphan")
    store.collect(grace_s=3600)
    assert not store.folder.file(orphan).exists()
    assert store.holds(kept)


def test_a_lost_index_is_made_anew_from_the_files(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    good = store.add_bytes(BODY, provide=True, pin_until=FOREVER)
    bad = store.add_bytes(b"rots", provide=True, pin_until=FOREVER)
    store.folder.file(bad).write_bytes(b"rotten")
    store.close()
    for path in (tmp_path / "store").glob("index.sqlite*"):
        path.unlink()
    (tmp_path / "store" / "files" / "aa").mkdir(exist_ok=True)
    (tmp_path / "store" / "files" / "aa" / "stray").touch()
    store = LocalStore(tmp_path / "store")
    assert [entry.cid for entry in store.index.entries()] == [good]
    assert store.verified(good) is not None
    assert store.public_layout(good) is None
    store.close()


def test_a_damaged_index_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    LocalStore(tmp_path / "store").close()
    for path in (tmp_path / "store").glob("index.sqlite*"):
        path.write_bytes(b"no database" * 1000)
    with pytest.raises(ContentError, match="delete it"):
        LocalStore(tmp_path / "store")


def _add_many(root: Path, worker: int, barrier: object) -> None:
    store = LocalStore(root)
    barrier.wait()  # type: ignore[attr-defined]
    for index in range(40):
        store.add_bytes(f"shared {index}".encode() * 1000, provide=True, pin_until=None)
        store.add_bytes(f"own {worker} {index}".encode(), provide=False, pin_until=FOREVER)
        store.collect(grace_s=3600)
    store.close()


def test_processes_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    children = [
        context.Process(target=_add_many, args=(tmp_path / "store", worker, barrier)) for worker in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    store = LocalStore(tmp_path / "store")
    held = store.index.held()
    assert held.files == 40 + 3 * 40
    assert all(store.verified(entry.cid) is not None for entry in store.index.entries())
    store.close()


FULL_DISK = """
import os, sys
from pathlib import Path
from steelyard.content.local_store import LocalStore
from steelyard.errors import DiskFull
root, source = Path(sys.argv[1]), Path(sys.argv[2])
store = LocalStore(root)
try:
    store.add(source, provide=True, pin_until=None)
except DiskFull as error:
    print(error)
    left = [p.name for p in root.rglob("*") if p.is_file() and "index" not in p.name]
    print(left, store.index.held().files)
"""


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A limit on file size stands in for a full disk: a write fails half-way."""
    source = Path("/dev/shm") / f"steelyard-{os.getpid()}"  # noqa: S108 - elsewhere, so it is copied
    try:
        source.write_bytes(bytes(4 * LEAF_BYTES))
        result = subprocess.run(
            [sys.executable, "-c", FULL_DISK, str(tmp_path / "store"), str(source)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2 * LEAF_BYTES,) * 2),
        )
    finally:
        source.unlink()
    assert "no room to write" in result.stdout, result.stderr
    assert "free disk space" in result.stdout
    assert result.stdout.splitlines()[1] == "[] 0"


def test_a_full_disk_while_fetching_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    layout = Layout(5, Cid.of_block(0x55, b"12345").digest)
    with PartFile(tmp_path / "part", layout) as part:
        monkeypatch.setattr("steelyard.content.part_file.os.pwrite", full)
        with pytest.raises(DiskFull, match="No space left"):
            part.put(0, b"12345")


def test_a_file_larger_than_the_free_space_is_refused_before_it_is_fetched(store: LocalStore) -> None:
    with pytest.raises(DiskFull, match="bytes free"):
        store.folder.need_room(1 << 60)
