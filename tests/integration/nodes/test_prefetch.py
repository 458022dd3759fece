"""Prefetching: a worker fetches the files that it needs next while it waits for others."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from steelyard.content import Cid, EmbeddedStore
from steelyard.errors import ContentMissing
from steelyard.nodes.config import Role
from steelyard.nodes.runner import run_node
from support.chains import StartChain
from support.fleet import ALL, FACTORIES, Fleet, Windows, run_all, staged

WORKERS = ("w0", "w1", "w2")


class LossyStore(EmbeddedStore):
    """A store that gets some files never or slowly, and records when each fetch began."""

    lacking: frozenset[str] | set[str] = frozenset()
    slow: frozenset[str] | set[str] = frozenset()
    begun: dict[str, float]

    async def get(self, cid: Cid, dest: Path, **how: Any) -> Path:  # type: ignore[override]
        self.begun.setdefault(str(cid), time.time())
        if str(cid) in self.lacking:
            await asyncio.sleep(0.2)
            raise ContentMissing(f"{cid} is not served to this store")
        if str(cid) in self.slow:
            await asyncio.sleep(1.0)
        return await super().get(cid, dest, **how)


def updates_of(fleet: Fleet, names: Sequence[str], serials: Sequence[int]) -> set[str]:
    """CIDs of submissions, from the events of all nodes."""
    addresses = {fleet.wallets[name].address for name in names}
    return {
        str(event.fields["cid"])
        for event in fleet.reported("submission")
        if event.fields["worker"] in addresses and event.serial in serials
    }


@pytest.mark.slow
async def test_a_worker_that_never_gets_an_update_trains_on_the_prefetched_result(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=WORKERS, rounds=3) as fleet:

        class Lacking(LossyStore):
            begun: dict[str, float] = {}  # noqa: RUF012

            async def get(self, cid: Cid, dest: Path, **how: Any) -> Path:  # type: ignore[override]
                self.lacking = updates_of(fleet, ["w0"], range(1, 9))
                return await super().get(cid, dest, **how)

        factories = {"w2": dataclasses.replace(FACTORIES, store=Lacking)}
        ended = await run_all(fleet, {**ALL, "w2": (Role.WORKER,)}, factories, timeout_s=150)
        assert set(ended.values()) == {"closed"}
        ahead = {event.round: event for event in fleet.reported("prefetched", "w2")}
        training = {event.round: event.at for event in fleet.reported("training", "w2")}
        assert {1, 2} <= set(ahead), "the results that it cannot compute"
        for number in (1, 2):
            assert ahead[number].fields["fits"]
            assert ahead[number].at < training[number + 1]
        submitted = [event for event in fleet.reported("tx", "w2") if event.fields["what"] == "submit"]
        assert len(submitted) == 3
        assert not fleet.reported("prefetched", "w0"), "it can compute the results"


@pytest.mark.slow
async def test_a_latecomer_has_the_updates_of_later_rounds_while_it_rebuilds_earlier_ones(
    start_chain: StartChain, tmp_path: Path
) -> None:
    windows = Windows(submit=6, challenge=20)
    async with staged(
        start_chain("anvil"),
        tmp_path,
        workers=WORKERS,
        rounds=3,
        windows=dataclasses.replace(windows, submit=6),
    ) as fleet:
        noted: dict[str, float] = {}

        class Late(LossyStore):
            begun = noted

            async def get(self, cid: Cid, dest: Path, **how: Any) -> Path:  # type: ignore[override]
                self.slow = updates_of(fleet, ["w0", "w1"], [1])
                return await super().get(cid, dest, **how)

        async def comes_late() -> str:
            while not any(event.serial == 2 for event in fleet.reported("post")):
                await asyncio.sleep(0.05)
            node = await run_node(
                fleet.config("w2", Role.WORKER),
                on_event=fleet.listener("w2"),
                factories=dataclasses.replace(FACTORIES, store=Late),
            )
            return node.status

        late = asyncio.create_task(comes_late())
        ended = await run_all(fleet, ALL, timeout_s=200)
        assert {*ended.values(), await late} == {"closed"}
        rebuilt = {event.serial: event.at for event in fleet.reported("rebuilt", "w2")}
        second = updates_of(fleet, ["w0", "w1"], [2])
        assert all(noted[cid] < rebuilt[1] for cid in second), "they came while the first was rebuilt"
