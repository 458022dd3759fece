"""Peers: which addresses may be called, who is asked first, and how a flood of hints ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.content.peer_addresses import GuardedResolver, host_of, is_public_host, normal_url
from steelyard.content.peer_client import PeerFault, parse_peers
from steelyard.content.peers import Peers
from steelyard.content.rate_limit import TokenBucket
from steelyard.errors import ConfigError

PUBLIC = "http://93.184.216.34:8080"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@example.com",
        "http://example.com?x=1",
        "http://example.com#x",
        "http://example.com:0",
        "http://example.com:99999",
        "http://example.com/../admin",
        "http://example.com/a%2fb",
        "http://exa mple.com",
        "http://example.com\r\nX: y",
        "http://" + "a" * 300,
        "http://exämple.com",
        "http://[::1",
    ],
)
def test_what_is_no_plain_base_url_is_refused(url: str) -> None:
    assert normal_url(url) is None
    assert not Peers((), allow_private=True, limit=4).learn(url)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader_of_urls(text: str) -> None:
    for candidate in (text, "http://" + text):
        url = normal_url(candidate)
        assert url is None or normal_url(url) == url


def test_a_base_url_has_one_spelling() -> None:
    assert normal_url("HTTP://Example.com:80/gw/") == "http://example.com:80/gw"
    assert host_of("http://[::1]:80") == "::1"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "224.0.0.1",
        "100.64.0.1",
        "localhost",
        "x.localhost",
        "db.internal",
    ],
)
def test_addresses_inside_a_network_are_learned_only_where_allowed(host: str) -> None:
    assert not is_public_host(host)
    url = f"http://[{host}]:80" if ":" in host else f"http://{host}:80"
    assert not Peers((), allow_private=False, limit=4).learn(url)
    assert Peers((), allow_private=True, limit=4).learn(url)
    assert is_public_host("93.184.216.34")
    assert is_public_host("example.com")


@pytest.mark.parametrize("name", ["2130706433", "0x7f.1", "127.1", "017700000001"])
async def test_a_name_is_judged_by_what_it_resolves_to(name: str) -> None:
    guarded = GuardedResolver(allow_private=False, trusted=())
    with pytest.raises(OSError, match="private"):
        await guarded.resolve(name, 80)
    trusting = GuardedResolver(allow_private=False, trusted=(name,))
    assert (await trusting.resolve(name, 80))[0]["host"] == "127.0.0.1"


def test_only_reached_chosen_or_hinted_peers_are_asked() -> None:
    peers = Peers(("http://10.0.0.1:1",), allow_private=False, limit=8)
    assert peers.learn(PUBLIC)
    assert peers.ranked() == ["http://10.0.0.1:1"]
    assert peers.ranked([PUBLIC])[0] == PUBLIC
    peers.answered(PUBLIC)
    assert set(peers.ranked()) == {"http://10.0.0.1:1", PUBLIC}
    assert peers.shared() == [PUBLIC]


def test_who_served_well_is_asked_first_and_a_liar_not_at_all() -> None:
    urls = [f"http://93.184.216.{index}:80" for index in range(1, 4)]
    peers = Peers(urls, allow_private=False, limit=8)
    peers.served(urls[2])
    assert peers.ranked()[0] == urls[2]
    peers.failed(urls[2], "wrong bytes", lied=True)
    assert urls[2] not in peers.ranked([urls[2]])
    assert peers.patience(urls[0]) == 1.0


def test_a_peer_that_failed_comes_back_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("steelyard.content.peers.time.monotonic", lambda: clock[0])
    peers = Peers((PUBLIC,), allow_private=False, limit=8)
    for faults in range(1, 20):
        peers.failed(PUBLIC, "refused")
        assert peers.ranked() == []
        clock[0] += 10.0
        assert peers.ranked() == [PUBLIC], f"after {faults} faults"
    assert peers.patience(PUBLIC) == 16.0
    peers.served(PUBLIC)
    assert peers.patience(PUBLIC) == 1.0


def test_a_flood_of_hints_neither_grows_the_table_nor_drives_out_good_peers() -> None:
    good = [f"http://93.184.216.{index}:80" for index in range(1, 9)]
    peers = Peers(good[:1], allow_private=False, limit=16)
    for url in good:
        peers.learn(url)
        peers.served(url)
    for index in range(1000):
        peers.learn(f"http://8.8.{index // 250}.{index % 250}:80")
        peers.answered(f"http://8.8.{index // 250}.{index % 250}:80")
    assert len(peers.known()) == 16
    assert set(good) <= peers.known()
    assert set(peers.ranked()[: len(good)]) == set(good)
    assert peers.learn("http://9.9.9.9:80"), "newcomers still get a place of those that never gave anything"


def test_one_host_gets_few_places_and_a_trusted_name_no_other_port() -> None:
    peers = Peers(("http://store.example:80",), allow_private=False, limit=64)
    learned = [peers.learn(f"http://93.184.216.34:{port}") for port in range(1, 50)]
    assert sum(learned) == 8
    assert not peers.learn("http://store.example:22")


def test_private_addresses_are_not_told_to_strangers() -> None:
    peers = Peers(("http://10.0.0.1:1", PUBLIC), allow_private=False, limit=8)
    peers.served("http://10.0.0.1:1")
    peers.served(PUBLIC)
    assert peers.shared() == [PUBLIC]


def test_our_own_address_is_never_asked() -> None:
    peers = Peers((PUBLIC,), allow_private=False, limit=8)
    peers.own = PUBLIC
    assert peers.ranked([PUBLIC]) == []
    assert peers.contacts() == []


def test_a_malformed_peer_in_the_settings_is_an_error() -> None:
    with pytest.raises(ConfigError, match="base URL"):
        Peers(("not a url",), allow_private=True, limit=4)


@pytest.mark.parametrize(
    "reply", [b"", b"[]", b"{}", b'{"peers": 3}', b"\xff", b"[" * 10_000, b'{"peers": null}']
)
def test_a_malformed_list_of_peers_is_a_fault(reply: bytes) -> None:
    with pytest.raises(PeerFault):
        parse_peers(reply)


def test_a_long_list_of_peers_is_cut() -> None:
    assert len(parse_peers(b'{"peers": [' + b'"x",' * 999 + b"1]}")) == 64


def test_a_caller_has_a_budget_and_many_callers_take_bounded_memory() -> None:
    budget = TokenBucket(burst=3.0, per_second=0.0, callers=10)
    assert [budget.take("a") for _ in range(4)] == [True, True, True, False]
    for index in range(100):
        assert budget.take(str(index))
    assert len(budget._buckets) == 10
