"""Nodes in one process on anvil: a job runs by itself from its first opening to its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

from steelyard.nodes.config import Role
from steelyard.nodes.runner import run_node
from support.fleet import PARTS, Fleet, open_first, staged


async def run_all(fleet: Fleet, roles: dict[str, tuple[Role, ...]], timeout_s: float = 90) -> dict[str, str]:
    """Run nodes until each ends; their outcomes by name."""
    nodes = {
        name: asyncio.create_task(
            run_node(fleet.config(name, *mine), on_event=fleet.listener(name), parts=PARTS)
        )
        for name, mine in roles.items()
    }
    await open_first(fleet)
    async with asyncio.timeout(timeout_s):
        await asyncio.gather(*nodes.values())
    return {name: task.result().status for name, task in nodes.items()}


async def test_a_job_runs_from_its_first_opening_to_its_end(start_chain, tmp_path: Path) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1")) as fleet:
        roles = {
            "w0": (Role.WORKER,),
            "w1": (Role.WORKER,),
            "agg0": (Role.AGGREGATOR,),
            "agg1": (Role.AGGREGATOR,),
            "challenger": (Role.CHALLENGER,),
        }
        ended = await run_all(fleet, roles)
        assert set(ended.values()) == {"closed"}
        assert len({event.fields["id"] for event in fleet.said("final")}) == 3
        assert not fleet.said("void")
