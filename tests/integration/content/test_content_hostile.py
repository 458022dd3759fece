"""Peers that lie, stall or flood: a clear error or another peer, in bounded time, disk and memory."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import mangling_proxy as peers
import pytest
from mangling_proxy import Proxy, Reply

from steelyard.content import Cid, EmbeddedStore
from steelyard.content.dagpb import DIRECTORY, FILE, DagNode, Link, encode_node
from steelyard.content.layout import LEAF_BYTES, Layout
from steelyard.core.cid import DAG_PB, RAW
from steelyard.errors import ContentCorrupt, ContentError, ContentMissing, ContentTooLarge
from support.stores import MakeStore

MIB = LEAF_BYTES
HOSTILE: dict[str, Callable[[], Reply]] = {
    "wrong byte": lambda: peers.wrong_byte,
    "truncated": lambda: peers.cut_after(300),
    "cut before the first byte": lambda: peers.cut_after(0),
    "stalls": lambda: peers.stall_after(200),
    "trickles": lambda: peers.trickle,
    "never answers": lambda: peers.never_answers,
    "endless": lambda: peers.endless(None),
    "10 GB declared": lambda: peers.endless(10_000_000_000),
    "endless headers": lambda: peers.endless_headers,
    "redirects": lambda: peers.status(302, "Location: http://127.0.0.1:1/"),
    "server error": lambda: peers.status(500),
    "empty answer": lambda: peers.status(200),
    "bytes from elsewhere": lambda: peers.shifted_range,
    "packed": lambda: peers.zipped,
    "no HTTP": lambda: peers.garbage,
}


def noise(size: int) -> bytes:
    return Random(size).randbytes(size)


def stored_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and "index" not in path.name]


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


@pytest.mark.parametrize("size", [700, 3 * MIB + 1])
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_peer_beside_an_honest_one_only_costs_time(
    make_store: MakeStore, tmp_path: Path, name: str, size: int
) -> None:
    giver = await make_store()
    data = noise(size)
    cid = await giver.add_bytes(data)
    async with Proxy(giver.url, HOSTILE[name]()) as hostile:
        taker = await make_store(hostile.url, str(giver.url))
        path = await taker.get(cid, tmp_path / "out", max_bytes=size, timeout_s=60)
        assert path.read_bytes() == data


@pytest.mark.parametrize("size", [700, 3 * MIB + 1])
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_peers_alone_end_in_a_clear_error_by_the_deadline(
    make_store: MakeStore, tmp_path: Path, name: str, size: int
) -> None:
    giver = await make_store()
    cid = await giver.add_bytes(noise(size))
    async with Proxy(giver.url, HOSTILE[name]()) as hostile:
        taker = await make_store(hostile.url)
        # Only a header says that it is packed; and a file of one block is asked for without a range.
        harmless = name == "packed" or (name, size) == ("bytes from elsewhere", 700)
        with contextlib.nullcontext() if harmless else pytest.raises(ContentMissing, match=str(cid)):
            async with asyncio.timeout(60):
                await taker.get(cid, tmp_path / "out", max_bytes=size, timeout_s=1.5)
        assert (tmp_path / "out").exists() == harmless
        await taker.gc(grace_s=0)
    assert stored_files(tmp_path / "store2") == []


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_peer_that_is_hostile_once_the_fetch_has_begun_only_costs_time(
    make_store: MakeStore, tmp_path: Path, name: str
) -> None:
    size = 20 * MIB + 1
    giver = await make_store()
    data = noise(size)
    cid = await giver.add_bytes(data)
    async with Proxy(giver.url, peers.only_files(HOSTILE[name]())) as hostile:
        taker = await make_store(hostile.url)
        with contextlib.suppress(ContentMissing):
            await taker.get(cid, tmp_path / "out", max_bytes=size, timeout_s=1.5)
        assert not (tmp_path / "out").exists() or (tmp_path / "out").read_bytes() == data
        path = await taker.get(
            cid, tmp_path / "out", max_bytes=size, timeout_s=60, hints=[hostile.url, str(giver.url)]
        )
        assert path.read_bytes() == data


async def test_a_liar_is_not_asked_again(make_store: MakeStore, tmp_path: Path) -> None:
    giver = await make_store()
    async with Proxy(giver.url, peers.wrong_byte) as liar:
        taker = await make_store(liar.url, str(giver.url))
        for size in (10, 20, 30):
            cid = await giver.add_bytes(noise(size))
            await taker.get(cid, tmp_path / str(size), max_bytes=size, timeout_s=60)
        assert len(liar.requests) <= 1


async def test_a_peer_that_turns_bad_midway_is_replaced(make_store: MakeStore, tmp_path: Path) -> None:
    size = 40 * MIB
    giver = await make_store()
    data = noise(size)
    cid = await giver.add_bytes(data)
    bad = [peers.dies_after(7 * MIB + 5), peers.stall_after(3 * MIB), peers.wrong_byte]
    async with Proxy(giver.url, bad[0]) as a, Proxy(giver.url, bad[1]) as b, Proxy(giver.url, bad[2]) as c:
        taker = await make_store(a.url, b.url, c.url, str(giver.url))
        path = await taker.get(cid, tmp_path / "out", max_bytes=size, timeout_s=60)
    assert path.read_bytes() == data


async def test_tricklers_that_take_every_lane_do_not_hold_up_an_honest_peer(
    make_store: MakeStore, tmp_path: Path
) -> None:
    size = 8 * MIB
    giver = await make_store()
    data = noise(size)
    cid = await giver.add_bytes(data)
    async with contextlib.AsyncExitStack() as stack:
        slow = [Proxy(giver.url, peers.only_files(peers.trickle)) for _ in range(8)]
        urls = [(await stack.enter_async_context(proxy)).url for proxy in slow]
        taker = await make_store(*urls, str(giver.url))
        path = await taker.get(cid, tmp_path / "out", max_bytes=size, timeout_s=60)
    assert path.read_bytes() == data


class Planted:
    """Serves blocks that no honest store would make."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}

    def put(self, codec: int, block: bytes) -> Cid:
        cid = Cid.of_block(codec, block)
        self.blocks[str(cid)] = block
        return cid

    def node(self, node: DagNode) -> Cid:
        return self.put(DAG_PB, encode_node(node))

    async def __call__(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    def peer(self) -> Proxy:
        proxy = Proxy(None)

        async def reply(_head: bytes, _body: bytes, writer: asyncio.StreamWriter) -> None:
            path = proxy.requests[-1].split()[1].split("/")[2].split("?")[0]
            block = self.blocks.get(path)
            code, data = ("404 No", b"") if block is None else ("200 OK", block)
            writer.write(
                f"HTTP/1.1 {code}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data
            )
            await writer.drain()

        proxy.reply = reply
        return proxy


async def planted_get(
    make_store: MakeStore, planted: Planted, cid: Cid, dest: Path, limit: int
) -> EmbeddedStore:
    async with planted.peer() as peer:
        taker = await make_store(peer.url)
        try:
            async with asyncio.timeout(60):  # known at once, not by the deadline
                await taker.get(cid, dest, max_bytes=limit, timeout_s=600)
        finally:
            assert dest.name not in names(dest.parent)
    return taker


def file_node(size: int, sizes: list[int], links: list[Link]) -> DagNode:
    return DagNode(FILE, tuple(links), size, tuple(sizes))


async def test_10_gb_declared_in_a_root_are_refused_at_once(make_store: MakeStore, tmp_path: Path) -> None:
    planted = Planted()
    leaf = planted.put(RAW, bytes(MIB))
    cid = planted.node(file_node(10 * 10**9, [MIB], [Link(leaf, "", MIB)]))
    with pytest.raises(ContentTooLarge, match="10000000000"):
        await planted_get(make_store, planted, cid, tmp_path / "out", 10**9)


@pytest.mark.parametrize(
    "shape", ["more links", "small leaves", "inner leaf", "empty", "one link", "not sizes"]
)
async def test_a_dag_that_the_profile_does_not_give_is_refused(
    make_store: MakeStore, tmp_path: Path, shape: str
) -> None:
    """Its bytes would have another CID when added, so two honest nodes would disagree on what they hold."""
    planted = Planted()
    full, small = planted.put(RAW, bytes(MIB)), planted.put(RAW, bytes(100))
    big_link, link = Link(full, "", MIB), Link(small, "", 100)
    nodes = {
        "more links": file_node(2 * MIB, [MIB, MIB], [big_link] * 3),
        "small leaves": file_node(200, [100, 100], [link, link]),
        "inner leaf": file_node(MIB + 100, [MIB, 100], [big_link, Link(Cid(DAG_PB, bytes(32)), "", 100)]),
        "empty": file_node(0, [], []),
        "one link": file_node(100, [100], [link]),
        "not sizes": file_node(MIB + 100, [MIB, 101], [big_link, link]),
    }
    with pytest.raises(ContentCorrupt):
        await planted_get(make_store, planted, planted.node(nodes[shape]), tmp_path / "out", 10 * MIB)


async def test_a_root_of_many_repeated_inner_nodes_is_no_bomb(make_store: MakeStore, tmp_path: Path) -> None:
    planted = Planted()
    inner = planted.node(file_node(0, [], []))
    root = planted.node(file_node(1024 * 1024 * MIB, [1024 * MIB] * 1024, [Link(inner, "", 9)] * 1024))
    with pytest.raises(ContentCorrupt):
        await planted_get(make_store, planted, root, tmp_path / "out", 1 << 60)


async def test_garbage_under_a_dag_pb_cid_is_refused(make_store: MakeStore, tmp_path: Path) -> None:
    planted = Planted()
    random = Random(5)
    for _ in range(30):
        cid = planted.put(DAG_PB, random.randbytes(random.randrange(1, 400)))
        with pytest.raises(ContentCorrupt):
            await planted_get(make_store, planted, cid, tmp_path / "out", MIB)


@pytest.mark.parametrize("name", ["..", "a/b", "/etc/passwd", "", "a\\b", "\x00"])
async def test_path_tricks_in_a_directory_write_nothing(
    make_store: MakeStore, tmp_path: Path, name: str
) -> None:
    planted = Planted()
    leaf = planted.put(RAW, b"evil")
    root = planted.node(DagNode(DIRECTORY, (Link(leaf, name, 4),)))
    before = names(tmp_path)
    async with planted.peer() as peer:
        taker = await make_store(peer.url, root=tmp_path / "inner" / "store")
        with pytest.raises(ContentCorrupt):
            await taker.get_directory(root, tmp_path / "inner" / "out", max_bytes=99, timeout_s=60)
        with pytest.raises(ContentError):
            await taker.get(root, tmp_path / "inner" / "out", max_bytes=99, timeout_s=60, path=name or "x")
    assert names(tmp_path) == sorted(["inner", *before])
    assert names(tmp_path / "inner") == ["store"]


async def test_directories_that_double_at_each_level_are_cut_off(
    make_store: MakeStore, tmp_path: Path
) -> None:
    planted = Planted()
    cid = planted.put(RAW, b"x")
    for _ in range(30):  # 2^30 paths from 31 blocks
        cid = planted.node(DagNode(DIRECTORY, (Link(cid, "a", 1), Link(cid, "b", 1))))
    async with planted.peer() as peer:
        taker = await make_store(peer.url)
        with pytest.raises(ContentTooLarge):
            await taker.get_directory(cid, tmp_path / "out", max_bytes=10**9, timeout_s=60, max_files=300)
    assert not (tmp_path / "out").exists()


async def test_directories_too_deep_are_cut_off(make_store: MakeStore, tmp_path: Path) -> None:
    planted = Planted()
    cid = planted.put(RAW, b"x")
    for _ in range(100):
        cid = planted.node(DagNode(DIRECTORY, (Link(cid, "a", 1),)))
    async with planted.peer() as peer:
        taker = await make_store(peer.url)
        with pytest.raises(ContentTooLarge, match="deep"):
            await taker.get_directory(cid, tmp_path / "out", max_bytes=10**9, timeout_s=60)


MEMORY = """
import asyncio, sys, threading, time
from pathlib import Path
from steelyard.content import Cid, EmbeddedStore, StoreConfig
from steelyard.errors import ContentError

def rss():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))

async def main(root, cid, limit, urls):
    config = StoreConfig(root=Path(root), peers=urls, allow_private=True, exchange=False, stall_s=1, leaf_s=2)
    async with EmbeddedStore(config) as store:
        idle = peak = rss()
        def watch():
            nonlocal peak
            while True:
                peak = max(peak, rss())
                time.sleep(0.002)
        threading.Thread(target=watch, daemon=True).start()
        try:
            wanted, out = Cid.parse(cid), Path(root) / "out"
            try:
                await store.get(wanted, out, max_bytes=limit, timeout_s=4)
            except ContentError as error:
                if "is a directory" not in error.message:
                    raise
                await store.get_directory(wanted, out, max_bytes=limit, timeout_s=60)
            print("got it")
        except ContentError as error:
            print(type(error).__name__)
        print((peak - idle) // 1024)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), tuple(sys.argv[4:])))
"""


def reply(name: str) -> Reply:
    if name.startswith("files: "):
        return peers.only_files(HOSTILE[name.removeprefix("files: ")]())
    return peers.honest if name == "honest" else HOSTILE[name]()


@pytest.mark.parametrize(
    "name", ["honest", "10 GB declared", "endless headers", "files: endless", "files: 10 GB declared"]
)
async def test_memory_over_idle_stays_under_64_mb_whatever_peers_send(
    make_store: MakeStore, tmp_path: Path, name: str
) -> None:
    size = 150 * MIB
    giver = await make_store()
    cid = await giver.add_bytes(noise(size))
    async with contextlib.AsyncExitStack() as stack:
        proxies = [Proxy(giver.url, reply(name)) for _ in range(8)]
        urls = [(await stack.enter_async_context(proxy)).url for proxy in proxies]
        urls = [str(giver.url)] if name == "honest" else urls
        result = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", MEMORY, str(tmp_path / "child"), str(cid), str(10**11), *urls],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    outcome, grown = result.stdout.split("\n")[:2]
    assert outcome == ("got it" if name == "honest" else "ContentMissing"), result.stderr
    assert int(grown) < 64


def tree_without_leaves(planted: Planted, gib: int) -> Cid:
    """The root of a well-formed tree over that many GiB, none of whose leaves anybody has."""
    leaves = b"".join(number.to_bytes(32) for number in range(gib * 1024))
    cid, _, inner = Layout(gib << 30, leaves).tree()
    for block in inner:
        planted.put(DAG_PB, block.data)
    return cid


def folder_of_many(planted: Planted) -> Cid:
    """A folder of folders, 4,000 names each, as many as fit into one listing."""
    leaf = planted.put(RAW, b"x")
    low = planted.node(DagNode(DIRECTORY, tuple(Link(leaf, f"{i:05}", 1) for i in range(4000))))
    return planted.node(DagNode(DIRECTORY, tuple(Link(low, f"{i:05}", 1) for i in range(4000))))


@pytest.mark.parametrize("name", ["10 GiB without leaves", "16 million names"])
async def test_memory_and_disk_stay_small_whatever_a_tree_declares(tmp_path: Path, name: str) -> None:
    planted = Planted()
    cid = folder_of_many(planted) if "names" in name else tree_without_leaves(planted, 10)
    async with planted.peer() as peer:
        result = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", MEMORY, str(tmp_path / "child"), str(cid), str(10**11), peer.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    outcome, grown = result.stdout.split("\n")[:2]
    assert outcome.endswith(("Missing", "Full", "TooLarge", "ContentError")), result.stdout + result.stderr
    assert int(grown) < 64
    allocated = sum(path.stat().st_blocks * 512 for path in (tmp_path / "child").rglob("*"))
    assert allocated < 100 * MIB
