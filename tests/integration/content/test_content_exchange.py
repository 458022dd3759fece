"""Peers find each other through one bootstrap address; hints are only hints."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from mangling_proxy import Proxy, garbage, never_answers, status

from steelyard.content import EmbeddedStore
from steelyard.errors import ContentMissing
from support.stores import MakeStore


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def known(
    http: aiohttp.ClientSession, store: EmbeddedStore, body: object = None
) -> tuple[int, list[str]]:
    data = json.dumps({"url": None} if body is None else body)
    async with http.post(f"{store.url}/peers", data=data) as response:
        if response.status != 200:
            return response.status, []
        return 200, (await response.json())["peers"]


async def test_nodes_that_know_one_bootstrap_peer_reach_each_others_files(
    make_store: MakeStore, tmp_path: Path
) -> None:
    bootstrap = await make_store(exchange=True)
    stores = [await make_store(str(bootstrap.url), exchange=True) for _ in range(5)]
    cids = [await store.add_bytes(f"from {index}".encode()) for index, store in enumerate(stores)]
    for taker, store in enumerate(stores):
        for cid in cids:
            await store.get(cid, tmp_path / f"{taker}-{cid}", max_bytes=99, timeout_s=60)


async def test_a_store_that_came_late_is_found_by_the_first(make_store: MakeStore, tmp_path: Path) -> None:
    bootstrap = await make_store(exchange=True)
    first = await make_store(str(bootstrap.url), exchange=True)
    await asyncio.sleep(1)
    late = await make_store(str(bootstrap.url), exchange=True)
    cid = await late.add_bytes(b"late")
    await first.get(cid, tmp_path / "x", max_bytes=9, timeout_s=60)


async def test_only_peers_that_answered_are_told_to_others(
    make_store: MakeStore, http: aiohttp.ClientSession
) -> None:
    bootstrap = await make_store(exchange=True, announce_s=0.3)
    async with contextlib.AsyncExitStack() as stack:
        bad = [Proxy(None, status(500)), Proxy(None, garbage), Proxy(None, never_answers)]
        urls = [(await stack.enter_async_context(proxy)).url for proxy in bad]
        for url in (*urls, "http://127.0.0.1:9"):
            assert (await known(http, bootstrap, {"url": url}))[0] == 200
        real = await make_store(str(bootstrap.url), exchange=True)
        told: list[str] = []
        for _ in range(100):
            if told:
                break
            await asyncio.sleep(0.1)
            _, told = await known(http, bootstrap)
        assert told == [real.url]


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"url": 5}', "x" * 1000, "[" * 900, '{"url": "file:///etc/passwd"}', "\x00"]
)
async def test_malformed_announcements_do_nothing(
    make_store: MakeStore, http: aiohttp.ClientSession, body: str
) -> None:
    store = await make_store(exchange=True)
    async with http.post(f"{store.url}/peers", data=body) as response:
        assert response.status in (200, 400)
    assert (await known(http, store))[1] == []


async def test_large_announcements_are_refused_unread(
    make_store: MakeStore, http: aiohttp.ClientSession
) -> None:
    store = await make_store(exchange=True)
    with contextlib.suppress(aiohttp.ClientError):
        async with http.post(f"{store.url}/peers", data=io.BytesIO(bytes(50_000_000))) as response:
            assert response.status in (400, 413)


async def test_a_flood_of_announcements_is_limited_and_files_still_come(
    make_store: MakeStore, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    store = await make_store(exchange=True, allow_private=False)
    cid = await store.add_bytes(b"here")
    codes = [(await known(http, store, {"url": f"http://198.51.100.{n % 250}:1"}))[0] for n in range(200)]
    assert codes.count(200) < 80
    assert codes[-1] == 429
    taker = await make_store(str(store.url))
    await taker.get(cid, tmp_path / "x", max_bytes=9, timeout_s=60)


async def test_private_addresses_are_never_called_unless_allowed(
    make_store: MakeStore, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """An address from an unknown peer could be a service inside our network."""
    async with Proxy(None) as inside:
        port = inside.url.rsplit(":", 1)[1]
        store = await make_store(exchange=True, allow_private=False)
        names = [
            inside.url,
            f"http://localhost:{port}",
            f"http://0x7f000001:{port}",
            f"http://[::ffff:7f00:1]:{port}",
        ]
        for name in names:
            await known(http, store, {"url": name})
        from steelyard.content import Cid

        with pytest.raises(ContentMissing):
            await store.get(Cid(0x55, bytes(32)), tmp_path / "x", max_bytes=9, timeout_s=1.5, hints=names)
        assert inside.requests == []


async def test_redirects_are_not_followed(make_store: MakeStore, tmp_path: Path) -> None:
    async with Proxy(None) as inside:
        giver = await make_store()
        cid = await giver.add_bytes(b"x")
        target = f"Location: {inside.url}/ipfs/{cid}?format=raw"
        async with Proxy(None, status(302, target)) as a, Proxy(None, status(307, target)) as b:
            taker = await make_store(a.url, b.url, exchange=True)
            with pytest.raises(ContentMissing):
                await taker.get(cid, tmp_path / "x", max_bytes=9, timeout_s=1.5)
        assert inside.requests == []


async def test_without_exchange_nothing_is_told(make_store: MakeStore, http: aiohttp.ClientSession) -> None:
    store = await make_store(exchange=False)
    assert (await known(http, store))[0] == 404


async def test_a_plain_gateway_among_the_peers_is_used_though_it_knows_no_peers(
    make_store: MakeStore, tmp_path: Path
) -> None:
    gateway = await make_store(exchange=False)
    cid = await gateway.add_bytes(b"x")
    taker = await make_store(str(gateway.url), exchange=True)
    await asyncio.sleep(0.6)
    await taker.get(cid, tmp_path / "x", max_bytes=9, timeout_s=60)


async def test_a_peer_that_was_restarted_is_found_again(make_store: MakeStore, tmp_path: Path) -> None:
    giver = await make_store(root=tmp_path / "giver")
    address = str(giver.url)
    taker = await make_store(address, exchange=True)
    cid = await giver.add_bytes(b"x")
    await giver.__aexit__()
    with pytest.raises(ContentMissing):
        await taker.get(cid, tmp_path / "x", max_bytes=9, timeout_s=1.0)
    await make_store(root=tmp_path / "giver", listen=address.removeprefix("http://"))
    await taker.get(cid, tmp_path / "x", max_bytes=9, timeout_s=60)


async def test_a_client_that_only_fetches_learns_where_to_look_and_is_not_told_of(
    make_store: MakeStore, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    bootstrap = await make_store(exchange=True)
    holder = await make_store(str(bootstrap.url), exchange=True)
    cid = await holder.add_bytes(b"elsewhere")
    client = await make_store(str(bootstrap.url), exchange=True, serve=False)
    assert client.url is None
    await client.get(cid, tmp_path / "x", max_bytes=9, timeout_s=60)
    assert (await known(http, bootstrap))[1] == [holder.url]


async def test_a_store_tells_its_public_address_where_it_has_one(make_store: MakeStore) -> None:
    store = await make_store(listen="0.0.0.0:0", public_url="http://store.example:8080")
    assert store.url == "http://store.example:8080"
    everywhere = await make_store(listen="0.0.0.0:0")
    assert str(everywhere.url).startswith("http://127.0.0.1:")
