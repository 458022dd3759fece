"""Hints over the stores' own HTTP and a daemon's pub/sub: bounded, and who sends bad ones is cut off."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

import aiohttp
import pytest
from aiohttp import web
from eth_account import Account as Keys

from steelyard.chain.wallets import Wallet
from steelyard.content import Cid
from steelyard.content.gossip import MAX_MESSAGE, Verdict
from steelyard.content.pubsub import PubSub
from steelyard.nodes.hints import Hint, Place, signed
from support.hints_process import CHAIN, COORDINATOR, JOB
from support.kubo import ipfs_program, one_daemon
from support.stores import MakeStore

PLACE = Place(chain_id=CHAIN, coordinator=COORDINATOR, job=JOB)
MEMBER, STRANGER = Wallet(Keys.create()), Wallet(Keys.create())
MIB = 1 << 20


@dataclass
class Listener:
    """A node in a process of its own, with a member that it listens to."""

    process: subprocess.Popen[str]
    url: str
    cid: str

    def ask(self, what: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, object]:
        assert self.process.stdout is not None
        said: dict[str, object] = json.loads(self.process.stdout.readline())
        return said


@asynccontextmanager
async def listener(folder: Path) -> AsyncIterator[Listener]:
    script = Path(__file__).resolve().parents[2] / "support" / "hints_process.py"
    words = [sys.executable, str(script), str(folder), MEMBER.address]
    environ = {**os.environ, "PYTHONPATH": str(script.parents[1])}
    start = partial(subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
    with await asyncio.to_thread(start, words) as process:
        try:
            assert process.stdout is not None
            said = json.loads(await asyncio.to_thread(process.stdout.readline))
            yield Listener(process, said["url"], said["cid"])
        finally:
            process.kill()


async def post(session: aiohttp.ClientSession, url: str, data: bytes) -> tuple[int, bool]:
    """Status of a hint, and whether the connection was ended; 0 where it broke."""
    try:
        async with session.post(f"{url}/hints/{PLACE.topic}", data=data) as response:
            return response.status, response.headers.get("Connection") == "close"
    except (aiohttp.ClientError, OSError):
        return 0, True


def hint(sequence: int, wallet: Wallet = MEMBER) -> bytes:
    return signed(wallet, PLACE, kind="peer", body={"url": "http://127.0.0.1:9"}, sequence=sequence)


def forged(sequence: int) -> bytes:
    """Of the member, it says."""
    return replace(Hint.parse(hint(1)), sequence=sequence).encode()


async def test_a_members_hint_is_taken_once(tmp_path: Path) -> None:
    async with listener(tmp_path) as node, aiohttp.ClientSession() as session:
        node.ask("begin")
        data = hint(1)
        assert await post(session, node.url, data) == (204, False)
        assert await post(session, node.url, data) == (204, False), "known by now: nobody's fault"
        assert await post(session, node.url, hint(2)) == (204, False)
        node.ask("end")
        assert node.answer()["heard"] == ["peer", "peer"]


BAD: dict[str, Callable[[], bytes]] = {
    "forged": lambda: forged(7),
    "a stranger's": lambda: hint(1, STRANGER),
    "garbage": lambda: b"\xff" * 500,
    "empty": lambda: b"",
    "too large": lambda: b"x" * (MAX_MESSAGE + 1),
    "far too large": lambda: b"x" * 900_000,
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_hint_costs_its_sender_the_connection(tmp_path: Path, name: str) -> None:
    async with listener(tmp_path) as node, aiohttp.ClientSession() as session:
        node.ask("begin")
        status, ended = await post(session, node.url, BAD[name]())
        assert status != 204
        assert ended
        node.ask("end")
        assert node.answer()["heard"] == []


async def flood(url: str, messages: list[bytes], seconds: float) -> tuple[int, int]:
    """Send as fast as it goes; how many were sent and how many passed."""
    sent = passed = 0
    random, until = Random(1), time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < until:
            status, _ = await post(session, url, random.choice(messages))
            sent, passed = sent + 1, passed + (status == 204)
    return sent, passed


async def test_a_flood_costs_the_node_next_to_nothing(make_store: MakeStore, tmp_path: Path) -> None:
    """Measured: processor time and anonymous memory of the node, and a file that it hands out meanwhile."""
    messages = [forged(number) for number in range(50)] + [make() for make in BAD.values()] + [hint(1)]
    async with listener(tmp_path / "node") as node:
        taker = await make_store(node.url)
        node.ask("begin")
        floods = [asyncio.create_task(flood(node.url, messages, 5.0)) for _ in range(8)]
        await asyncio.sleep(0.5)
        start = time.monotonic()
        cid = Cid.parse(node.cid)
        await taker.get(cid, tmp_path / "got", max_bytes=MIB, timeout_s=20)
        fetched_s = time.monotonic() - start
        results = await asyncio.gather(*floods)
        node.ask("end")
        said = node.answer()
    sent, passed = sum(each[0] for each in results), sum(each[1] for each in results)
    assert sent > 200
    assert passed < 60
    assert float(str(said["cpu_s"])) / sent < 0.003, "seconds of processor time a message"
    assert int(str(said["grown"])) < 16 * MIB
    assert fetched_s < 5


async def collect(gossip: PubSub, topic: str) -> asyncio.Queue[bytes]:
    found: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(data: bytes) -> Verdict:
        found.put_nowait(data)
        return Verdict.REFUSED if data.startswith(b"bad") else Verdict.TAKEN

    gossip.subscribe(topic, take)
    return found


@pytest.fixture
async def daemon_url(tmp_path: Path) -> AsyncIterator[str]:
    """A real daemon with pub/sub."""
    if ipfs_program() is None:
        pytest.skip("no ipfs program")
    with one_daemon(tmp_path / "ipfs", config={"Pubsub": {"Enabled": True}}) as daemon:
        yield daemon.api


async def test_messages_go_over_a_daemons_pub_sub(daemon_url: str) -> None:
    gossip = PubSub(daemon_url)
    try:
        found = await collect(gossip, "steelyard-topic")
        async with asyncio.timeout(20):
            while found.empty():  # until the daemon listens
                await gossip.publish("steelyard-topic", bytes(range(256)))
                await asyncio.sleep(0.2)
            assert await found.get() == bytes(range(256))
    finally:
        await gossip.close()


class Told:
    """What a daemon with pub/sub answered, told again line by line, and what it was asked."""

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
        gossip = PubSub(url)
        try:
            found = await collect(gossip, "steelyard")
            async with asyncio.timeout(5):
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
        gossip = PubSub(url)
        found = await collect(gossip, "steelyard")
        async with asyncio.timeout(5):
            assert [await found.get(), await found.get()] == [b"bad", b"one"]
        await gossip.close()
    assert told.asked == ["/api/v0/pubsub/sub uc3RlZWx5YXJk"]


async def test_a_flood_over_pub_sub_is_cut_to_a_few_messages() -> None:
    told = Told([line("12D3Flood", "eA")] * 5000)
    async with told.serving() as url:
        gossip = PubSub(url)
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
        gossip = PubSub(url)
        found = await collect(gossip, "steelyard")
        await gossip.publish("steelyard", b"x")
        await asyncio.sleep(0.3)
        await gossip.close()
    assert found.empty()


async def test_a_daemon_without_pub_sub_only_costs_the_hints() -> None:
    told = Told([], status=500)
    async with told.serving() as url:
        gossip = PubSub(url)
        found = await collect(gossip, "steelyard")
        await gossip.publish("steelyard", b"x")
        await asyncio.sleep(0.3)
        await gossip.close()
    assert found.empty()
    assert len(told.asked) == 2
