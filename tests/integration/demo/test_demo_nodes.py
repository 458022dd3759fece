"""The demo's node processes: what one says at its end reaches the person who runs the demo."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from steelyard.cli.demo import processes
from steelyard.cli.demo.accounts import Actor
from steelyard.cli.demo.settings import DemoSettings
from steelyard.errors import NodeError


async def test_a_node_that_ends_with_an_error_is_told_with_its_words(tmp_path: Path) -> None:
    actor = Actor(name="worker-1", role="worker", address="0x" + "11" * 20, home=tmp_path)
    actor.config.write_text('network = "no-such-network"\n')
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    heard: list[object] = []
    node = await processes.start(DemoSettings(cheat=False), actor, 1, lambda *said: heard.append(said), lock)
    try:
        async with asyncio.timeout(60):
            with pytest.raises(
                NodeError, match=r"(?s)worker-1 ended with code \d+; its log ends: .*no-such-network"
            ):
                await processes.watch([node])
    finally:
        await processes.end([node])
        os.close(lock)
    assert not heard
