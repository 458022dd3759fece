"""Deadlines on chains whose clock stands still while nothing is mined."""

from __future__ import annotations

import asyncio
import time

import pytest

from steelyard.errors import Reverted, TransactionTimeout
from support.chain_bench import Bench


async def opened(bench: Bench, delay: int) -> int:
    client = await bench.client()
    await client.send(bench.box.call("openIn", delay))
    return int(await client.read(bench.box.call("opensAt")))


async def test_an_idle_chain_still_refuses_after_the_deadline(bench: Bench) -> None:
    """The trap itself: without it, the next tests would prove nothing."""
    opens = await opened(bench, 1)
    await asyncio.sleep(max(0.0, opens - time.time()) + 0.2)
    client = await bench.client()
    if bench.chain.kind == "geth":
        return
    with pytest.raises(Reverted, match="NotYet"):
        await client.read(bench.box.call("enter", 1), block="latest")


@pytest.mark.timing
async def test_a_call_after_a_deadline_is_sent_as_soon_as_the_deadline_has_passed(bench: Bench) -> None:
    opens = await opened(bench, 2)
    client = await bench.client()
    receipt = await client.send(bench.box.call("enter", 1), not_before=opens)
    assert receipt.events
    assert opens <= time.time() < opens + 2


async def test_a_deadline_long_past_on_an_idle_chain_is_no_obstacle(bench: Bench) -> None:
    opens = await opened(bench, 1)
    await asyncio.sleep(max(0.0, opens - time.time()) + 1.2)
    client = await bench.client()
    assert await client.chain_time() > opens
    simulated = await client.simulate(bench.box.call("enter", 1), not_before=opens)
    assert simulated.gas > 21_000
    await client.send(bench.box.call("enter", 1), not_before=opens)


async def test_several_clients_at_one_deadline_all_get_through(bench: Bench) -> None:
    opens = await opened(bench, 2)
    clients = [await bench.client(account) for account in (0, 1, 2, 3)]
    receipts = await asyncio.gather(
        *(client.send(bench.box.call("enter", i), not_before=opens) for i, client in enumerate(clients))
    )
    assert len({receipt.hash for receipt in receipts}) == 4


async def test_chain_time_is_the_chains_when_that_is_ahead(bench: Bench) -> None:
    client = await bench.client(skew_s=100.0)
    head = await client.head(fresh=True)
    assert await client.chain_time() == head.timestamp
    ahead = await bench.client(skew_s=-50.0)
    assert await ahead.chain_time() >= int(time.time()) + 49


async def test_a_deadline_beyond_the_callers_is_reported_at_once(bench: Bench) -> None:
    client = await bench.client()
    with pytest.raises(TransactionTimeout, match="possible from"):
        async with asyncio.timeout(60):
            await client.send(bench.box.call("add"), not_before=int(time.time()) + 3600, deadline_s=600)
