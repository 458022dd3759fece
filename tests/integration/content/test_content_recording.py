"""Playback in place of an IPFS daemon: everything that was recorded and nothing else."""

from __future__ import annotations

import asyncio
import hashlib

import aiohttp
import pytest

from support.recording import STREAMS, Exchange, Tape, _packed, player


def tape_of(body: bytes = b"") -> Tape:
    exchange = Exchange(
        daemon=0, method="POST", path="/api/v0/id", query="a=1", body=hashlib.sha256(body).hexdigest()
    )
    tape = Tape([exchange])
    tape.end(exchange, 200, b"an answer")
    return Tape([exchange])


async def ask(tape: Tape, method: str, place: str, body: bytes = b"") -> tuple[int, bytes]:
    async with (
        player(tape, 0) as url,
        aiohttp.ClientSession() as session,
        session.request(method, url + place, data=body or None) as reply,
    ):
        return reply.status, await reply.read()


async def test_a_recorded_exchange_is_played_back_once() -> None:
    tape = tape_of(b"body")
    assert await ask(tape, "POST", "/api/v0/id?a=1", b"body") == (200, b"an answer")
    tape.check()
    assert (await ask(tape, "POST", "/api/v0/id?a=1", b"body"))[0] == 500
    with pytest.raises(AssertionError, match="not recorded"):
        tape.check()


@pytest.mark.parametrize(
    ("method", "place", "body"),
    [
        ("GET", "/api/v0/id?a=1", b""),
        ("POST", "/api/v0/version?a=1", b""),
        ("POST", "/api/v0/id?a=2", b""),
        ("POST", "/api/v0/id?a=1", b"other"),
    ],
    ids=["method", "path", "query", "body"],
)
async def test_an_unknown_exchange_fails_the_test(method: str, place: str, body: bytes) -> None:
    tape = tape_of()
    assert (await ask(tape, method, place, body))[0] == 500
    with pytest.raises(AssertionError, match="not recorded"):
        tape.check()


def test_an_unused_exchange_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="not used"):
        tape_of().check()


async def test_a_subscription_is_told_bit_by_bit_and_no_bit_before_its_time() -> None:
    """A bit that came after a request comes after that request again."""
    nothing = hashlib.sha256(b"").hexdigest()
    told = Exchange(daemon=0, method="POST", path=STREAMS[0], query="arg=ux", body=nothing, status=200)
    told.bits = [(1, _packed(b"one\n")), (2, _packed(b"two\n"))]
    asked = tape_of().exchanges[0]
    tape = Tape([told, asked])
    async with (
        player(tape, 0) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}{STREAMS[0]}?arg=ux") as stream,
    ):
        assert await stream.content.readline() == b"one\n"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.content.readline(), 0.3)
        async with session.post(f"{url}/api/v0/id?a=1") as reply:
            assert await reply.read() == b"an answer"
        assert await asyncio.wait_for(stream.content.readline(), 60) == b"two\n"
    tape.check()
