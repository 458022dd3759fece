"""The promises of every content store: the embedded one, and one on IPFS daemons, real or recorded."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from steelyard.content import FOREVER, Cid
from steelyard.content.layout import LEAF_BYTES
from steelyard.errors import ContentError, ContentMissing, ContentTooLarge
from support.stores import SHORT_S, Yard

MIB = LEAF_BYTES
LONG_S = 60.0
MOST = 1 << 30


@pytest.mark.parametrize("size", [0, 1, 1000, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])
async def test_a_file_arrives_whole(yard: Yard, size: int) -> None:
    giver = await yard.store(0)
    taker = await yard.store(1)
    source = yard.file(size)
    cid = await giver.add(source)
    assert await giver.cid_of(source) == cid
    path = await taker.get(cid, yard.folder / "out" / "file", max_bytes=size, timeout_s=LONG_S)
    assert path.read_bytes() == source.read_bytes()
    assert await taker.has(cid)
    assert await taker.read(cid, size // 2, 10) == source.read_bytes()[size // 2 : size // 2 + 10]


async def test_nobody_gets_what_is_only_hashed_or_kept(yard: Yard) -> None:
    giver = await yard.store(0)
    source = yard.file(MIB + 9)
    cid = await giver.cid_of(source)
    assert not await yard.stranger_gets(cid)
    assert await giver.add(source, provide=False) == cid
    assert await giver.has(cid)
    assert not await yard.stranger_gets(cid)
    await giver.provide(cid)
    assert await yard.stranger_gets(cid)
    await giver.withhold(cid)
    assert not await yard.stranger_gets(cid)
    assert await giver.has(cid)


async def test_a_get_waits_until_somebody_provides(yard: Yard) -> None:
    giver = await yard.store(0)
    taker = await yard.store(1)
    cid = await giver.add(yard.file(2 * MIB), provide=False)
    get = asyncio.create_task(taker.get(cid, yard.folder / "out", max_bytes=MOST, timeout_s=LONG_S))
    await asyncio.sleep(0.5)
    assert not get.done()
    await giver.provide(cid)
    assert (await get).stat().st_size == 2 * MIB


async def test_a_get_ends_in_time_where_nobody_has_it(yard: Yard) -> None:
    taker = await yard.store(0)
    with pytest.raises(ContentMissing) as caught:
        async with asyncio.timeout(60):
            await taker.get(Cid(0x70, bytes(31) + b"\1"), yard.folder / "out", max_bytes=9, timeout_s=SHORT_S)
    assert caught.value.remedy
    assert not (yard.folder / "out").exists()


@pytest.mark.parametrize("size", [1000, 3 * MIB])
async def test_a_larger_file_than_expected_is_refused(yard: Yard, size: int) -> None:
    giver = await yard.store(0)
    taker = await yard.store(1)
    cid = await giver.add(yard.file(size))
    with pytest.raises(ContentTooLarge, match=str(size)):
        await taker.get(cid, yard.folder / "out", max_bytes=size - 1, timeout_s=LONG_S)
    assert not (yard.folder / "out").exists()


async def test_a_directory_arrives_whole_or_by_path(yard: Yard) -> None:
    giver = await yard.store(0)
    files = {"manifest.json": yard.file(300, "m"), "shards/0.bin": yard.file(2 * MIB, "s")}
    root = await giver.add_directory(files)
    taker = await yard.store(1)
    path = await taker.get(root, yard.folder / "one", max_bytes=MOST, timeout_s=LONG_S, path="shards/0.bin")
    assert path.read_bytes() == files["shards/0.bin"].read_bytes()
    assert set(await taker.listing(root, timeout_s=LONG_S)) == {"manifest.json", "shards"}
    out = await taker.get_directory(root, yard.folder / "all", max_bytes=MOST, timeout_s=LONG_S)
    assert await taker.cid_of(out) == root
    with pytest.raises(ContentMissing, match="nothing"):
        await taker.get(root, yard.folder / "n", max_bytes=9, timeout_s=LONG_S, path="nothing")


async def test_a_directory_for_a_hamt_is_refused_when_published(yard: Yard) -> None:
    giver = await yard.store(0)
    empty = yard.file(0, "empty")
    with pytest.raises(ContentTooLarge, match="names") as caught:
        await giver.add_directory({f"file-{n:05}": empty for n in range(6000)})
    assert "subfolders" in caught.value.remedy


async def test_a_withheld_directory_is_not_handed_out_nor_what_is_in_it(yard: Yard) -> None:
    giver = await yard.store(0)
    one, two = yard.file(10, "one"), yard.file(11, "two")
    root = await giver.add_directory({"one": one, "two": two})
    also = await giver.add(two)
    assert await yard.stranger_gets(root)
    await giver.withhold(root)
    assert not await yard.stranger_gets(root)
    assert not await yard.stranger_gets(await giver.cid_of(one))
    assert await yard.stranger_gets(also)  # it is provided by itself


async def test_what_a_pin_keeps_stays_until_it_expires(yard: Yard) -> None:
    store = await yard.store(0)
    kept = await store.add(yard.file(100, "kept"), pin_until=FOREVER)
    expired = await store.add(yard.file(100, "expired"), pin_until=time.time() - 1)
    loose = await store.add(yard.file(100, "loose"))
    later = await store.add(yard.file(100, "later"))
    await store.pin(later, until=time.time() + 999)
    assert (await store.gc(grace_s=0)).entries == 2
    assert {entry.cid for entry in await store.ls()} == {kept, later}
    assert [await yard.stranger_gets(cid) for cid in (kept, expired, loose)] == [True, False, False]
    await store.unpin(later)
    assert (await store.gc(grace_s=3600)).entries == 0
    assert (await store.gc(grace_s=0)).entries == 1
    assert (await store.held()).held_bytes == 100


async def test_who_fetched_a_file_hands_it_on_where_asked(yard: Yard) -> None:
    first, loud = await yard.store(0), await yard.store(1)
    cid = await first.add(yard.file(MIB + 5))
    await loud.get(cid, yard.folder / "a", max_bytes=MOST, timeout_s=LONG_S, provide=True, pin_until=FOREVER)
    await first.withhold(cid)
    assert await yard.stranger_gets(cid)
    assert [entry.provided for entry in await loud.ls()] == [True]
    assert [entry.provided for entry in await first.ls()] == [False]


async def test_who_fetched_a_file_for_itself_hands_nothing_on_after_a_collection(yard: Yard) -> None:
    first, quiet = await yard.store(0), await yard.store(1)
    cid = await first.add(yard.file(MIB + 5))
    await quiet.get(cid, yard.folder / "a", max_bytes=MOST, timeout_s=LONG_S, pin_until=FOREVER)
    await first.withhold(cid)
    await quiet.gc(grace_s=0)
    assert not await yard.stranger_gets(cid)
    assert await quiet.has(cid)


async def test_what_is_not_held_cannot_be_provided(yard: Yard) -> None:
    store = await yard.store(0)
    for call in (store.provide(Cid(0x55, bytes(32))), store.withhold(Cid(0x55, bytes(32)))):
        with pytest.raises(ContentMissing, match="held"):
            await call


async def test_a_store_goes_on_where_it_was_closed(yard: Yard, tmp_path: Path) -> None:
    store = await yard.store(0)
    cid = await store.add(yard.file(1000))
    await store.__aexit__()
    with pytest.raises(ContentError, match="not open"):
        await store.provide(cid)
    again = await yard.store(0)
    assert [entry.provided for entry in await again.ls()] == [True]
    assert await yard.stranger_gets(cid)
    await again.withhold(cid)
    assert not await yard.stranger_gets(cid)
