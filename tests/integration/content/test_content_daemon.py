"""Behaviour of a store on an IPFS daemon beyond the protocol: it never removes content of others."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from steelyard.content import FOREVER, Cid
from steelyard.content.kubo.address import DaemonAddress, header_of
from steelyard.content.kubo.client import KuboClient
from steelyard.content.kubo.pubsub import PubSub
from steelyard.content.kubo.store import KuboStore
from steelyard.content.layout import LEAF_BYTES
from steelyard.errors import ContentError, DaemonError
from support.kubo import NEEDS_IPFS
from support.stores import Yard

MIB = LEAF_BYTES
MOST = 1 << 30
LONG_S = 60.0
VECTORS = Path(__file__).parents[2] / "vectors" / "cids.json"

pytestmark = pytest.mark.parametrize(
    "yard", [pytest.param("kubo", marks=NEEDS_IPFS), "recorded"], indirect=True
)


async def pins(yard: Yard, number: int) -> dict[str, str]:
    """Names of the daemon's recursive pins by CID, without those of earlier tests."""
    _, body = await yard.rpc(number, "pin/ls", type="recursive", names="true")
    return {cid: pin["Name"] for cid, pin in json.loads(body)["Keys"].items()}


async def test_what_is_provided_is_pinned_under_our_name_and_nothing_else(yard: Yard) -> None:
    before = await pins(yard, 0)
    store = await yard.store(0)
    await store.add(yard.file(100, "kept"), provide=False, pin_until=FOREVER)
    assert await pins(yard, 0) == before
    cid = await store.add(yard.file(MIB + 1, "given"))
    new = {pin: name for pin, name in (await pins(yard, 0)).items() if pin not in before}
    assert list(new.values()) == ["steelyard"]
    assert str(cid) not in new  # a directory of our own with a link to it is
    await store.withhold(cid)
    assert await pins(yard, 0) == before


async def test_stores_that_share_a_daemon_do_not_take_each_others_files(yard: Yard) -> None:
    one, two = await yard.store(0, root="one"), await yard.store(0, root="two")
    cid = await one.add(yard.file(2 * MIB))
    await two.get(cid, yard.folder / "out", max_bytes=MOST, timeout_s=LONG_S, provide=True)
    await one.withhold(cid)
    assert await yard.stranger_gets(cid)
    await two.withhold(cid)
    assert not await yard.stranger_gets(cid)


async def test_a_pin_of_the_users_own_outlives_ours(yard: Yard) -> None:
    store = await yard.store(0)
    cid = await store.add(yard.file(2 * MIB))
    assert (await yard.rpc(0, "pin/add", arg=str(cid), name="mine"))[0] == 200
    await store.withhold(cid)
    assert (await pins(yard, 0))[str(cid)] == "mine"
    assert await yard.stranger_gets(cid)
    await yard.rpc(0, "pin/rm", arg=str(cid))


async def test_files_of_the_users_own_lose_no_block(yard: Yard) -> None:
    store = await yard.store(0)
    cid = await store.add(yard.file(2 * MIB))
    place = f"/{yard.seed}"
    args = [("arg", f"/ipfs/{cid}"), ("arg", place)]
    async with yard.http.post(f"{yard.apis[0]}/api/v0/files/cp", params=args) as response:
        assert response.status == 200
    await store.withhold(cid)
    status, data = await yard.rpc(0, "cat", arg=str(cid), offline="true")
    assert (status, len(data)) == (200, 2 * MIB)
    await yard.rpc(0, "files/rm", arg=place, force="true")


async def test_a_daemon_that_lost_its_files_gets_them_again(yard: Yard) -> None:
    store = await yard.store(0)
    cid = await store.add(yard.file(MIB + 3))
    await store.add(yard.file(10, "kept"), provide=False)
    await store.__aexit__()
    before = await pins(yard, 0)
    for pin, name in before.items():
        if name == "steelyard":
            await yard.rpc(0, "pin/rm", arg=pin)
    await yard.rpc(0, "block/rm", arg=str(cid))
    assert not await yard.stranger_gets(cid)
    again = await yard.store(0, serve=True)
    assert await yard.stranger_gets(cid)
    await again.withhold(cid)


async def test_everything_of_a_store_can_be_taken_out_at_once(yard: Yard) -> None:
    before = await pins(yard, 0)
    store = await yard.store(0)
    assert isinstance(store, KuboStore)
    cids = [await store.add(yard.file(1000 + n, f"file{n}")) for n in range(3)]
    await store.clear()
    assert await pins(yard, 0) == before
    assert [await yard.stranger_gets(cid) for cid in cids] == [False] * 3
    assert await store.has(cids[0])


async def test_nothing_stays_in_the_daemon_of_what_was_withheld(yard: Yard) -> None:
    async def blocks() -> set[bytes]:
        _, body = await yard.rpc(0, "refs/local")
        return set(body.splitlines())

    before = await blocks()
    store = await yard.store(0)
    await store.withhold(await store.add(yard.file(1000, "one")))
    await store.withhold(await store.add(yard.file(2 * MIB + 1, "two")))
    await store.withhold(await store.add_directory({"a/b": yard.file(50, "three")}))
    assert await blocks() - before == set()


async def test_the_daemon_itself_gives_the_vectors_cids(yard: Yard, tmp_path: Path) -> None:
    await check_vectors(yard, tmp_path, most=3_000_000)


async def check_vectors(yard: Yard, folder: Path, *, most: int) -> None:
    """Add each file of the vectors to the daemon and compare what it makes of it."""
    vectors = json.loads(VECTORS.read_text())
    client = KuboClient(DaemonAddress.parse(yard.apis[0]))
    try:
        for vector in vectors["files"]:
            if vector["size"] > most:
                continue
            path = folder / "vector"
            path.write_bytes(hashlib.shake_256(vectors["seed"].encode()).digest(vector["size"]))
            assert await client.add(path, vector["size"]) == vector["cid"], vector["size"]
            await yard.rpc(0, "block/rm", arg=vector["cid"])
    finally:
        await client.close()


async def test_an_embedded_store_fetches_from_one_on_a_daemon_and_the_other_way_round(yard: Yard) -> None:
    kubo = await yard.store(0, serve=True)
    plain = await yard.store(1, ipfs=None, serve=True, peers=(str(kubo.url),))
    data = yard.file(2 * MIB + 1, "there")
    cid = await kubo.add(data)
    out = await plain.get(cid, yard.folder / "a", max_bytes=MOST, timeout_s=LONG_S)
    assert out.read_bytes() == data.read_bytes()
    back = await plain.add(yard.file(500, "back"))
    other = await yard.store(0, root="other", peers=(str(plain.url),))
    assert (await other.get(back, yard.folder / "b", max_bytes=MOST, timeout_s=LONG_S)).stat().st_size == 500


async def test_every_request_to_a_daemon_brings_its_secret(yard: Yard) -> None:
    secret = header_of("basic:ann:secret")
    async with guarded(yard, secret) as (url, refused):
        store = await yard.store(0, ipfs=url, ipfs_auth=secret)
        other = await yard.store(1)
        cid = await store.add(yard.file(2 * MIB))
        await store.withhold(cid)
        there = await other.add(yard.file(2 * MIB + 1, "there"))
        await store.get(there, yard.folder / "out", max_bytes=MOST, timeout_s=LONG_S)
        await store.gc(grace_s=0)
        gossip = PubSub(DaemonAddress.parse(url, secret))
        await gossip.publish("steelyard", b"x")
        await gossip.close()
        assert refused == []
        with pytest.raises(DaemonError, match="secret"):
            await yard.store(0, root="without", ipfs=url)
        assert refused == ["/api/v0/id"]


@asynccontextmanager
async def guarded(yard: Yard, secret: str) -> AsyncIterator[tuple[str, list[str]]]:
    """Daemon 0 behind a door that opens to the secret; its URL, and what was refused there."""
    refused: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != secret:
            refused.append(request.path)
            return web.Response(status=403, text="Kubo RPC Access Denied")
        data = io.BytesIO(await request.read())
        kind = {"Content-Type": request.content_type and request.headers.get("Content-Type", "")}
        async with yard.http.post(f"{yard.apis[0]}{request.rel_url}", data=data, headers=kind) as response:
            return web.Response(status=response.status, body=await response.read())

    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", refused
    finally:
        await runner.cleanup()


async def test_a_directory_of_a_foreign_program_with_a_hamt_is_refused(yard: Yard) -> None:
    """A HAMT that somebody else made: a clear error, not a wait."""
    store = await yard.store(0)
    shard = bytes.fromhex("0a0708052822308002")
    cid = Cid.of_block(0x70, shard)
    form = {"cid-codec": "dag-pb", "mhtype": "sha2-256"}
    body = aiohttp.FormData()
    body.add_field("file", shard, filename="x", content_type="application/octet-stream")
    async with yard.http.post(f"{yard.apis[0]}/api/v0/block/put", params=form, data=body) as response:
        assert response.status == 200, await response.text()
        assert (await response.json(content_type=None))["Key"] == str(cid)
    with pytest.raises(ContentError, match="HAMT"):
        await store.listing(cid, timeout_s=LONG_S)
