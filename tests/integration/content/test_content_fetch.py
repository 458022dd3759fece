"""Files from one store to another over real HTTP: whole, in parts, several at once, and after a cut."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from pathlib import Path
from random import Random

import pytest
from mangling_proxy import Proxy, blocks_only, dies_after, honest, ignores_ranges

from steelyard.content import FOREVER, Cid, EmbeddedStore, StoreConfig
from steelyard.content.layout import LEAF_BYTES
from steelyard.errors import ContentCorrupt, ContentError, ContentMissing, ContentTooLarge, DiskFull
from support.stores import MakeStore

MIB = LEAF_BYTES
SIZES = [0, 1, 1000, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 17 * MIB - 1, 33 * MIB + 5]


def noise(size: int, seed: int = 1) -> bytes:
    return Random(seed).randbytes(size)


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_arrives_as_it_was_added(make_store: MakeStore, tmp_path: Path, size: int) -> None:
    giver = await make_store()
    taker = await make_store(giver.url)
    data = noise(size)
    (tmp_path / "source").write_bytes(data)
    cid = await giver.add(tmp_path / "source")
    assert await giver.cid_of(tmp_path / "source") == cid
    path = await taker.get(cid, tmp_path / "out" / "file", max_bytes=size, timeout_s=60)
    assert path.read_bytes() == data
    assert await taker.has(cid)
    assert await taker.cid_of(path) == cid


async def test_random_sizes_around_leaf_boundaries_arrive(make_store: MakeStore, tmp_path: Path) -> None:
    giver = await make_store()
    taker = await make_store(giver.url)
    random = Random(7)
    for index in range(25):
        size = max(0, random.randrange(4) * MIB + random.choice([-1, 0, 1, random.randrange(MIB)]))
        data = noise(size, index)
        cid = await giver.add_bytes(data)
        path = await taker.get(cid, tmp_path / str(index), max_bytes=size, timeout_s=60)
        assert path.read_bytes() == data


async def test_what_was_fetched_is_handed_on_only_where_asked(make_store: MakeStore, tmp_path: Path) -> None:
    first = await make_store()
    cid = await first.add_bytes(noise(3 * MIB))
    quiet = await make_store(first.url)
    loud = await make_store(first.url)
    await quiet.get(cid, tmp_path / "a", max_bytes=4 * MIB, timeout_s=60)
    await loud.get(cid, tmp_path / "b", max_bytes=4 * MIB, timeout_s=60, provide=True, pin_until=FOREVER)
    last = await make_store()
    with pytest.raises(ContentMissing):
        await last.get(cid, tmp_path / "c", max_bytes=4 * MIB, timeout_s=0.5, hints=[str(quiet.url)])
    await last.get(cid, tmp_path / "c", max_bytes=4 * MIB, timeout_s=60, hints=[str(loud.url)])
    assert [entry.pinned_until for entry in await loud.ls()] == [FOREVER]
    assert [entry.provided for entry in await quiet.ls()] == [False]


async def test_a_get_waits_for_a_file_that_is_provided_later(make_store: MakeStore, tmp_path: Path) -> None:
    giver = await make_store()
    taker = await make_store(giver.url)
    cid = await giver.add_bytes(noise(2 * MIB), provide=False)
    get = asyncio.create_task(taker.get(cid, tmp_path / "out", max_bytes=2 * MIB, timeout_s=60))
    await asyncio.sleep(0.5)
    assert not get.done()
    await giver.provide(cid)
    assert (await get).stat().st_size == 2 * MIB


async def test_nobody_hands_it_out_in_time(make_store: MakeStore, tmp_path: Path) -> None:
    giver = await make_store()
    taker = await make_store(giver.url, "http://127.0.0.1:9")
    with pytest.raises(ContentMissing, match="2 peers asked") as caught:
        async with asyncio.timeout(60):
            await taker.get(Cid(0x70, bytes(32)), tmp_path / "out", max_bytes=9, timeout_s=0.7)
    assert caught.value.remedy
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [1000, 5 * MIB])
async def test_a_file_larger_than_allowed_is_refused_before_it_is_fetched(
    make_store: MakeStore, tmp_path: Path, size: int
) -> None:
    giver = await make_store()
    cid = await giver.add_bytes(noise(size))
    async with Proxy(giver.url) as proxy:
        taker = await make_store(proxy.url)
        with pytest.raises(ContentTooLarge, match=str(size)):
            await taker.get(cid, tmp_path / "out", max_bytes=size - 1, timeout_s=60)
        assert proxy.body_bytes < 2000
    with pytest.raises(ContentTooLarge):
        await giver.get(cid, tmp_path / "out", max_bytes=size - 1, timeout_s=60)


@pytest.mark.parametrize("cut", [0, 1, 150_000, MIB - 1, MIB, MIB + 1, 5 * MIB + 77, 12 * MIB - 1])
async def test_a_fetch_goes_on_where_it_was_cut(make_store: MakeStore, tmp_path: Path, cut: int) -> None:
    size = 12 * MIB + 9
    data = noise(size)
    giver = await make_store()
    cid = await giver.add_bytes(data)
    root = tmp_path / "cut"
    async with Proxy(giver.url, dies_after(cut)) as broken:
        taker = await make_store(broken.url, root=root)
        with pytest.raises(ContentMissing):
            await taker.get(cid, tmp_path / "out", max_bytes=size, timeout_s=0.6)
        await taker.__aexit__()
    assert not (tmp_path / "out").exists()
    part = root / "parts" / str(cid)
    assert part.exists()
    async with Proxy(giver.url) as good:
        taker = await make_store(good.url, root=root)
        path = await taker.get(cid, tmp_path / "out", max_bytes=size, timeout_s=60)
        # What was on its way through the socket when the cut came is lost, and no more.
        assert good.body_bytes <= size - cut // MIB * MIB + MIB + 100_000
    assert path.read_bytes() == data
    assert not part.exists()


async def test_a_part_with_any_garbage_in_it_is_mended(make_store: MakeStore, tmp_path: Path) -> None:
    size = 4 * MIB + 5
    data = noise(size)
    giver = await make_store()
    cid = await giver.add_bytes(data)
    random = Random(3)
    for index in range(12):
        taker = await make_store(giver.url)
        part = tmp_path / f"store{index + 2}" / "parts" / str(cid)
        kept = random.randrange(size)
        part.write_bytes(data[:kept] + random.randbytes(random.randrange(2 * MIB)))
        path = await taker.get(cid, tmp_path / "out" / str(index), max_bytes=size, timeout_s=60)
        assert path.read_bytes() == data


async def test_many_gets_of_one_file_fetch_it_once(make_store: MakeStore, tmp_path: Path) -> None:
    size = 6 * MIB
    giver = await make_store()
    cid = await giver.add_bytes(noise(size))
    async with Proxy(giver.url) as proxy:
        taker = await make_store(proxy.url)
        paths = await asyncio.gather(
            *(taker.get(cid, tmp_path / str(n), max_bytes=size, timeout_s=60) for n in range(8))
        )
        assert proxy.body_bytes < size + 100_000
    assert len({path.stat().st_ino for path in paths}) == 1


async def test_a_get_with_little_time_does_not_spoil_the_others(
    make_store: MakeStore, tmp_path: Path
) -> None:
    giver = await make_store()
    taker = await make_store(giver.url)
    cid = await giver.add_bytes(noise(2 * MIB), provide=False)
    short = asyncio.create_task(taker.get(cid, tmp_path / "a", max_bytes=2 * MIB, timeout_s=0.3))
    long = asyncio.create_task(taker.get(cid, tmp_path / "b", max_bytes=2 * MIB, timeout_s=60))
    with pytest.raises(ContentMissing):
        await short
    await giver.provide(cid)
    await long


def _get_in_a_process(root: Path, url: str, cid: str, dest: Path) -> None:
    async def run() -> None:
        config = StoreConfig(root=root, peers=(url,), serve=False, exchange=False, allow_private=True)
        async with EmbeddedStore(config) as store:
            await store.get(Cid.parse(cid), dest, max_bytes=99 * MIB, timeout_s=60)

    asyncio.run(run())


async def test_two_processes_on_one_folder_fetch_a_file_once(make_store: MakeStore, tmp_path: Path) -> None:
    size = 20 * MIB
    giver = await make_store()
    cid = await giver.add_bytes(noise(size))
    async with Proxy(giver.url) as proxy:
        context = multiprocessing.get_context("spawn")
        children = [
            context.Process(
                target=_get_in_a_process, args=(tmp_path / "shared", proxy.url, str(cid), tmp_path / name)
            )
            for name in ("a", "b")
        ]
        for child in children:
            child.start()
        for child in children:
            await asyncio.to_thread(child.join, 60)
            assert child.exitcode == 0
        assert proxy.body_bytes < size + 200_000
    assert (tmp_path / "a").samefile(tmp_path / "b")


async def test_several_peers_share_the_work(make_store: MakeStore, tmp_path: Path) -> None:
    size = 64 * MIB
    givers = [await make_store() for _ in range(3)]
    data = noise(size)
    cids = [await giver.add_bytes(data) for giver in givers]
    async with Proxy(givers[0].url) as a, Proxy(givers[1].url) as b, Proxy(givers[2].url) as c:
        taker = await make_store(a.url, b.url, c.url)
        path = await taker.get(cids[0], tmp_path / "out", max_bytes=size, timeout_s=60)
        sent = [a.body_bytes, b.body_bytes, c.body_bytes]
    assert path.read_bytes() == data
    assert min(sent) >= 8 * MIB
    assert sum(sent) < size + 20 * MIB


@pytest.mark.parametrize("reply", [blocks_only, ignores_ranges])
async def test_a_gateway_that_gives_single_blocks_only_will_do(
    make_store: MakeStore, tmp_path: Path, reply: object
) -> None:
    giver = await make_store()
    data = noise(5 * MIB + 3)
    cid = await giver.add_bytes(data)
    async with Proxy(giver.url, reply) as gateway:  # type: ignore[arg-type]
        taker = await make_store(gateway.url)
        path = await taker.get(cid, tmp_path / "out", max_bytes=9 * MIB, timeout_s=60)
        assert any("format=raw" in request for request in gateway.requests[1:])
    assert path.read_bytes() == data


async def test_a_store_with_the_file_asks_nobody(make_store: MakeStore, tmp_path: Path) -> None:
    async with Proxy(None, honest) as proxy:
        store = await make_store(proxy.url)
        cid = await store.add_bytes(noise(3 * MIB), provide=False)
        await store.get(cid, tmp_path / "out", max_bytes=4 * MIB, timeout_s=60)
        assert proxy.requests == []


@pytest.mark.parametrize("size", [500, 3 * MIB])
async def test_a_damaged_file_is_fetched_anew_and_named_where_nobody_has_it(
    make_store: MakeStore, tmp_path: Path, size: int
) -> None:
    giver = await make_store()
    data = noise(size)
    cid = await giver.add_bytes(data)
    taker = await make_store(giver.url)
    await taker.get(cid, tmp_path / "a", max_bytes=size, timeout_s=60, provide=True)
    stored = tmp_path / "store2" / "files" / str(cid)[-2:] / str(cid)
    with stored.open("r+b") as stream:
        stream.seek(size // 2)
        stream.write(b"rotten")
    with pytest.raises(ContentCorrupt, match=str(cid)):
        await taker.read(cid, size // 2, 10)
    assert not await taker.has(cid)
    path = await taker.get(cid, tmp_path / "b", max_bytes=size, timeout_s=60)
    assert path.read_bytes() == data
    assert (await taker.ls())[0].provided
    with stored.open("r+b") as stream:
        stream.write(b"rotten")
    await giver.withhold(cid)
    with pytest.raises(ContentCorrupt, match=str(stored)):
        await taker.get(cid, tmp_path / "c", max_bytes=size, timeout_s=0.5)
    assert not (tmp_path / "c").exists()


async def test_a_full_disk_ends_a_get_and_leaves_nothing(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    giver = await make_store()
    cid = await giver.add_bytes(noise(5 * MIB))
    taker = await make_store(giver.url)
    real = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if offset >= 2 * MIB:
            raise OSError(28, "No space left on device")
        return real(fd, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr("steelyard.content.part_file.os.pwrite", full)
        with pytest.raises(DiskFull, match="No space left"):
            await taker.get(cid, tmp_path / "out", max_bytes=9 * MIB, timeout_s=60)
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "store2" / "parts").iterdir()) == []
    assert not await taker.has(cid)
    await taker.get(cid, tmp_path / "out", max_bytes=9 * MIB, timeout_s=60)


async def test_a_file_is_got_by_its_path_in_a_directory(make_store: MakeStore, tmp_path: Path) -> None:
    giver = await make_store()
    (tmp_path / "m").write_bytes(b"manifest")
    (tmp_path / "s").write_bytes(noise(2 * MIB))
    root = await giver.add_directory({"manifest.json": tmp_path / "m", "shards/0.bin": tmp_path / "s"})
    taker = await make_store(giver.url)
    path = await taker.get(root, tmp_path / "o", max_bytes=3 * MIB, timeout_s=60, path="shards/0.bin")
    assert path.read_bytes() == noise(2 * MIB)
    assert set(await taker.listing(root, timeout_s=60)) == {"manifest.json", "shards"}
    assert set(await taker.listing(root, timeout_s=60, path="shards")) == {"0.bin"}
    assert not await taker.has(root)
    with pytest.raises(ContentMissing, match="nothing"):
        await taker.get(root, tmp_path / "n", max_bytes=9, timeout_s=60, path="nothing")
    with pytest.raises(ContentError):
        await taker.get(root, tmp_path / "n", max_bytes=9, timeout_s=60, path="../x")
    with pytest.raises(ContentError, match="is a directory"):
        await taker.get(root, tmp_path / "n", max_bytes=9, timeout_s=60)
    with pytest.raises(ContentError, match="file, not a directory"):
        await taker.get(root, tmp_path / "n", max_bytes=9, timeout_s=60, path="shards/0.bin/x")


async def test_a_whole_directory_arrives_and_can_be_handed_on(make_store: MakeStore, tmp_path: Path) -> None:
    giver = await make_store()
    folder = tmp_path / "folder"
    for name, size in {"a": 0, "b/c": 3, "b/d/e": MIB + 1, ".hidden": 5}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(noise(size))
    (folder / "empty").mkdir()
    root = await giver.add_directory(folder)
    assert root == await giver.cid_of(folder)
    middle = await make_store(giver.url)
    await middle.get_directory(root, tmp_path / "x", max_bytes=2 * MIB, timeout_s=60, provide=True)
    assert await middle.has(root)
    last = await make_store(str(middle.url))
    out = await last.get_directory(root, tmp_path / "y", max_bytes=2 * MIB, timeout_s=60)
    assert await last.cid_of(out) == root
    assert (out / "b" / "d" / "e").read_bytes() == noise(MIB + 1)
    assert (out / "empty").is_dir()


async def test_a_directory_over_the_limits_leaves_nothing(make_store: MakeStore, tmp_path: Path) -> None:
    giver = await make_store()
    (tmp_path / "f").write_bytes(noise(1000))
    (tmp_path / "g").write_bytes(noise(1000, 2))
    root = await giver.add_directory({"f": tmp_path / "f", "g": tmp_path / "g"})
    taker = await make_store(giver.url)
    with pytest.raises(ContentTooLarge):
        await taker.get_directory(root, tmp_path / "x", max_bytes=1500, timeout_s=60)
    with pytest.raises(ContentTooLarge, match="names"):
        await taker.get_directory(root, tmp_path / "x", max_bytes=9000, timeout_s=60, max_files=1)
    assert not (tmp_path / "x").exists()
    assert hidden(tmp_path) == []
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").touch()
    with pytest.raises(ContentError):
        await taker.get_directory(root, tmp_path / "x", max_bytes=9000, timeout_s=60)


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    store = EmbeddedStore(StoreConfig(root=tmp_path / "s"))
    with pytest.raises(ContentError, match="not open"):
        await store.has(Cid(0x55, bytes(32)))
    with pytest.raises(ContentError, match="not open"):
        await store.get(Cid(0x55, bytes(32)), tmp_path / "x", max_bytes=1, timeout_s=1)


async def test_what_is_not_held_cannot_be_provided_withheld_or_pinned(make_store: MakeStore) -> None:
    store = await make_store()
    cid = Cid(0x55, bytes(32))
    for call in (store.provide(cid), store.withhold(cid), store.pin(cid)):
        with pytest.raises(ContentMissing, match="not held"):
            await call
