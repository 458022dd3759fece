"""Events in order, in chunks, over restarts and over reorganisations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from steelyard.chain.client import ChainClient
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.follower import Batch, Cursor, Follower
from steelyard.chain.types import RawEvent
from steelyard.errors import ChainError
from support.chain_bench import Bench, MakeBench, Middleman, times


class Ledger:
    """A consumer: the stored keys by block, rolled back and applied batch by batch."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int]] = []
        self.cursor: Cursor | None = None
        self.rollbacks: list[int] = []

    def apply(self, batch: Batch) -> None:
        if batch.rollback_to is not None:
            self.rollbacks.append(batch.rollback_to)
            self.rows = [row for row in self.rows if row[0] <= batch.rollback_to]
        for event in batch.events:
            assert isinstance(event, RawEvent)
            if event.name == "Stored":
                self.rows.append((event.position.block, event.fields["key"]))
        self.cursor = Cursor.load(batch.cursor.dump())

    async def drain(self, follower: Follower) -> None:
        quiet = 0
        while quiet < 2:
            batch = await follower.poll()
            if batch is None:
                quiet += 1
            else:
                self.apply(batch)

    @property
    def keys(self) -> list[int]:
        return [key for _, key in self.rows]


async def stored(client: ChainClient, bench: Bench, *keys: int) -> None:
    for key in keys:
        await client.send(bench.box.call("store", key, key))


async def test_events_come_once_and_in_order(bench: Bench) -> None:
    client = await bench.client()
    await stored(client, bench, 1, 2, 3)
    ledger, follower = Ledger(), client.follow(from_block=0)
    await ledger.drain(follower)
    assert ledger.keys == [1, 2, 3]
    await stored(client, bench, 4)
    await ledger.drain(follower)
    assert ledger.keys == [1, 2, 3, 4]
    assert ledger.rollbacks == []


async def test_a_stored_cursor_goes_on_where_it_stopped(bench: Bench) -> None:
    client = await bench.client()
    ledger = Ledger()
    await stored(client, bench, 1, 2)
    await ledger.drain(client.follow(from_block=0))
    await stored(client, bench, 3)
    await ledger.drain((await bench.client()).follow(ledger.cursor))
    assert ledger.keys == [1, 2, 3]
    assert ledger.rollbacks == []


async def test_blocks_without_events_come_too(bench: Bench) -> None:
    client = await bench.client()
    ledger, follower = Ledger(), client.follow(from_block=0)
    await ledger.drain(follower)
    await (await bench.client(1)).send(bench.box.call("openIn", 1))
    async with asyncio.timeout(60):  # geth has the receipt some moments before the head
        while (batch := await follower.poll()) is None:
            await asyncio.sleep(0.02)
    assert batch.events == ()
    assert batch.to_block == batch.head.number


async def test_unconfirmed_blocks_are_held_back(bench: Bench) -> None:
    client = await bench.client()
    ledger, follower = Ledger(), client.follow(from_block=0, confirmations=2)
    await stored(client, bench, 1, 2, 3, 4)
    await ledger.drain(follower)
    assert ledger.keys == [1, 2]
    await stored(client, bench, 5)
    await ledger.drain(follower)
    assert ledger.keys == [1, 2, 3]


async def test_batches_wake_after_a_block(bench: Bench) -> None:
    client = await bench.client()
    head = await client.head(fresh=True)

    async def first() -> Batch:
        async for batch in client.follow(from_block=head.number + 1).batches():
            return batch
        raise AssertionError

    waiting = asyncio.create_task(first())
    await asyncio.sleep(0.2)
    await stored(client, bench, 1)
    batch = await asyncio.wait_for(waiting, 60)
    assert [event.fields["key"] for event in batch.events if isinstance(event, RawEvent)] == [1]


async def test_a_long_history_is_read_in_chunks(bench: Bench) -> None:
    client = await bench.client(log_range=4)
    keys = list(range(20))
    await stored(client, bench, *keys)
    ledger = Ledger()
    await ledger.drain(client.follow(from_block=0))
    assert ledger.keys == keys


async def test_a_node_that_limits_ranges_is_asked_for_smaller_ones(
    anvil_bench: Bench, middleman: Callable[[str], Awaitable[Middleman]]
) -> None:
    bench = anvil_bench
    writer = await bench.client(7)
    start = (await writer.head(fresh=True)).number
    keys = list(range(25))
    await stored(writer, bench, *keys)
    proxy = await middleman(bench.chain.url)

    def limited(method: str, params: list[Any]) -> Any:
        if method != "eth_getLogs" or "fromBlock" not in params[0]:
            return None
        span = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
        if span <= 3:
            return None
        return {"error": {"code": -32005, "message": "query exceeds max block range 3"}}

    proxy.rules.append(limited)
    reader = await bench.client(None, url=proxy.url)
    ledger = Ledger()
    await ledger.drain(reader.follow(from_block=start))
    assert ledger.keys == keys


async def test_a_node_that_knows_no_logs_by_hash_is_asked_by_number(
    anvil_bench: Bench, middleman: Callable[[str], Awaitable[Middleman]]
) -> None:
    proxy = await middleman(anvil_bench.chain.url)
    writer = await anvil_bench.client(17)
    start = (await writer.head(fresh=True)).number

    def by_number_only(method: str, params: list[Any]) -> Any:
        if method == "eth_getLogs" and "blockHash" in params[0]:
            return {"error": {"code": -32602, "message": "invalid params: unknown field blockHash"}}
        return None

    proxy.rules.append(by_number_only)
    ledger = Ledger()
    follower = (await anvil_bench.client(None, url=proxy.url)).follow(from_block=start)
    await ledger.drain(follower)
    for key in (1, 2, 3):
        await stored(writer, anvil_bench, key)
        await ledger.drain(follower)
    assert ledger.keys == [1, 2, 3]


async def test_a_chain_that_goes_back_is_rolled_back_and_reread(bench: Bench) -> None:
    client = await bench.client()
    ledger, follower = Ledger(), client.follow(from_block=0)
    await stored(client, bench, 1, 2)
    await ledger.drain(follower)
    height = (await client.head(fresh=True)).number
    snapshot = None if bench.chain.kind == "geth" else bench.chain.rpc("evm_snapshot")
    await stored(client, bench, 3, 4)
    await ledger.drain(follower)
    assert ledger.keys == [1, 2, 3, 4]
    if bench.chain.kind == "geth":
        bench.chain.rpc("debug_setHead", hex(height))
    else:
        bench.chain.rpc("evm_revert", snapshot)
    await ledger.drain(follower)
    assert ledger.rollbacks == [height]
    other = await bench.client(8)
    await stored(other, bench, 5, 6, 7)
    await ledger.drain(follower)
    fresh = Ledger()
    await fresh.drain(other.follow(from_block=0))
    assert ledger.rows == fresh.rows
    assert {1, 2, 5, 6, 7} <= set(ledger.keys)
    if bench.chain.kind != "geth":  # which mines again what it took back
        assert ledger.keys == [1, 2, 5, 6, 7]


async def test_a_reorganisation_while_away_is_found_from_the_stored_cursor(
    make_bench: MakeBench, start_chain: Any
) -> None:
    bench = await make_bench(start_chain("anvil"))
    client = await bench.client()
    ledger = Ledger()
    follower = client.follow(from_block=0)
    for key in range(6):
        await stored(client, bench, key)
        await ledger.drain(follower)
    height = (await client.head(fresh=True)).number
    bench.chain.rpc("anvil_reorg", 3, [])
    await ledger.drain((await bench.client()).follow(ledger.cursor))
    assert ledger.rollbacks == [height - 3]
    assert ledger.keys == [0, 1, 2]


async def test_transactions_dropped_by_a_reorganisation_are_sent_again(
    make_bench: MakeBench, start_chain: Any
) -> None:
    chain: DevChain = start_chain("anvil")
    bench = await make_bench(chain)
    client = await bench.client()
    receipts = [await client.send(bench.box.call("store", key, 1), intent=f"s{key}") for key in range(5)]
    ledger, follower = Ledger(), client.follow(from_block=0)
    await ledger.drain(follower)
    chain.rpc("anvil_reorg", 2, [])
    await ledger.drain(follower)
    assert ledger.keys == [0, 1, 2]
    await client.resume()
    await ledger.drain(follower)
    assert ledger.keys == [0, 1, 2, 3, 4]
    again = [await client.send(bench.box.call("store", key, 1), intent=f"s{key}") for key in range(5)]
    assert [receipt.hash for receipt in again] == [receipt.hash for receipt in receipts]
    assert again[4].block_hash != receipts[4].block_hash
    following = await client.send(bench.box.call("store", 9, 1))
    assert following.nonce == again[4].nonce + 1


async def test_a_reorganisation_deeper_than_is_remembered_starts_over(
    make_bench: MakeBench, start_chain: Any
) -> None:
    bench = await make_bench(start_chain("anvil"))
    client = await bench.client()
    await stored(client, bench, 1, 2)
    foreign = Cursor(-1, ((1, "0x" + "11" * 32), (2, "0x" + "22" * 32)))
    ledger = Ledger()
    await ledger.drain(client.follow(foreign))
    assert ledger.rollbacks == [-1]
    assert ledger.keys == [1, 2]


async def test_a_chain_that_moves_between_head_and_logs_is_read_again(
    make_bench: MakeBench, start_chain: Any, middleman: Callable[[str], Awaitable[Middleman]]
) -> None:
    bench = await make_bench(start_chain("anvil"))
    writer = await bench.client()
    await stored(writer, bench, 1, 2, 3, 4)
    proxy = await middleman(bench.chain.url)
    reader = await bench.client(None, url=proxy.url)
    fired: list[str] = []

    def move(method: str, params: list[Any]) -> Any:
        if method == "eth_getLogs" and not fired:
            fired.append(method)
            bench.chain.rpc("anvil_reorg", 2, [])
        return None

    proxy.rules.append(move)
    ledger = Ledger()
    await ledger.drain(reader.follow(from_block=0))
    assert fired
    assert ledger.keys == [1, 2]


async def test_following_outlives_a_node_that_goes_away_for_a_while(
    anvil_bench: Bench, middleman: Callable[[str], Awaitable[Middleman]]
) -> None:
    proxy = await middleman(anvil_bench.chain.url)
    writer = await anvil_bench.client(9)
    start = (await writer.head(fresh=True)).number
    reader = await anvil_bench.client(None, url=proxy.url)
    ledger, follower = Ledger(), reader.follow(from_block=start)
    await ledger.drain(follower)
    proxy.rules += [times(2, "cut"), times(2, 503), times(1, 429)]
    await stored(writer, anvil_bench, 1)
    await ledger.drain(follower)
    assert ledger.keys == [1]


def test_a_damaged_cursor_is_refused() -> None:
    for text in ("", "[]", '{"origin": 1}', '{"origin": 0, "seen": [[1]]}'):
        with pytest.raises(ChainError, match="not a cursor"):
            Cursor.load(text)
