"""The gateway as any HTTP client sees it: blocks, files, ranges, paths, and nothing that is withheld."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import aiohttp
import pytest

from steelyard.content import Cid, EmbeddedStore
from steelyard.content.dagpb import decode_node
from steelyard.content.layout import LEAF_BYTES, hash_leaves
from steelyard.errors import ConfigError
from support.stores import MakeStore

MIB = LEAF_BYTES
DATA = Random(1).randbytes(2 * MIB + 500)
RAW = "application/vnd.ipld.raw"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def store(make_store: MakeStore) -> EmbeddedStore:
    return await make_store(send_s=1.0)


async def ask(
    http: aiohttp.ClientSession, url: str, method: str = "GET", **headers: str
) -> tuple[int, bytes, aiohttp.ClientResponse]:
    async with http.request(method, url, headers=headers, allow_redirects=False) as response:
        return response.status, await response.read(), response


async def test_every_block_of_a_file_is_given_raw(http: aiohttp.ClientSession, store: EmbeddedStore) -> None:
    cid = await store.add_bytes(DATA)
    status, block, response = await ask(http, f"{store.url}/ipfs/{cid}?format=raw")
    assert (status, response.headers["Content-Type"]) == (200, RAW)
    assert cid.matches(block)
    assert response.headers["Etag"] == f'"{cid}.raw"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Ipfs-Roots"] == str(cid)
    assert response.headers["Content-Disposition"] == f'attachment; filename="{cid}.bin"'
    assert "immutable" in response.headers["Cache-Control"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    leaves = [link.cid for link in decode_node(block).links]
    parts = [await ask(http, f"{store.url}/ipfs/{leaf}", Accept=RAW) for leaf in leaves]
    assert b"".join(part for _, part, _ in parts) == DATA


async def test_a_whole_file_is_given(http: aiohttp.ClientSession, store: EmbeddedStore) -> None:
    cid = await store.add_bytes(DATA)
    status, body, response = await ask(http, f"{store.url}/ipfs/{cid}")
    assert (status, body) == (200, DATA)
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Etag"] == f'"{cid}"'
    assert response.headers["Content-Length"] == str(len(DATA))


async def test_an_empty_file_is_given(http: aiohttp.ClientSession, store: EmbeddedStore) -> None:
    cid = await store.add_bytes(b"")
    for suffix in ("", "?format=raw"):
        assert (await ask(http, f"{store.url}/ipfs/{cid}{suffix}"))[:2] == (200, b"")
    assert (await ask(http, f"{store.url}/ipfs/{cid}", Range="bytes=0-"))[0] == 416


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", DATA[:1]),
        ("bytes=5-9", DATA[5:10]),
        (f"bytes={MIB - 1}-{MIB}", DATA[MIB - 1 : MIB + 1]),
        (f"bytes={MIB}-", DATA[MIB:]),
        ("bytes=-7", DATA[-7:]),
        ("bytes=-99999999", DATA),
        (f"bytes=3-{10**15}", DATA[3:]),
    ],
)
async def test_a_range_is_given(
    http: aiohttp.ClientSession, store: EmbeddedStore, header: str, expected: bytes
) -> None:
    cid = await store.add_bytes(DATA)
    status, body, response = await ask(http, f"{store.url}/ipfs/{cid}", Range=header)
    assert (status, body) == (206, expected)
    first, last, size = map(int, re.split("[-/]", response.headers["Content-Range"].removeprefix("bytes ")))
    assert (DATA[first : last + 1], size) == (expected, len(DATA))


async def test_random_ranges_are_given(http: aiohttp.ClientSession, store: EmbeddedStore) -> None:
    cid = await store.add_bytes(DATA)
    random = Random(4)
    for _ in range(40):
        start = random.randrange(len(DATA))
        stop = random.randrange(start, len(DATA))
        _, body, _ = await ask(http, f"{store.url}/ipfs/{cid}", Range=f"bytes={start}-{stop}")
        assert body == DATA[start : stop + 1]


@pytest.mark.parametrize(
    "header", ["bytes=5-3", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-", "bytes="]
)
async def test_a_range_that_is_none_gives_the_whole_file(
    http: aiohttp.ClientSession, store: EmbeddedStore, header: str
) -> None:
    cid = await store.add_bytes(b"0123456789")
    assert (await ask(http, f"{store.url}/ipfs/{cid}", Range=header))[:2] == (200, b"0123456789")


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_a_range_outside_of_the_file_is_refused(
    http: aiohttp.ClientSession, store: EmbeddedStore, header: str
) -> None:
    cid = await store.add_bytes(b"0123456789")
    status, _, response = await ask(http, f"{store.url}/ipfs/{cid}", Range=header)
    assert (status, response.headers["Content-Range"]) == (416, "bytes */10")


async def test_head_tells_without_a_body(http: aiohttp.ClientSession, store: EmbeddedStore) -> None:
    cid = await store.add_bytes(DATA)
    for suffix, size in (("", len(DATA)), ("?format=raw", None)):
        status, body, response = await ask(http, f"{store.url}/ipfs/{cid}{suffix}", "HEAD")
        assert (status, body) == (200, b"")
        assert size is None or response.headers["Content-Length"] == str(size)
    assert (await ask(http, f"{store.url}/ipfs/{Cid(0x55, bytes(32))}", "HEAD"))[0] == 404


async def test_a_client_that_has_it_gets_304(http: aiohttp.ClientSession, store: EmbeddedStore) -> None:
    cid = await store.add_bytes(DATA)
    for tag, suffix in ((f'"{cid}"', ""), (f'W/"{cid}.raw"', "?format=raw"), (f'"x", "{cid}"', "")):
        status, body, _ = await ask(http, f"{store.url}/ipfs/{cid}{suffix}", **{"If-None-Match": tag})
        assert (status, body) == (304, b"")
    headers = {"Range": "bytes=0-1", "If-Range": '"old"'}
    assert (await ask(http, f"{store.url}/ipfs/{cid}", **headers))[0] == 200


async def test_files_are_found_by_their_path(
    http: aiohttp.ClientSession, store: EmbeddedStore, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(DATA)
    root = await store.add_directory({"a/b": tmp_path / "f", "ü c": tmp_path / "f"})
    for path in ("a/b", "%C3%BC%20c", "a/b/"):
        assert (await ask(http, f"{store.url}/ipfs/{root}/{path}"))[:2] == (200, DATA)
    status, block, _ = await ask(http, f"{store.url}/ipfs/{root}/a?format=raw")
    assert (status, [link.name for link in decode_node(block).links]) == (200, ["b"])
    assert (await ask(http, f"{store.url}/ipfs/{root}/nothing"))[0] == 404
    assert (await ask(http, f"{store.url}/ipfs/{root}"))[0] == 406
    assert (await ask(http, f"{store.url}/ipfs/{root}/a"))[0] == 406
    for path in ("a/b/c", "a%2F..%2Fa", "%2e%2e/x", "a//b"):
        assert (await ask(http, f"{store.url}/ipfs/{root}/{path}"))[0] in (400, 404)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nonsense", 400),
        ("QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR", 400),
        ("bafkqaaa?format=raw", 200),
        ("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku?format=raw", 404),
        ("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku?format=car", 406),
        ("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku?format=zip", 406),
    ],
)
async def test_other_requests_get_the_status_that_clients_expect(
    http: aiohttp.ClientSession, store: EmbeddedStore, path: str, status: int
) -> None:
    found, _, response = await ask(http, f"{store.url}/ipfs/{path}")
    assert found == status
    assert status == 200 or response.headers["Cache-Control"] == "no-store"


async def test_what_is_only_hashed_or_withheld_is_never_given(
    http: aiohttp.ClientSession, store: EmbeddedStore, tmp_path: Path
) -> None:
    path = tmp_path / "update"
    path.write_bytes(DATA)
    layout = hash_leaves(iter([DATA[:MIB], DATA[MIB : 2 * MIB], DATA[2 * MIB :]]))
    cid = await store.cid_of(path)
    names = [cid, *(Cid(0x55, layout.leaf(index)) for index in range(3))]

    async def statuses() -> set[int]:
        urls = [f"{store.url}/ipfs/{name}{suffix}" for name in names for suffix in ("", "?format=raw")]
        return {(await ask(http, url, method))[0] for url in urls for method in ("GET", "HEAD")}

    assert await statuses() == {404}
    assert not await store.has(cid)
    await store.add(path, provide=False)
    assert await store.has(cid)
    assert await statuses() == {404}, "held, and it looks the same as not held"
    folder = await store.add_directory({"update": path}, provide=False)
    assert (await ask(http, f"{store.url}/ipfs/{folder}/update"))[0] == 404
    await store.provide(cid)
    assert await ask(http, f"{store.url}/ipfs/{cid}") is not None
    assert (await ask(http, f"{store.url}/ipfs/{folder}/update"))[0] == 404, "the folder is still withheld"
    await store.withhold(cid)
    assert await statuses() == {404}


async def test_damage_on_disk_is_never_sent(
    http: aiohttp.ClientSession, store: EmbeddedStore, tmp_path: Path
) -> None:
    cid = await store.add_bytes(DATA)
    stored = tmp_path / "store1" / "files" / str(cid)[-2:] / str(cid)
    stored.write_bytes(DATA[: MIB + 5] + b"rot" + DATA[MIB + 8 :])
    with pytest.raises(
        aiohttp.ClientError
    ):  # the first MiB is right and sent; then the connection breaks off
        await ask(http, f"{store.url}/ipfs/{cid}")
    assert (await ask(http, f"{store.url}/ipfs/{cid}"))[0] == 404
    await store.add_bytes(DATA)
    stored.write_bytes(b"rot" + DATA[3:])
    assert (await ask(http, f"{store.url}/ipfs/{cid}"))[0] == 500
    assert (await ask(http, f"{store.url}/ipfs/{cid}?format=raw"))[0] == 404


async def test_clients_that_take_nothing_do_not_keep_others_out(
    store: EmbeddedStore, make_store: MakeStore, tmp_path: Path
) -> None:
    cid = await store.add_bytes(bytes(40 * MIB))
    host, port = str(store.url).removeprefix("http://").split(":")
    readers = []
    for _ in range(30):
        reader, writer = await asyncio.open_connection(host, int(port), limit=1)
        writer.write(f"GET /ipfs/{cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        readers.append((reader, writer))
    other = await make_store(str(store.url))
    small = await store.add_bytes(b"small")
    await other.get(small, tmp_path / "x", max_bytes=9, timeout_s=60)
    for _, writer in readers:
        writer.close()


async def test_browsers_may_ask_from_elsewhere(http: aiohttp.ClientSession, store: EmbeddedStore) -> None:
    status, _, response = await ask(http, f"{store.url}/ipfs/x", "OPTIONS")
    assert (status, response.headers["Access-Control-Allow-Methods"]) == (204, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("listen", ["127.0.0.1:99999", "nonsense", "127.0.0.1:x", "192.0.2.1:0"])
async def test_an_address_that_cannot_be_had_is_an_error(make_store: MakeStore, listen: str) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        await make_store(listen=listen)


async def test_a_taken_port_is_an_error(make_store: MakeStore, store: EmbeddedStore) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        await make_store(listen=str(store.url).removeprefix("http://"))
