"""Hints over the stores' own HTTP: bounded, and who sends bad ones is cut off."""

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
from eth_account import Account as Keys

from steelyard.chain.wallets import Wallet
from steelyard.content import Cid
from steelyard.content.gossip import MAX_MESSAGE
from steelyard.nodes.gossip.hints import GossipTopic, Hint, sign_hint
from support.hints_process import CHAIN, COORDINATOR, JOB
from support.stores import MakeStore

PLACE = GossipTopic(chain_id=CHAIN, coordinator=COORDINATOR, job=JOB)
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
        async with session.post(f"{url}/hints/{PLACE.name}", data=data) as response:
            return response.status, response.headers.get("Connection") == "close"
    except (aiohttp.ClientError, OSError):
        return 0, True


def hint(sequence: int, wallet: Wallet = MEMBER) -> bytes:
    return sign_hint(wallet, PLACE, kind="peer", body={"url": "http://127.0.0.1:9"}, sequence=sequence)


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


@pytest.mark.timing
async def test_a_flood_costs_the_node_next_to_nothing(make_store: MakeStore, tmp_path: Path) -> None:
    """Measured: processor time and anonymous memory of the node, and a file that it serves meanwhile."""
    messages = [forged(number) for number in range(50)] + [make() for make in BAD.values()] + [hint(1)]
    async with listener(tmp_path / "node") as node:
        taker = await make_store(node.url)
        node.ask("begin")
        floods = [asyncio.create_task(flood(node.url, messages, 5.0)) for _ in range(8)]
        await asyncio.sleep(0.5)
        start = time.monotonic()
        cid = Cid.parse(node.cid)
        await taker.get(cid, tmp_path / "got", max_bytes=MIB, timeout_s=60)
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
