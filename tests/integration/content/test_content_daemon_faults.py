"""Daemons that are away, full, foreign or lie, as a local server plays them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from aiohttp import web

from steelyard.content import Cid, StoreConfig, make_store
from steelyard.content.kubo.address import DaemonAddress, find
from steelyard.content.kubo.http import HttpClient
from steelyard.content.kubo.swarm import peer_of
from steelyard.content.layout import LEAF_BYTES, read_layout
from steelyard.content.peer_client import PeerFault
from steelyard.errors import ConfigError, ContentMissing, DaemonError, DiskFull

MIB = LEAF_BYTES
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def fake(**answers: Answer) -> AsyncIterator[str]:
    """A daemon with these answers by the last word of their path; an id of its own; 500 for the rest."""

    async def handle(request: web.Request) -> web.StreamResponse:
        word = request.path.rpartition("/")[2]
        if word in answers:
            return await answers[word](request)
        if word == "id":
            return web.json_response({"ID": "12D3KooWfake", "Addresses": []})
        await request.read()
        return refusal("not found")

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def refusal(message: str) -> web.Response:
    return web.json_response({"Message": message, "Code": 0, "Type": "error"}, status=500)


def always(response: Callable[[], web.Response]) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        with contextlib.suppress(ConnectionError):
            await request.read()
        return response()

    return answer


def config(folder: Path, url: str) -> StoreConfig:
    return StoreConfig(root=folder / "store", ipfs=url, serve=False, exchange=False, allow_private=True)


async def test_nobody_at_the_address_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match=r"no IPFS daemon answers at http://127.0.0.1:9 ") as caught:
        async with make_store(config(tmp_path, "/ip4/127.0.0.1/tcp/9")):
            pass
    assert "ipfs daemon" in caught.value.remedy
    assert "--ipfs" in caught.value.remedy


async def test_a_proxy_of_the_environment_is_not_asked_for_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with fake() as url, make_store(config(tmp_path, url)) as store:
        assert await store.ls() == []


@pytest.mark.parametrize(
    "response",
    [
        lambda: web.Response(status=404, text="404 page not found"),
        lambda: web.Response(text="<html>a router</html>"),
        lambda: web.json_response({"jsonrpc": "2.0", "error": {}}),
        lambda: web.json_response([]),
    ],
)
async def test_a_port_of_something_else_is_said_with_the_remedy(
    tmp_path: Path, response: Callable[[], web.Response]
) -> None:
    async with fake(id=always(response)) as url:
        with pytest.raises(DaemonError, match="is not the RPC of an IPFS daemon") as caught:
            async with make_store(config(tmp_path, url)):
                pass
    assert "Addresses.API" in caught.value.remedy


async def test_a_daemon_without_room_is_a_full_disk_and_the_file_stays_here(tmp_path: Path) -> None:
    full = always(lambda: refusal("write /data/ipfs/blocks/put-1: no space left on device"))
    async with fake(put=full, add=full) as url, make_store(config(tmp_path, url)) as store:
        with pytest.raises(DiskFull, match="no room") as caught:
            await store.add_bytes(bytes(2 * MIB))
        assert "ipfs repo stat" in caught.value.remedy
        entries = await store.ls()
        assert [(entry.size, entry.provided) for entry in entries] == [(2 * MIB, False)]


async def test_a_serving_store_hands_out_what_a_full_daemon_does_not_take(tmp_path: Path) -> None:
    full = always(lambda: refusal("write /data/ipfs/blocks/put-1: no space left on device"))
    async with fake(put=full, add=full) as url:
        served = StoreConfig(root=tmp_path / "store", ipfs=url, exchange=False, allow_private=True)
        async with make_store(served) as store:
            cid = await store.add_bytes(b"x" * 100, provide=False)
            with pytest.raises(DiskFull):
                await store.provide(cid)
            plain = StoreConfig(root=tmp_path / "other", peers=(str(store.url),), serve=False)
            async with make_store(plain) as other:
                await other.get(cid, tmp_path / "out", max_bytes=100, timeout_s=60)
        async with make_store(served) as store:  # the next start tries again, and starts all the same
            assert [entry.provided for entry in await store.ls()] == [True]


async def test_a_daemon_that_gives_another_cid_is_caught(tmp_path: Path) -> None:
    wrong = always(lambda: web.json_response({"Key": "bafkqaaa", "Size": 1}))
    async with fake(put=wrong) as url, make_store(config(tmp_path, url)) as store:
        with pytest.raises(DaemonError, match="became bafkqaaa"):
            await store.add_bytes(b"x")
        assert [entry.provided for entry in await store.ls()] == [False]


async def test_a_daemons_wrong_bytes_are_not_taken(tmp_path: Path) -> None:
    data = b"right" * MIB
    (tmp_path / "source").write_bytes(data)
    with (tmp_path / "source").open("rb") as stream:
        cid, _, inner = read_layout(stream).tree()
    root = {str(block.cid): block.data for block in inner}

    async def block(request: web.Request) -> web.Response:
        return web.Response(body=root.get(request.query["arg"], b"wrong"))

    async def cat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"wrong" * 1000 + data[5000 : int(request.query["length"])])
        return response

    async with fake(get=block, cat=cat) as url, make_store(config(tmp_path, url)) as store:
        with pytest.raises(ContentMissing, match="do not match the hash"):
            await store.get(cid, tmp_path / "out", max_bytes=1 << 30, timeout_s=1.5)
    assert not (tmp_path / "out").exists()


async def test_a_daemon_that_sends_without_end_costs_no_memory(tmp_path: Path) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(bytes(65536))
        return response

    (tmp_path / "source").write_bytes(b"y" * 100)
    async with fake(get=endless) as url, make_store(config(tmp_path, url)) as store:
        cid = await store.cid_of(tmp_path / "source")
        with pytest.raises(ContentMissing, match="sends over"):
            await store.get(cid, tmp_path / "out", max_bytes=100, timeout_s=1.0)


async def pieces(whole: bytes, sizes: list[int], cuts: list[int]) -> list[bytes]:
    """The buffers read from an answer that is sent in pieces, cut at these places."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
                writer.write(whole[start:stop])
                await writer.drain()
                await asyncio.sleep(0.001)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with contextlib.AsyncExitStack() as stack:
            client = HttpClient(DaemonAddress.parse(f"http://127.0.0.1:{port}"))
            stack.push_async_callback(client.close)
            found = await stack.enter_async_context(client.leaf_stream("/x", iter(sizes)))
            async with asyncio.timeout(60):
                assert await found.status() == 200
                return [bytes(await found.next_buffer()) for _ in sizes]


async def test_an_answer_cut_anywhere_fills_the_same_buffers() -> None:
    random, head = Random(5), b"HTTP/1.0 200 OK\r\nX-A: b\r\n\r\n"
    for _ in range(60):
        sizes = [random.randrange(1, 3000) for _ in range(random.randrange(1, 9))]
        body = random.randbytes(sum(sizes))
        whole = head + body + random.randbytes(random.choice([0, 0, 100_000]))  # more than was asked for
        cuts = sorted(random.randrange(len(whole)) for _ in range(random.randrange(6)))
        found = await pieces(whole, sizes, cuts)
        assert b"".join(found) == body
        assert [len(each) for each in found] == sizes


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        b"HTTP/1.0",
        b"SSH-2.0-x\r\n\r\n",
        b"x" * 50_000,
        b"HTTP/1.1 twenty\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nab",
    ],
)
async def test_an_answer_that_is_none_or_ends_early_is_a_fault(whole: bytes) -> None:
    with pytest.raises(PeerFault, match="closed the connection"):
        await pieces(whole, [3], [])


async def test_an_older_daemon_that_makes_smaller_nodes_gets_ours_as_blocks(tmp_path: Path) -> None:
    """It heeds no max-file-links: the leaves are right, and the nodes above are put there one by one."""
    held: set[str] = set()

    async def add(request: web.Request) -> web.Response:
        await request.read()
        if request.path.endswith("pin/add"):
            return web.json_response({"Pins": [request.query["arg"]]})
        return web.json_response({"Name": "x", "Hash": "bafybeiother", "Size": "1"})

    async def put(request: web.Request) -> web.Response:
        codec = 0x70 if request.query["cid-codec"] == "dag-pb" else 0x55
        part = await anext(aiter(await request.multipart()))
        cid = str(Cid.of_block(codec, await part.read()))  # type: ignore[union-attr]
        held.add(cid)
        return web.json_response({"Key": cid, "Size": 1})

    async with fake(add=add, put=put) as url, make_store(config(tmp_path, url)) as store:
        cid = await store.add_bytes(bytes(3 * MIB))
        assert str(cid) in held
        assert [entry.provided for entry in await store.ls()] == [True]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/ip4/127.0.0.1/tcp/5001", "http://127.0.0.1:5001"),
        ("/ip6/::1/tcp/5001/http", "http://[::1]:5001"),
        ("/dns4/ipfs.example/tcp/443/https", "https://ipfs.example:443"),
        ("http://localhost:5001", "http://localhost:5001"),
        ("http://127.0.0.1:5001/api/v0/", "http://127.0.0.1:5001"),
        ("https://ipfs.example", "https://ipfs.example:443"),
    ],
)
def test_addresses_are_read_in_every_spelling(text: str, url: str) -> None:
    address = DaemonAddress.parse(text)
    assert address.url == url
    assert DaemonAddress.parse(address.multiaddr).url == url


@pytest.mark.parametrize(
    "text", ["", "5001", "/ip4/127.0.0.1", "/unix/tmp/x", "ftp://x", "http://h:99999", "/ip4/1.2.3.4/tcp/0"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DaemonAddress.parse(text)
    assert "/ip4/127.0.0.1/tcp/5001" in caught.value.remedy


def test_a_password_in_an_address_is_kept_apart_and_not_repeated() -> None:
    address = DaemonAddress.parse("http://ann:secret@127.0.0.1:5001")
    assert (address.url, address.headers) == (
        "http://127.0.0.1:5001",
        {"Authorization": "Basic YW5uOnNlY3JldA=="},
    )
    with pytest.raises(ConfigError) as caught:
        DaemonAddress.parse("http://ann:secret@127.0.0.1:5001/elsewhere")
    assert "secret" not in repr(address) + str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_daemon_that_wants_a_secret_says_so_with_the_remedy(tmp_path: Path, status: int) -> None:
    shut = always(lambda: web.Response(status=status, text="Access Denied"))
    async with fake(id=shut) as url:
        with pytest.raises(DaemonError, match=r"requires a secret, and no secret is given") as caught:
            async with make_store(config(tmp_path, url)):
                pass
    assert "STEELYARD_IPFS_AUTH" in caught.value.remedy


PEER = "12D3KooWS72mj89GfNGBhrRJW7niHvZsSYRykSCHjY23PZdpmUbC"


@pytest.mark.parametrize(
    "place",
    ["/ip4/127.0.0.1/tcp/4001", "/ip4/10.1.2.3/udp/4001/quic-v1", "/ip6/::1/tcp/4001", "/dns4/a.local/tcp/1"],
)
def test_daemons_inside_our_network_are_dialled_only_where_that_is_allowed(place: str) -> None:
    assert peer_of(f"{place}/p2p/{PEER}", allow_private=False) is None
    assert peer_of(f"{place}/p2p/{PEER}", allow_private=True) == PEER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 5000,
        "/ip4/1.1.1.1/tcp/4001",
        f"/ip4/nonsense/tcp/4001/p2p/{PEER}",
        f"/ip4/1.1.1.1/tcp/4001/p2p/{PEER}/p2p-circuit/p2p/{PEER}",
        f"/ip4/1.1.1.1/tcp/4001/p2p/{PEER}?arg=/ip4/2.2.2.2",
        f"/ip4/1.1.1.1/tcp/4001\n/p2p/{PEER}",
        f"/unix/run/x/p2p/{PEER}",
    ],
)
def test_what_is_no_address_of_a_daemon_is_not_dialled(text: str) -> None:
    assert peer_of(text, allow_private=True) is None


def test_the_daemon_is_found_as_by_other_programs(tmp_path: Path) -> None:
    home, repo = tmp_path / "home", tmp_path / "repo"
    for folder, port in ((home / ".ipfs", 1), (repo, 2)):
        folder.mkdir(parents=True)
        (folder / "api").write_text(f"/ip4/127.0.0.1/tcp/{port}\n")
    environ = {"HOME": str(home)}
    assert find("", environ) == "/ip4/127.0.0.1/tcp/1"
    environ["IPFS_PATH"] = str(repo)
    assert find("", environ) == "/ip4/127.0.0.1/tcp/2"
    environ["IPFS_API"] = "/ip4/127.0.0.1/tcp/3"
    assert find("", environ) == "/ip4/127.0.0.1/tcp/3"
    assert find("http://there:4", environ) == "http://there:4"
    with pytest.raises(ConfigError, match="no running IPFS daemon") as caught:
        find("", {"HOME": str(tmp_path / "nobody")})
    assert "ipfs daemon" in caught.value.remedy
