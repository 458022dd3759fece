"""Tests that need a real IPFS daemon that dies, or files too large to record."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.content import StoreConfig, make_store
from steelyard.content.gossip import MessageVerdict
from steelyard.content.kubo.address import DaemonAddress, header_of
from steelyard.content.kubo.client import KuboClient
from steelyard.content.kubo.pubsub import PubSub
from steelyard.errors import ContentMissing, DaemonError
from support.kubo import NEEDS_IPFS, Daemon, one_daemon
from support.stores import striped

pytestmark = NEEDS_IPFS
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "cids.json").read_text())
SLICE = 1 << 24


@pytest.mark.slow
async def test_the_daemon_gives_every_cid_of_the_vectors(ipfs: list[Daemon], tmp_path: Path) -> None:
    """Up to 1 GiB and a byte: a tree of two levels."""
    client = KuboClient(DaemonAddress.parse(ipfs[0].api))
    everything = hashlib.shake_256(VECTORS["seed"].encode()).digest(max(v["size"] for v in VECTORS["files"]))
    try:
        for vector in VECTORS["files"]:
            path = tmp_path / "vector"
            with path.open("wb") as out:
                for start in range(0, vector["size"], SLICE):
                    out.write(everything[start : min(start + SLICE, vector["size"])])
            assert await client.add(path, vector["size"]) == vector["cid"], vector["size"]
    finally:
        await client.close()
        ipfs[0].rpc("repo/gc", timeout=120)


@pytest.mark.slow
async def test_a_daemon_that_dies_in_the_middle_of_a_fetch_is_named_and_found_again(
    ipfs: list[Daemon], tmp_path: Path
) -> None:
    data = striped("dies", 200 << 20)
    (tmp_path / "source").write_bytes(data)
    with one_daemon(tmp_path / "repo") as mortal:
        mortal.rpc("swarm/connect", arg=ipfs[0].swarm)
        giver = make_store(StoreConfig(root=tmp_path / "a", ipfs=ipfs[0].api, serve=False, exchange=False))
        config = StoreConfig(root=tmp_path / "b", ipfs=mortal.api, serve=False, exchange=False)
        async with giver, make_store(config) as taker:
            cid = await giver.add(tmp_path / "source")
            get = asyncio.create_task(taker.get(cid, tmp_path / "out", max_bytes=1 << 30, timeout_s=3))
            part = config.root / "parts" / str(cid)
            while not part.exists() or part.stat().st_blocks * 512 < 1 << 20:
                await asyncio.sleep(0.01)
            mortal.kill()
            with pytest.raises(ContentMissing, match="IPFS daemon"):
                await get
            with pytest.raises(DaemonError, match="no IPFS daemon answers") as caught:
                await taker.provide(await taker.add_bytes(b"x", provide=False))
            assert "ipfs daemon" in caught.value.remedy
    with one_daemon(tmp_path / "repo") as again:
        again.rpc("swarm/connect", arg=ipfs[0].swarm)
        config = StoreConfig(root=tmp_path / "b", ipfs=again.api, serve=False, exchange=False)
        async with make_store(config) as taker:
            await taker.get(cid, tmp_path / "out", max_bytes=1 << 30, timeout_s=60)
    assert (tmp_path / "out").read_bytes() == data


async def test_the_gateway_of_a_daemon_is_a_peer_like_any_other(ipfs: list[Daemon], tmp_path: Path) -> None:
    """An embedded store fetches from Kubo's own trustless gateway."""
    data = striped("gateway", 3 << 20)
    (tmp_path / "source").write_bytes(data)
    config = StoreConfig(root=tmp_path / "a", ipfs=ipfs[0].api, serve=False, exchange=False)
    async with make_store(config) as giver:
        cid = await giver.add(tmp_path / "source")
        plain = StoreConfig(root=tmp_path / "b", peers=(ipfs[0].gateway,), serve=False, allow_private=True)
        async with make_store(plain) as taker:
            path = await taker.get(cid, tmp_path / "out", max_bytes=1 << 30, timeout_s=60)
        assert path.read_bytes() == data
        await giver.withhold(cid)


async def test_other_ports_of_a_daemon_are_told_from_its_rpc(ipfs: list[Daemon], tmp_path: Path) -> None:
    swarm = ipfs[0].swarm.split("/")
    for place in (ipfs[0].gateway, f"/{'/'.join(swarm[1:5])}"):
        with pytest.raises(DaemonError) as caught:
            async with asyncio.timeout(60), make_store(StoreConfig(root=tmp_path, ipfs=place)):
                pass
        assert "ipfs" in caught.value.remedy


async def test_daemons_are_connected_once_their_stores_know_each_other(tmp_path: Path) -> None:
    data = striped("swarm", 2 << 20)
    (tmp_path / "source").write_bytes(data)
    with one_daemon(tmp_path / "one") as one, one_daemon(tmp_path / "two") as two:
        assert not two.rpc("swarm/peers")["Peers"]
        shared = {"allow_private": True, "announce_s": 1.0}
        here = make_store(StoreConfig(root=tmp_path / "a", ipfs=one.api, **shared))  # type: ignore[arg-type]
        async with here:
            config = StoreConfig(root=tmp_path / "b", ipfs=two.api, peers=(str(here.url),), **shared)  # type: ignore[arg-type]
            async with make_store(config) as there:
                for _ in range(100):
                    if two.rpc("swarm/peers")["Peers"]:
                        break
                    await asyncio.sleep(0.1)
                assert [peer["Peer"] for peer in two.rpc("swarm/peers")["Peers"]] == [one.rpc("id")["ID"]]
                cid = await here.add(tmp_path / "source")
                await there.get(cid, tmp_path / "out", max_bytes=1 << 30, timeout_s=60)
    assert (tmp_path / "out").read_bytes() == data


async def test_a_daemon_that_wants_a_secret_is_spoken_to_with_it(ipfs: list[Daemon], tmp_path: Path) -> None:
    data = striped("secret", (3 << 20) + 1)
    (tmp_path / "source").write_bytes(data)
    with one_daemon(tmp_path / "repo", config={"Pubsub": {"Enabled": True}}, token="a-token") as daemon:
        daemon.rpc("swarm/connect", arg=ipfs[0].swarm)
        secret = header_of("bearer:a-token")
        shared = {"serve": False, "exchange": False}
        locked = StoreConfig(root=tmp_path / "a", ipfs=daemon.api, ipfs_auth=secret, **shared)
        plain = StoreConfig(root=tmp_path / "b", ipfs=ipfs[0].api, **shared)
        async with make_store(locked) as one, make_store(plain) as other:
            for giver, taker in ((one, other), (other, one)):
                cid = await giver.add(tmp_path / "source")
                await taker.get(cid, tmp_path / f"out-{giver is one}", max_bytes=1 << 30, timeout_s=60)
                await giver.withhold(cid)
                await taker.gc(grace_s=0)
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def take(message: bytes) -> MessageVerdict:
            heard.put_nowait(message)
            return MessageVerdict.TAKEN

        gossip = PubSub(DaemonAddress.parse(daemon.api, secret))
        gossip.subscribe("steelyard", take)
        async with asyncio.timeout(60):
            while heard.empty():
                await gossip.publish("steelyard", b"x")
                await asyncio.sleep(0.2)
        await gossip.close()
        for wrong in ("", "Bearer another"):
            with pytest.raises(DaemonError, match="secret") as caught:
                async with make_store(replace(locked, ipfs_auth=wrong)):
                    pass
            assert "STEELYARD_IPFS_AUTH" in caught.value.remedy
            assert "another" not in str(caught.value)
    assert (tmp_path / "out-True").read_bytes() == (tmp_path / "out-False").read_bytes() == data


def test_the_command_line_says_what_hands_a_file_out(ipfs: list[Daemon], tmp_path: Path) -> None:
    daemon = ipfs[0]
    (tmp_path / "file").write_bytes(striped("said", 1000))

    def content(*words: str) -> str:
        command = [sys.executable, "-m", "steelyard.cli", "--home", str(tmp_path / "home"), "content"]
        done = subprocess.run(
            [*command, *words, "--ipfs", daemon.api], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        return " ".join(done.stdout.split())

    said = content("provide", "file")
    cid = said.split()[0]
    assert f"is pinned in the IPFS daemon at {daemon.api}, which serves it" in said
    assert daemon.has(cid)
    assert f"out of the IPFS daemon at {daemon.api}" in content("provide", cid, "--withhold")
    assert not daemon.has(cid)
