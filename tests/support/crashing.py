"""A job whose nodes are killed at seeded points and restarted, and the checks at its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any
from unittest import mock

from steelyard.chain.client import ChainClient
from steelyard.chain.generated.events import Convicted, Final, Slashed, UpdateMalformed
from steelyard.chain.types import Event
from steelyard.nodes.claims import claim_posts, claim_shares, claimable, claimable_posts
from support.fleet import Fleet, open_first
from support.node_process import forked

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["support.preloaded"])

POINTS = {
    "*": 40,
    "journal.before": 5,
    "journal.after": 5,
    "send.before": 4,
    "send.after": 4,
    "tx.signed": 4,
    "tx.broadcast": 4,
    "tx.sent": 4,
    "tx.mined": 4,
    "tx.settled": 4,
    "batch.before": 12,
    "batch.after": 12,
    "train.after": 2,
    "aggregate.after": 2,
    "fetch.after": 4,
}
"""Crash points, and the greatest count that a worker reaches in a job of two rounds."""
SENDS = ("send.before", "send.after", "tx.signed", "tx.broadcast", "tx.sent", "tx.mined", "tx.settled")
FEWER = {
    "agg0": {"train.after": 0},
    "challenger": {
        "train.after": 0,
        "journal.before": 3,
        "journal.after": 3,
        **dict.fromkeys(SENDS, 2),  # it commits and convicts, once
    },
}
"""The counts of other roles, if they are lower."""


def plan(seed: int, name: str) -> str:
    """The crash point of node `name` for a seed."""
    draw = random.Random(f"{seed}/{name}")
    counts = {point: count for point, count in (POINTS | FEWER.get(name, {})).items() if count}
    point = draw.choice(sorted(counts))
    return f"{point}:{draw.randint(1, counts[point])}"


LOST = 255  # multiprocessing's exit code if the fork server does not know how the process was killed


def start_forks() -> None:
    """Start the fork server, unless it runs.

    It makes the imports once, as they cost two seconds of processor time. Up to Python 3.13 it does not get
    this process's import path, and silently skips modules that it cannot import.
    """
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))):
        forkserver.ensure_running()


@dataclass(kw_only=True)
class Supervised:
    """A node in a process of its own that is restarted when it is killed, unless its death is permanent."""

    fleet: Fleet
    name: str
    role: str
    crash: str = ""  # crash point of its first run
    last_event: str = ""  # event that ends its first run
    permanent: bool = False
    cheat: str = ""
    kills: int = 0
    outcome: str = ""

    @property
    def log(self) -> Path:
        """The output of all runs."""
        return self.fleet.root / f"{self.name}.log"

    async def run(self) -> None:
        """Run until it ends by itself. Raises RuntimeError if it fails."""
        start_forks()
        while not self.outcome:
            crash, last_event = ("", "") if self.kills else (self.crash, self.last_event)
            place = (self.fleet.root, self.name, self.role, crash, self.cheat, self.log, last_event)
            process = FORKS.Process(target=forked, args=place, daemon=True)
            await asyncio.to_thread(process.start)  # the first waits for the imports
            try:
                while process.exitcode is None:
                    await asyncio.sleep(0.05)
            finally:
                process.kill()
                process.join()
            if process.exitcode in (-signal.SIGKILL, LOST):
                self.kills += 1
                self.outcome = "dead" if self.permanent else ""
            elif process.exitcode:
                raise RuntimeError(
                    f"{self.name} ended with {process.exitcode}: {self.log.read_text()[-4000:]}"
                )
            else:
                self.outcome = str(self.events()[-1]["status"])

    @property
    def up(self) -> bool:
        """True if it has reported an event, or died before it could."""
        return bool(self.kills or self.outcome or (self.log.exists() and self.events()))

    def events(self) -> list[dict[str, Any]]:
        """Its events; a line that was cut by its death is skipped."""
        found = []
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [event for event in found if isinstance(event, dict)]


async def run_crashing(fleet: Fleet, nodes: list[Supervised], timeout_s: float) -> None:
    """Run every node to its end, with restarts. The first round opens once all have started."""
    running = [asyncio.create_task(node.run()) for node in nodes]
    try:
        async with asyncio.timeout(timeout_s):
            while not all(node.up for node in nodes) and not any(task.done() for task in running):
                await asyncio.sleep(0.1)
            await open_first(fleet)
            await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def log_of(client: ChainClient) -> list[Event]:
    """Every event of the deployment."""
    follower = client.follow()
    found: list[Event] = []
    while (batch := await follower.poll()) is not None:
        found += batch.events
    return found


async def check_all_is_right(fleet: Fleet, rounds: int, cheats: set[str], malformed: int = 0) -> Counter[str]:
    """All rounds final, nobody honest slashed, no call sent twice, tokens add up. Returns event counts."""
    async with fleet.client("sponsor") as client:
        await claim_shares(client, await claimable(client, fleet.job))
        await claim_posts(client, await claimable_posts(client, fleet.job))
        events = await log_of(client)
        assert sum(isinstance(event, Final) for event in events) == rounds
        assert sum(isinstance(event, UpdateMalformed) for event in events) == malformed
        assert {event.poster for event in events if isinstance(event, Convicted)} <= cheats
        assert {event.account for event in events if isinstance(event, Slashed)} <= cheats
        await _nothing_twice(client)
        vault, token = client.contracts.vault, client.contracts.token
        assert await client.read(vault.held_of(token.address)) == await client.read(
            token.balance_of(vault.address)
        )
        assert (await client.read(vault.escrow_of(fleet.job))).amount == 0
        return Counter(type(event).__name__ for event in events)


async def _nothing_twice(client: ChainClient) -> None:
    """No account had the same call succeed twice.

    Except three, which have another effect each time: `settle`, `retry` and `open_round`.
    """
    coordinator = client.contracts.coordinator
    another = (coordinator.settle(0), coordinator.retry(0, 0), coordinator.open_round(0))
    again = {call.data[:4].hex() for call in another}
    head = await client.head(fresh=True)
    calls: Counter[tuple[str, str]] = Counter()
    for number in range(1, head.number + 1):
        block = await client.rpc.call("eth_getBlockByNumber", hex(number), True)
        for sent in block["transactions"]:
            receipt = await client.rpc.call("eth_getTransactionReceipt", sent["hash"])
            if receipt["status"] == "0x1" and sent["to"] and sent["input"][2:10] not in again:
                calls[sent["from"], f"{sent['to']}{sent['input']}"] += 1
    assert not (twice := [call for call, times in calls.items() if times > 1]), twice


def root_of(tmp_path: Path, seed: int) -> Path:
    """Folder for a seed."""
    return tmp_path / f"seed-{seed}"
