"""Retries of JSON-RPC requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from steelyard.chain.rpc import Rpc


async def test_a_request_that_timed_out_while_the_process_was_stopped_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rpc = Rpc("http://127.0.0.1:1", timeout_s=1, outage_s=0.05)
    asked: list[str] = []

    async def post(method: str, _params: list[Any]) -> dict[str, str]:
        asked.append(method)
        if len(asked) == 1:
            await asyncio.sleep(0.1)  # stopped, and the outage is over when it goes on
            raise TimeoutError
        return {"result": "0x7"}

    monkeypatch.setattr(rpc._transport, "post", post)
    assert await rpc.number("eth_blockNumber") == 7
    await rpc.close()
