"""Hints between the nodes of a job: published, used, never required; floods and forgeries are contained."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import aiohttp
import pytest
from eth_account import Account as Keys

from steelyard.chain.wallets import Wallet
from steelyard.content import Cid
from steelyard.content.kubo.store import KuboStore
from steelyard.nodes.gossip.hints import GossipTopic, Hint, sign_hint
from support.chains import StartChain
from support.fleet import ALL, FACTORIES, Fleet, run_all, staged
from support.kubo import Daemon, daemons, ipfs_program


def topic_of(fleet: Fleet) -> GossipTopic:
    deployment = fleet.network.deployment
    assert deployment is not None
    return GossipTopic(
        chain_id=fleet.network.chain_id, coordinator=deployment.contracts["Coordinator"], job=fleet.job
    )


async def test_nodes_learn_files_and_addresses_from_each_other(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), rounds=3) as fleet:
        ended = await run_all(fleet, ALL)
        assert set(ended.values()) == {"closed"}
        assert not fleet.reported("problem")
        heard = fleet.reported("hint")
        senders = {(who, event.fields["worker"]) for who, event in fleet.events if event.kind == "hint"}
        assert {event.fields["what"] for event in heard} >= {"file"}
        files = {event.fields["cid"] for event in heard if event.fields["what"] == "file"}
        public = {event.fields["cid"] for kind in ("submission", "post") for event in fleet.reported(kind)}
        assert files
        assert files <= public
        assert all(fleet.wallets[who].address != sender for who, sender in senders), "no own hints"
        members = {fleet.wallets[name].address for name in ("w0", "w1", "agg0", "agg1")}
        assert {sender for _, sender in senders} <= members


async def test_a_job_without_hints_ends_as_well(start_chain: StartChain, tmp_path: Path) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), rounds=3) as fleet:
        settings = {name: {"hints": False} for name in ALL}
        ended = await run_all(fleet, ALL, settings=settings)
        assert set(ended.values()) == {"closed"}
        assert not fleet.reported("problem")
        assert not fleet.reported("hint")
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 3


class QuietStore(KuboStore):
    """A store without HTTP gossip, so that all hints come from the daemon."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.gossip.client = None
        return self


@pytest.mark.skipif(ipfs_program() is None, reason="no ipfs program")
async def test_nodes_on_daemons_exchange_hints_over_pub_sub(start_chain: StartChain, tmp_path: Path) -> None:
    seen: list[tuple[bool, bool]] = []
    with daemons(tmp_path, 2, pubsub=range(2)) as found:
        async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), rounds=3) as fleet:
            settings: dict[str, dict[str, object]] = {}
            for number, name in enumerate(ALL):
                store = dataclasses.replace(fleet.config(name, *ALL[name]).store, ipfs=found[number % 2].api)
                settings[name] = {"store": store}
            factories = {
                name: dataclasses.replace(FACTORIES, store=store_beside(found, seen)) for name in ALL
            }
            ended = await run_all(fleet, ALL, factories, timeout_s=200, settings=settings)
            assert set(ended.values()) == {"closed"}
            heard = {(who, event.fields["worker"]) for who, event in fleet.events if event.kind == "hint"}
    daemon = {name: number % 2 for number, name in enumerate(ALL)}
    names = {fleet.wallets[name].address: name for name in ALL}
    across = {daemon[who] != daemon[names[str(sender)]] for who, sender in heard}
    assert across == {True, False}, "from nodes on the same daemon and on the other one"
    assert len(seen) >= 6
    assert set(seen) == {(False, True)}, "an update is in no daemon until submissions are over"


def store_beside(found: list[Daemon], seen: list[tuple[bool, bool]]) -> type[QuietStore]:
    """A store that records whether a daemon has an update before and after it is added."""

    class Watched(QuietStore):
        async def add(self, path: Path, *, provide: bool = True, pin_until: float | None = None) -> Cid:
            if path.suffix != ".update":
                return await super().add(path, provide=provide, pin_until=pin_until)
            cid = str(await self.cid_of(path))
            before = await asyncio.to_thread(lambda: any(daemon.has(cid) for daemon in found))
            added = await super().add(path, provide=provide, pin_until=pin_until)
            seen.append((before, await asyncio.to_thread(lambda: any(daemon.has(cid) for daemon in found))))
            return added

    return Watched


class Enemy:
    """Sends forged and oversized messages to every node, as fast as it can."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet, self.sent, self.cut, self.taken = fleet, 0, 0, 0
        stranger = Wallet(Keys.create())
        topic, victim = topic_of(fleet), fleet.wallets["w0"].address
        body = {"url": "http://127.0.0.1:1"}
        mine = Hint.parse(sign_hint(stranger, topic, kind="peer", body=body, sequence=1))
        self._messages = [
            mine.encode(),
            dataclasses.replace(mine, sender=victim).encode(),
            b"\xff" * 900,
            b"x" * 100_000,
        ]
        self._path = f"/hints/{topic.name}"

    async def send(self) -> None:
        """Send to all nodes, until cancelled."""
        async with aiohttp.ClientSession() as session:
            while True:
                urls = [str(event.fields["url"]) for event in self._fleet.reported("started")]
                for number, url in enumerate(urls * len(self._messages)):
                    await self._one(session, url, self._messages[number % len(self._messages)])
                await asyncio.sleep(0.001)

    async def _one(self, session: aiohttp.ClientSession, url: str, data: bytes) -> None:
        self.sent += 1
        try:
            async with session.post(url + self._path, data=data) as response:
                self.taken += response.status < 300
                self.cut += response.headers.get("Connection") == "close"
        except (aiohttp.ClientError, OSError):
            self.cut += 1


@asynccontextmanager
async def attacked(fleet: Fleet) -> AsyncIterator[Enemy]:
    enemy = Enemy(fleet)
    task = asyncio.create_task(enemy.send())
    try:
        yield enemy
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_rounds_go_on_under_a_flood_of_forged_hints(start_chain: StartChain, tmp_path: Path) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), rounds=3) as fleet:
        async with attacked(fleet) as enemy:
            ended = await run_all(fleet, ALL, timeout_s=150)
        assert set(ended.values()) == {"closed"}
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 3
        assert enemy.sent > 100
        assert enemy.taken <= len(ALL), "but what a node seems to have said itself"
        assert enemy.cut >= 0.9 * enemy.sent, "each costs the connection"
        assert not [e for e in fleet.reported("hint") if e.fields["url"] == "http://127.0.0.1:1"]
