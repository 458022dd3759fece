"""Hints: signed by their sender for one job on one chain, small, and refused if anything is invalid."""

from __future__ import annotations

import dataclasses
import json
import time

import pytest
from eth_account import Account as Keys

from steelyard.chain.wallets import Wallet
from steelyard.content import Cid
from steelyard.content.gossip import MAX_MESSAGE
from steelyard.content.kubo.pubsub import parse
from steelyard.errors import FormatError
from steelyard.nodes.gossip.hints import LIFE_S, GossipTopic, Hint, checked_body, sign_hint

WALLET = Wallet(Keys.from_key(bytes(31) + b"\x07"))
OTHER = Wallet(Keys.from_key(bytes(31) + b"\x08"))
PLACE = GossipTopic(chain_id=31337, coordinator="0x" + "ab" * 20, job=3)
CID = str(Cid.of_block(0x55, b"x"))


def signed_hint(**changes: object) -> Hint:
    data = sign_hint(WALLET, PLACE, kind="file", body={"cid": CID, "url": "http://h:1"}, sequence=5)
    return dataclasses.replace(Hint.parse(data), **changes)  # type: ignore[arg-type]


def test_a_signed_hint_is_parsed_and_verified() -> None:
    hint = Hint.parse(signed_hint().encode())
    assert hint.is_signed_by_sender(PLACE)
    assert hint.sender == WALLET.address
    assert time.time() < hint.expires <= time.time() + LIFE_S
    assert checked_body(hint) == {"cid": CID, "url": "http://h:1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "peer"},
        {"body": {"cid": CID, "url": "http://elsewhere:1"}},
        {"sequence": 6},
        {"expires": 9_999_999_999},
        {"sender": OTHER.address},
        {"signature": "00" * 65},
        {"signature": "ff" * 65},
        {"signature": "00" * 64 + "1b"},
    ],
)
def test_anything_changed_is_forged(changes: dict[str, object]) -> None:
    assert not signed_hint(**changes).is_signed_by_sender(PLACE)


@pytest.mark.parametrize("change", [{"job": 4}, {"chain_id": 1}, {"coordinator": "0x" + "ac" * 20}])
def test_a_hint_means_nothing_in_another_job_chain_or_contract(change: dict[str, object]) -> None:
    assert not signed_hint().is_signed_by_sender(dataclasses.replace(PLACE, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff" * 100,
        b"[" * 900,
        signed_hint().encode() + b" ",
        signed_hint().encode().replace(b'"sequence":5', b'"sequence":-5'),
        signed_hint().encode().replace(b'"sequence":5', b'"sequence":5.0'),
        signed_hint().encode().replace(CID.encode(), b"\xc2\x85"),
        json.dumps({"kind": "file"}).encode(),
    ],
)
def test_other_data_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        Hint.parse(data)


def test_large_hints_are_refused() -> None:
    body = {"cid": CID, "url": "http://h:1/" + "x" * 180, "a": "y" * 200, "b": "z" * 200, "c": "z" * 200}
    with pytest.raises(FormatError, match="bytes"):
        sign_hint(WALLET, PLACE, kind="file", body=body, sequence=1)
    with pytest.raises(FormatError):
        Hint.parse(signed_hint().encode() + b" " * MAX_MESSAGE)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("file", {"cid": "no cid", "url": "http://h:1"}),
        ("file", {"url": "http://h:1"}),
        ("peer", {"url": "file:///etc/passwd"}),
        ("peer", {"url": 7}),
        ("progress", {"round": 1, "step": "2", "steps": 3}),
        ("news", {"url": "http://h:1"}),
    ],
)
def test_a_body_that_does_not_fit_its_kind_is_ignored(kind: str, body: dict[str, str | int]) -> None:
    assert checked_body(signed_hint(kind=kind, body=body)) is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"from":"12D3KooW","data":"uaGk","seqno":"uAA","topicIDs":["udA"]}\n', ("12D3KooW", b"hi")),
        (b'{"from":"12D3KooW","data":"maGk="}', ("12D3KooW", None)),
        (b'{"from":"12D3KooW","data":"u' + b"A" * 4000 + b'"}', ("12D3KooW", None)),
        (b'{"from":"../x","data":"uaGk"}', ("", None)),
        (b'{"data":"uaGk"}', ("", None)),
        (b"[" * 5000, ("", None)),
        (b"\xff", ("", None)),
    ],
)
def test_lines_of_a_daemon_are_parsed_or_ignored(line: bytes, found: tuple[str, bytes | None]) -> None:
    assert parse(line) == found
