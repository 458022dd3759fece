"""Pins of nodes while a job runs and after its end, read from their stores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from steelyard.content import FOREVER, EmbeddedStore, Entry, StoreConfig
from steelyard.nodes.reporting import NodeEvent
from steelyard.nodes.runner import run_node
from support.chains import StartChain
from support.fleet import ALL, FACTORIES, Fleet, open_first, run_all, staged

MARGIN_S = 300.0


async def left_in(fleet: Fleet, name: str) -> dict[str, Entry]:
    """CIDs in a node's store after a garbage collection."""
    root = fleet.root / "homes" / name / "content"
    async with EmbeddedStore(StoreConfig(root=root, serve=False, exchange=False)) as store:
        await store.gc(grace_s=0.0)
        return {str(entry.cid): entry for entry in await store.ls()}


async def test_pins_run_out_with_the_rounds_and_models_stay(start_chain: StartChain, tmp_path: Path) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), rounds=5) as fleet:
        settings = {
            "w0": {"keep_s": 0.0},
            "w1": {"keep_s": MARGIN_S, "keep_rounds": 1},
            "agg0": {"archive": True},
        }
        assert set((await run_all(fleet, ALL, settings=settings)).values()) == {"closed"}
        posts = {str(event.fields["cid"]): event.round for event in fleet.reported("post")}
        updates = {str(event.fields["cid"]): event.round for event in fleet.reported("submission")}
        final = next(cid for cid, number in posts.items() if number == 5)
        assert sorted(posts.values()) == [1, 2, 3, 4, 5]

        bare = await left_in(fleet, "w0")
        assert bare[final].pinned_until == FOREVER
        assert not bare.keys() & (posts.keys() | updates.keys()) - {final}, "all else has run out"

        margin = await left_in(fleet, "w1")
        assert margin[final].pinned_until == FOREVER
        for cid in (posts.keys() | updates.keys()) - {final}:
            until = margin[cid].pinned_until
            assert until is not None
            assert until <= time.time() + MARGIN_S

        archive = await left_in(fleet, "agg0")
        for cid in posts.keys() | updates.keys():
            assert archive[cid].pinned_until == FOREVER
        for held in (bare, margin, archive):
            assert len([entry for entry in held.values() if entry.pinned_until == FOREVER]) >= 3

        last = fleet.reported("holding", "agg0")[-1].json()
        assert last["files"] == len(archive)
        assert last["held_bytes"] == last["pinned_bytes"] == sum(entry.size for entry in archive.values())


async def test_nodes_that_never_come_back_leave_nothing_of_a_round_pinned_permanently(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1")) as fleet:
        stop = asyncio.Event()

        def listener(name: str) -> Callable[[NodeEvent], None]:
            def listen(event: NodeEvent) -> None:
                fleet.listener(name)(event)
                if event.kind == "rebuilt" and event.serial == 1:
                    stop.set()

            return listen

        nodes = [
            run_node(fleet.config(name, *roles), on_event=listener(name), stop=stop, factories=FACTORIES)
            for name, roles in ALL.items()
        ]
        await asyncio.gather(open_first(fleet), *nodes)
        updates = {str(event.fields["cid"]) for event in fleet.reported("submission") if event.serial == 1}
        for name in ("w0", "w1"):
            held = await left_in(fleet, name)
            for cid in updates:
                until = held[cid].pinned_until
                assert until is not None
                assert time.time() + 86_400 < until < time.time() + 4 * 86_400
