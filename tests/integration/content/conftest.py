"""Stores on loopback, each with a folder of its own, and IPFS daemons in a private network."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.content import EmbeddedStore, StoreConfig
from support.kubo import NEEDS_IPFS, Daemon
from support.recording import Tape, player, recorder
from support.stores import MakeStore, Yard

RECORDINGS = Path(__file__).parent / "recordings"
DAEMONS = 3


@pytest.fixture
async def make_store(tmp_path: Path) -> AsyncIterator[MakeStore]:
    """Makes open stores; all are closed at the end of the test."""
    async with contextlib.AsyncExitStack() as stack:
        count = 0

        async def make(*peers: str, **settings: object) -> EmbeddedStore:
            nonlocal count
            count += 1
            root = settings.pop("root", tmp_path / f"store{count}")
            defaults = {"allow_private": True, "exchange": False, "stall_s": 1.0, "leaf_s": 2.0}
            config = StoreConfig(root=root, peers=peers, **(defaults | settings))  # type: ignore[arg-type]
            return await stack.enter_async_context(EmbeddedStore(config))

        yield make


@pytest.fixture(params=["embedded", pytest.param("kubo", marks=NEEDS_IPFS), "recorded"])
async def yard(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Yard]:
    """Stores of each kind. Recordings are made again by STEELYARD_RECORD=1 (docs/ipfs.md)."""
    seed = re.sub(r"-?(embedded|kubo|recorded)-?", "", request.node.name).replace("[]", "")
    async with contextlib.AsyncExitStack() as stack:
        apis: list[str] = []
        real: list[Daemon] = []
        if request.param == "kubo" or (request.param == "recorded" and os.environ.get("STEELYARD_RECORD")):
            real = request.getfixturevalue("ipfs")
        if request.param == "kubo":
            apis = [daemon.api for daemon in real]
        elif request.param == "recorded":
            apis = await _on_tape(stack, RECORDINGS / f"{re.sub(r'[^a-z0-9_]+', '-', seed)}.jsonl", real)
        yard = Yard(tmp_path, stack, apis, seed, real)
        async with yard.http, contextlib.AsyncExitStack() as stores:
            yard._stack = stores
            yield yard


async def _on_tape(stack: contextlib.AsyncExitStack, path: Path, real: list[Daemon]) -> list[str]:
    """real: daemons to record, none to play back."""
    if real:
        tape = Tape()
        stack.callback(tape.save, path)
        return [
            await stack.enter_async_context(recorder(tape, number, daemon.api))
            for number, daemon in enumerate(real)
        ]
    tape = Tape.load(path)
    stack.callback(tape.check)
    return [await stack.enter_async_context(player(tape, number)) for number in range(DAEMONS)]
