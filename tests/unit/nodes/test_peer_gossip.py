"""Handling of hints: cheap checks come first, and signature checks take a bounded share of time."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from eth_account import Account as Keys

from steelyard.chain.wallets import Wallet
from steelyard.content.gossip import MessageVerdict
from steelyard.nodes.gossip.hints import MAX_LIFE_S, GossipTopic, Hint, sign_hint
from steelyard.nodes.gossip.peer_gossip import PeerGossip
from support.hints_process import CHAIN, COORDINATOR, JOB, context_of

MEMBER, STRANGER = Wallet(Keys.create()), Wallet(Keys.create())
PLACE = GossipTopic(chain_id=CHAIN, coordinator=COORDINATOR, job=JOB)
ELSEWHERE = dataclasses.replace(PLACE, job=JOB + 1)


class Receiver:
    """A gossip under test, the hints that it reported and the peers that it added to its store."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.urls: list[str] = []
        store: Any = SimpleNamespace(add_peers=self.urls.extend, url="http://127.0.0.1:1")
        self.gossip = PeerGossip(context_of(store, MEMBER.address, self.kinds), [])


def hint(sequence: int = 1, wallet: Wallet = MEMBER, **changes: Any) -> bytes:
    data = sign_hint(wallet, PLACE, kind="peer", body={"url": "http://10.0.0.7:4100"}, sequence=sequence)
    return dataclasses.replace(Hint.parse(data), **changes).encode()


async def test_a_members_address_becomes_a_peer_of_the_store() -> None:
    receiver = Receiver()
    assert await receiver.gossip.handle(hint()) is MessageVerdict.TAKEN
    assert (receiver.kinds, receiver.urls) == (["peer"], ["http://10.0.0.7:4100"])


async def test_known_expired_and_far_future_hints_are_ignored() -> None:
    receiver = Receiver()
    data, now = hint(), int(time.time())
    assert await receiver.gossip.handle(data) is MessageVerdict.TAKEN
    assert await receiver.gossip.handle(data) is MessageVerdict.PASSED_OVER
    assert await receiver.gossip.handle(hint(2, expires=now - 5)) is MessageVerdict.PASSED_OVER
    assert (
        await receiver.gossip.handle(hint(3, expires=now + int(MAX_LIFE_S) + 60))
        is MessageVerdict.PASSED_OVER
    )
    assert receiver.kinds == ["peer"]


@pytest.mark.parametrize(
    "made",  # in the test, since hints expire
    [
        lambda: hint(1, STRANGER),
        lambda: dataclasses.replace(Hint.parse(hint(1)), sequence=2).encode(),
        lambda: sign_hint(MEMBER, ELSEWHERE, kind="peer", body={"url": "http://h"}, sequence=1),
        lambda: sign_hint(MEMBER, PLACE, kind="peer", body={"url": "ftp://h"}, sequence=1),
        lambda: b"\x00" * 100,
    ],
    ids=["a stranger's", "changed", "of another job", "no address", "garbage"],
)
async def test_bad_hints_are_refused_without_effect(made: Callable[[], bytes]) -> None:
    receiver = Receiver()
    assert await receiver.gossip.handle(made()) is MessageVerdict.REFUSED
    assert (receiver.kinds, receiver.urls) == ([], [])


async def test_a_thousand_forged_hints_from_anywhere_cost_a_few_signatures() -> None:
    receiver, good = Receiver(), Hint.parse(hint())
    forged = [dataclasses.replace(good, sequence=10 + number).encode() for number in range(1000)]
    spent = time.process_time()
    verdicts = Counter([await receiver.gossip.handle(data) for data in forged])
    spent = time.process_time() - spent
    assert verdicts[MessageVerdict.TAKEN] == 0
    assert verdicts[MessageVerdict.REFUSED] < 40, "those whose signature was checked"
    assert spent < 2.0, "15 ms for each of those, and 0.1 ms for the rest"
    assert receiver.kinds == []


async def test_a_member_that_floods_is_accepted_a_few_times() -> None:
    receiver = Receiver()
    many = [hint(number) for number in range(60)]
    verdicts = Counter([await receiver.gossip.handle(data) for data in many])
    assert 0 < verdicts[MessageVerdict.TAKEN] <= 30
    assert len(receiver.kinds) == verdicts[MessageVerdict.TAKEN]
