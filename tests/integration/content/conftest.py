"""Stores on loopback, each with a folder of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.content import EmbeddedStore, StoreConfig
from support.stores import MakeStore


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
