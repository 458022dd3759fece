"""Hints over the pub/sub of IPFS daemons, real or recorded, and of a daemon that says what a test likes."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web
from eth_account import Account as Keys

from steelyard.chain.wallets import Wallet
from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.content.gossip import MAX_MESSAGE, MessageVerdict
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.kubo.pubsub import PubSub
from steelyard.nodes.gossip import hints, peer_gossip
from steelyard.nodes.gossip.hints import GossipTopic, Hint, sign_hint
from steelyard.nodes.gossip.peer_gossip import PeerGossip
from support.hints_process import CHAIN, COORDINATOR, JOB, context_of
from support.kubo import NEEDS_IPFS
from support.stores import Yard

PLACE = GossipTopic(chain_id=CHAIN, coordinator=COORDINATOR, job=JOB)
MEMBER, STRANGER = (Wallet(Keys.from_key("0x" + digit * 64)) for digit in "12")
AT = 1_800_000_000  # Unix seconds at which all recorded hints were told
LONG_S = 60.0
QUIET_S = 0.5  # in which a message that was to come would have come
on_daemons = pytest.mark.parametrize(
    "yard", [pytest.param("kubo", marks=NEEDS_IPFS), "recorded"], indirect=True
)


async def collect(gossip: PubSub, topic: str) -> asyncio.Queue[bytes]:
    found: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(data: bytes) -> MessageVerdict:
        found.put_nowait(data)
        return MessageVerdict.REFUSED if data.startswith(b"bad") else MessageVerdict.TAKEN

    gossip.subscribe(topic, take)
    return found


@asynccontextmanager
async def gossiping(url: str) -> AsyncIterator[PubSub]:
    """The pub/sub of a daemon, closed whatever happens."""
    gossip = PubSub(DaemonAddress.parse(url))
    try:
        yield gossip
    finally:
        await gossip.close()


@asynccontextmanager
async def listening(yard: Yard, topic: str) -> AsyncIterator[tuple[asyncio.Queue[bytes], PubSub]]:
    """Messages received on daemon 0, once daemon 1 knows of its subscription, and the gossip of daemon 1."""
    async with gossiping(yard.apis[0]) as listener, gossiping(yard.apis[1]) as speaker:
        found = await collect(listener, topic)
        await known(yard, topic)
        yield found, speaker


async def known(yard: Yard, topic: str) -> None:
    """Wait until daemon 1 knows that daemon 0 listens; what is played back does already."""
    for daemon in yard.real[1:2]:
        async with asyncio.timeout(LONG_S):
            while not (await asyncio.to_thread(daemon.rpc, "pubsub/peers", arg=multibase(topic)))["Strings"]:
                await asyncio.sleep(0.05)


async def peers_of(yard: Yard, number: int) -> set[str]:
    """To whom a daemon is connected."""
    _, body = await yard.rpc(number, "swarm/peers")
    return {each["Peer"] for each in json.loads(body)["Peers"] or ()}


async def own_id(yard: Yard, number: int) -> str:
    return str(json.loads((await yard.rpc(number, "id"))[1])["ID"])


async def foreign(yard: Yard, number: int, topic: str, data: bytes) -> None:
    """A message that no node of ours would send."""
    form = aiohttp.FormData()
    form.add_field("file", data, filename="x")
    url = f"{yard.apis[number]}/api/v0/pubsub/pub"
    async with yard.http.post(url, params={"arg": multibase(topic)}, data=form) as response:
        assert response.status == 200, await response.text()


@pytest.fixture
async def connected(yard: Yard) -> AsyncIterator[None]:
    """Daemons of other tests, too, are connected again afterwards."""
    yield
    await connect(yard)


async def connect(yard: Yard) -> None:
    """Daemons 0 and 1, if they are real."""
    for daemon, other in zip(yard.real[:1], yard.real[1:2], strict=True):
        await asyncio.to_thread(daemon.rpc, "swarm/connect", arg=other.swarm)


@on_daemons
async def test_messages_go_from_daemon_to_daemon(yard: Yard) -> None:
    messages = [bytes(range(256)), b"\xff" * MAX_MESSAGE, b"x"]
    async with listening(yard, PLACE.name) as (found, speaker):
        for message in messages:
            await speaker.publish(PLACE.name, message)
            async with asyncio.timeout(LONG_S):
                assert await found.get() == message


@on_daemons
async def test_another_topic_is_not_heard(yard: Yard) -> None:
    async with listening(yard, "steelyard-one") as (found, speaker):
        await speaker.publish("steelyard-two", b"x")
        await speaker.publish("steelyard-one", b"y")
        async with asyncio.timeout(LONG_S):
            assert await found.get() == b"y"


@on_daemons
@pytest.mark.parametrize("size", [MAX_MESSAGE + 1, 20_000], ids=["by a byte", "a long line"])
async def test_a_message_too_large_costs_its_sender_the_connection_and_the_listener_nothing(
    yard: Yard, connected: None, size: int
) -> None:
    sender, topic = await own_id(yard, 1), f"steelyard-{size}"
    assert sender in await peers_of(yard, 0)
    async with listening(yard, topic) as (found, _):
        await foreign(yard, 1, topic, b"x" * size)
        await asyncio.sleep(QUIET_S)
        assert sender not in await peers_of(yard, 0)
        async with gossiping(yard.apis[0]) as ours:
            await ours.publish(topic, b"still here")
        async with asyncio.timeout(LONG_S):
            assert await found.get() == b"still here"
        assert found.empty()


@on_daemons
async def test_a_forged_hint_costs_its_sender_the_connection_and_it_is_heard_no_more(
    yard: Yard, connected: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The members' own hints are taken from the same daemon until then."""
    clock = SimpleNamespace(time=lambda: AT, time_ns=lambda: AT * 10**9, monotonic=time.monotonic)
    for module in (hints, peer_gossip):
        monkeypatch.setattr(module, "time", clock)
    right, later = (told_by(MEMBER, sequence) for sequence in (1, 2))
    forged = replace(Hint.parse(told_by(STRANGER, 3)), sender=MEMBER.address).encode()
    heard: list[str] = []
    store = EmbeddedStore(StoreConfig(root=tmp_path / "store", serve=False, allow_private=True))
    sender = await own_id(yard, 1)
    async with gossiping(yard.apis[0]) as listener, AsyncExitStack() as stack:
        listener.subscribe(PLACE.name, PeerGossip(context_of(store, MEMBER.address, heard), []).handle)
        await asyncio.sleep(QUIET_S)
        all_that_comes, speaker = await stack.enter_async_context(listening(yard, PLACE.name))
        await speaker.publish(PLACE.name, right)
        await until(lambda: heard == ["peer"])
        assert sender in await peers_of(yard, 0)
        await speaker.publish(PLACE.name, forged)
        await asyncio.sleep(QUIET_S)
        assert sender not in await peers_of(yard, 0)
        await connect(yard)
        await known(yard, PLACE.name)
        await speaker.publish(PLACE.name, later)
        async with asyncio.timeout(LONG_S):
            assert [await all_that_comes.get() for _ in range(3)] == [right, forged, later]
        await asyncio.sleep(QUIET_S)
    assert heard == ["peer"]


@on_daemons
async def test_a_real_daemon_without_pub_sub_only_costs_the_hints(yard: Yard) -> None:
    async with gossiping(yard.apis[2]) as gossip:
        found = await collect(gossip, "steelyard")
        await gossip.publish("steelyard", b"x")
        await asyncio.sleep(QUIET_S)
    assert found.empty()


def told_by(wallet: Wallet, sequence: int) -> bytes:
    return sign_hint(wallet, PLACE, kind="peer", body={"url": "http://127.0.0.1:9"}, sequence=sequence)


def multibase(text: str) -> str:
    """Written here by the book: `u` and base64url without padding."""
    return "u" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not true():
            await asyncio.sleep(0.02)


class Told:
    """Plays back the lines that a daemon with pub/sub sent, and records its requests."""

    def __init__(self, lines: list[bytes], status: int = 200) -> None:
        self._lines, self._status = lines, status
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/id"):
            return web.json_response({"ID": OWN})
        self.asked.append(f"{request.path} {request.query['arg']}")
        if self._status != 200:
            return web.json_response({"Message": "experimental pubsub feature not enabled"}, status=500)
        response = web.StreamResponse()
        await response.prepare(request)
        if request.path.endswith("/sub"):
            for line in self._lines:
                await response.write(line)
            await asyncio.sleep(30)
        return response

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/api/v0/{call:.+}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


OWN = "12D3Own"


def line(sender: str, data: str) -> bytes:
    """As Kubo 0.44 tells a message; data: base64url of it."""
    told = {"from": sender, "data": "u" + data, "seqno": "uGHq", "topicIDs": ["uc3RlZWx5YXJk"]}
    return json.dumps(told).encode() + b"\n"


async def test_a_peer_whose_message_is_refused_is_heard_no_more_and_disconnected() -> None:
    told = Told([line("12D3Bad", "YmFk"), line("12D3Good", "b25l"), line("12D3Bad", "dHdv")])
    async with told.serving() as url:
        gossip = PubSub(DaemonAddress.parse(url))
        try:
            found = await collect(gossip, "steelyard")
            async with asyncio.timeout(LONG_S):
                heard = [await found.get(), await found.get()]
            await asyncio.sleep(0.2)
        finally:
            await gossip.close()
    assert heard == [b"bad", b"one"]
    assert found.empty()
    assert told.asked == ["/api/v0/pubsub/sub uc3RlZWx5YXJk", "/api/v0/swarm/disconnect /p2p/12D3Bad"]


async def test_the_daemons_own_id_is_never_dropped_for_other_nodes_use_it_too() -> None:
    told = Told([line(OWN, "YmFk"), line(OWN, "b25l")])
    async with told.serving() as url:
        gossip = PubSub(DaemonAddress.parse(url))
        found = await collect(gossip, "steelyard")
        async with asyncio.timeout(LONG_S):
            assert [await found.get(), await found.get()] == [b"bad", b"one"]
        await gossip.close()
    assert told.asked == ["/api/v0/pubsub/sub uc3RlZWx5YXJk"]


@pytest.mark.timing
async def test_a_flood_over_pub_sub_is_cut_to_a_few_messages() -> None:
    told = Told([line("12D3Flood", "eA")] * 5000)
    async with told.serving() as url:
        gossip = PubSub(DaemonAddress.parse(url))
        try:
            found = await collect(gossip, "steelyard")
            spent = time.process_time()
            await asyncio.sleep(2.0)
            spent = time.process_time() - spent
        finally:
            await gossip.close()
    assert 0 < found.qsize() <= 50
    assert spent < 1.5, "of 2 s, the sender's own part among it"
    assert "/api/v0/swarm/disconnect /p2p/12D3Flood" in told.asked


@pytest.mark.parametrize("lines", [[b"x" * 100_000], [b"[" * 5000 + b"\n"], [b'{"from":1}\n']])
async def test_a_daemon_that_talks_nonsense_is_no_harm(lines: list[bytes]) -> None:
    async with Told(lines).serving() as url:
        gossip = PubSub(DaemonAddress.parse(url))
        found = await collect(gossip, "steelyard")
        await gossip.publish("steelyard", b"x")
        await asyncio.sleep(0.3)
        await gossip.close()
    assert found.empty()


async def test_a_daemon_without_pub_sub_only_costs_the_hints() -> None:
    told = Told([], status=500)
    async with told.serving() as url:
        gossip = PubSub(DaemonAddress.parse(url))
        found = await collect(gossip, "steelyard")
        await gossip.publish("steelyard", b"x")
        await asyncio.sleep(0.3)
        await gossip.close()
    assert found.empty()
    assert len(told.asked) == 2
