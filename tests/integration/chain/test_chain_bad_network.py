"""Networks that cut, stall, refuse and lie: bounded patience, and errors that say what to do."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from steelyard.errors import ChainError, Reverted, Unreachable
from support.chain_bench import Bench, Middleman, StartMiddleman, times


@pytest.fixture
async def proxy(anvil_bench: Bench, middleman: StartMiddleman) -> Middleman:
    return await middleman(anvil_bench.chain.url)


@pytest.mark.parametrize("trouble", ["cut", 429, 500, 502, 503])
async def test_short_trouble_is_not_noticed(anvil_bench: Bench, proxy: Middleman, trouble: Any) -> None:
    client = await anvil_bench.client(11, url=proxy.url)
    for method in ("eth_estimateGas", "eth_getTransactionCount", "eth_sendRawTransaction"):
        proxy.rules.append(times(1, trouble, method))
    proxy.rules.append(times(1, trouble, "eth_getTransactionReceipt"))
    await client.send(anvil_bench.box.call("add"))
    assert await client.read(anvil_bench.box.call("total")) == 1


async def test_a_connection_cut_after_the_node_took_the_bytes_doubles_nothing(
    anvil_bench: Bench, proxy: Middleman
) -> None:
    client = await anvil_bench.client(12, url=proxy.url)
    proxy.rules.append(times(2, "late", "eth_sendRawTransaction"))
    await client.send(anvil_bench.box.call("add"))
    assert proxy.seen.count("eth_sendRawTransaction") == 3
    assert await client.read(anvil_bench.box.call("total")) == 1


async def test_a_rate_limit_reported_in_json_is_waited_out(anvil_bench: Bench, proxy: Middleman) -> None:
    client = await anvil_bench.client(None, url=proxy.url)
    busy = {"error": {"code": -32005, "message": "project ID request rate limit exceeded"}}
    proxy.rules.append(times(2, busy, "eth_call"))
    assert await client.read(anvil_bench.box.call("total")) == 0


async def test_a_geth_that_indexes_after_its_start_is_waited_for(
    anvil_bench: Bench, proxy: Middleman
) -> None:
    client = await anvil_bench.client(13, url=proxy.url)
    busy = {"error": {"code": -32000, "message": "transaction indexing is in progress"}}
    proxy.rules.append(times(2, busy, "eth_getTransactionReceipt"))
    await client.send(anvil_bench.box.call("add"))
    assert await client.read(anvil_bench.box.call("total")) == 1


async def test_an_rpc_that_stays_away_is_unreachable_in_bounded_time(
    anvil_bench: Bench, proxy: Middleman
) -> None:
    client = await anvil_bench.client(None, url=proxy.url, outage_s=0.5)
    proxy.rules.append(times(10_000, "cut"))
    with pytest.raises(Unreachable, match="did not answer eth_call") as caught:
        async with asyncio.timeout(60):
            await client.read(anvil_bench.box.call("total"))
    assert "rpc_url" in caught.value.remedy


async def test_an_outage_in_the_middle_of_a_send_loses_nothing(anvil_bench: Bench, proxy: Middleman) -> None:
    client = await anvil_bench.client(13, url=proxy.url, outage_s=0.3)
    outage = times(10_000, "cut", "eth_sendRawTransaction")
    proxy.rules.append(outage)
    with pytest.raises(Unreachable):
        await client.send(anvil_bench.box.call("add"), intent="sturdy")
    proxy.rules.remove(outage)
    await client.send(anvil_bench.box.call("add"), intent="sturdy")
    assert await client.read(anvil_bench.box.call("total")) == 1


async def test_a_node_that_does_not_answer_is_given_up(anvil_bench: Bench) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(Unreachable, match="no answer in time"):
        async with asyncio.timeout(60):
            await anvil_bench.client(None, url=url, rpc_timeout_s=0.2, outage_s=0.5)
    server.close()


async def test_nobody_listening_is_reported_with_host_and_port(anvil_bench: Bench) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"):
        await anvil_bench.client(None, url=f"http://127.0.0.1:{port}", outage_s=0.2)


async def test_an_answer_that_is_no_json_rpc_is_unreachable(
    anvil_bench: Bench, middleman: StartMiddleman
) -> None:
    proxy = await middleman(anvil_bench.chain.url)
    proxy.rules.append(times(10_000, {"weather": "fine"}))
    with pytest.raises(Unreachable, match="JSON-RPC"):
        await anvil_bench.client(None, url=proxy.url, outage_s=0.2)


async def test_an_error_sent_with_status_400_is_understood(anvil_bench: Bench, proxy: Middleman) -> None:
    client = await anvil_bench.client(18, url=proxy.url)
    error = {"code": 3, "message": "execution reverted", "data": "0x"}
    proxy.rules.append(times(1, (400, {"error": error}), "eth_estimateGas"))
    with pytest.raises(Reverted, match="without a reason"):
        await client.send(anvil_bench.box.call("add"))


async def test_a_node_that_lies_about_numbers_is_reported(anvil_bench: Bench, proxy: Middleman) -> None:
    client = await anvil_bench.client(18, url=proxy.url)
    proxy.rules.append(times(1, {"result": None}, "eth_getBalance"))
    with pytest.raises(ChainError, match="not a number"):
        await client.balance()


async def test_a_node_without_batches_is_asked_one_by_one(anvil_bench: Bench, proxy: Middleman) -> None:
    client = await anvil_bench.client(None, url=proxy.url)
    proxy.batches = False
    calls = [anvil_bench.box.call("values", key) for key in range(4)]
    assert await client.read_all(calls) == [0] * 4
    assert proxy.seen.count("eth_call") == 4


async def test_a_refused_key_is_reported_at_once_and_never_shown(
    anvil_bench: Bench, middleman: StartMiddleman, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy = await middleman(anvil_bench.chain.url)
    proxy.rules.append(times(10_000, 401))
    with pytest.raises(Unreachable, match="401") as caught:
        async with asyncio.timeout(60):
            await anvil_bench.client(None, url=f"{proxy.url}/v3/s3cr3t-key?token=hidden", outage_s=600)
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith("aiohttp.")]
    for text in (str(caught.value), repr(caught.value), *logged):
        assert "s3cr3t" not in text
        assert "hidden" not in text


async def test_a_node_that_forgets_pending_transactions_gets_them_again(
    anvil_bench: Bench, proxy: Middleman
) -> None:
    """The first broadcast is swallowed: accepted by a node that loses it."""
    client = await anvil_bench.client(14, url=proxy.url, bump_after_s=0.3)
    lost = {"result": "0x" + "ab" * 32}
    proxy.rules.append(times(1, lost, "eth_sendRawTransaction"))
    receipt = await client.send(anvil_bench.box.call("add"), intent="lost", deadline_s=60)
    assert receipt.block
    assert await client.read(anvil_bench.box.call("total")) == 1
