"""A node as a background task of a running event loop: started, observed, stopped, started again."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from steelyard.errors import NodeError, WrongPassword
from steelyard.nodes.config import Role
from steelyard.nodes.reporting import NodeEvent
from steelyard.nodes.runner import NodeRunner
from support.chains import StartChain
from support.fleet import FACTORIES, open_first, staged


async def test_a_node_starts_reports_stops_and_a_new_runner_continues_its_job(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0",), rounds=1) as fleet:
        worker, aggregator = fleet.config("w0", Role.WORKER), fleet.config("agg0", Role.AGGREGATOR)
        seen: list[NodeEvent] = []
        runner = NodeRunner(worker, on_event=seen.append, factories=FACTORIES)
        await runner.start()
        assert runner.running
        assert seen[0].kind == "started"
        with pytest.raises(NodeError, match="was started before"):
            await runner.start()
        assert (await runner.stop()).status == "stopped"
        assert not runner.running

        async with (
            NodeRunner(worker, on_event=seen.append, factories=FACTORIES) as again,
            NodeRunner(aggregator, factories=FACTORIES) as poster,
        ):
            await open_first(fleet)
            async with asyncio.timeout(60):
                outcomes = await asyncio.gather(again.wait(), poster.wait())
        assert {outcome.status for outcome in outcomes} == {"closed"}
        assert "ended" in {event.kind for event in seen}


async def test_a_node_that_cannot_start_says_why_and_leaves_no_task(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0",), rounds=1) as fleet:
        wrong = tmp_path / "wrong"
        wrong.write_text("another password")
        config = fleet.config("w0", Role.WORKER)
        config = dataclasses.replace(config, passwords=dataclasses.replace(config.passwords, file=wrong))
        runner = NodeRunner(config, factories=FACTORIES)
        with pytest.raises(WrongPassword):
            await runner.start()
        assert not runner.running
        with pytest.raises(NodeError, match="was not started"):
            await NodeRunner(config).wait()
