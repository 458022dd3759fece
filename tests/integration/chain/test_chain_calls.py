"""Reads, simulations and reverts on each development chain."""

from __future__ import annotations

import pytest

from steelyard.chain.calls import Contract, transfer
from steelyard.chain.types import RawEvent
from steelyard.errors import ConfigError, InsufficientFunds, Reverted, WalletError, WrongNetwork
from support.chain_bench import Bench, network_of


async def test_reads_give_values_structs_and_tuples(bench: Bench) -> None:
    client = await bench.client()
    who = bench.wallet(3).address
    total, last = await client.read(bench.box.call("pairs", [(3, who), (2**64 - 1, who)]))
    assert total == 3 + 2**64 - 1
    assert last == (2**64 - 1, who)
    many = [bench.box.call("values", key) for key in range(5)]
    assert await client.read_all(many) == [0] * 5


async def test_a_sent_call_gives_a_receipt_with_its_events(bench: Bench) -> None:
    client = await bench.client()
    before = await client.balance()
    receipt = await client.send(bench.box.call("store", 7, 70))
    event = receipt.one(RawEvent)
    assert (event.name, event.fields["key"], event.fields["by"], event.fields["value"]) == (
        "Stored",
        7,
        client.address,
        70,
    )
    assert event.position.block == receipt.block
    assert event.position.transaction == receipt.hash
    assert before - await client.balance() == receipt.cost_wei
    assert receipt.description == "Box.store"
    assert await client.read(bench.box.call("values", 7), block=receipt.block) == 70


async def test_a_custom_error_is_decoded_before_anything_is_sent(bench: Bench) -> None:
    client = await bench.client()
    await client.send(bench.box.call("store", 8, 1))
    before = await client.balance()
    with pytest.raises(Reverted, match=r"Box\.store was refused: Taken\(key=8") as caught:
        await client.send(bench.box.call("store", 8, 2))
    assert caught.value.name == "Taken"
    assert caught.value.args_by_name == {"key": 8, "by": client.address}
    assert await client.balance() == before


async def test_a_transaction_that_fails_in_its_block_says_why(bench: Bench) -> None:
    client = await bench.client()
    await client.send(bench.box.call("store", 9, 1))
    with pytest.raises(Reverted, match="Taken") as caught:
        await client.send(bench.box.call("store", 9, 2), gas=100_000)
    assert caught.value.name == "Taken"
    assert "transaction 0x" in caught.value.message


async def test_a_transaction_that_runs_out_of_gas_says_so(bench: Bench) -> None:
    client = await bench.client()
    with pytest.raises(Reverted, match="ran out of gas"):
        await client.send(bench.box.call("store", 10, 1), gas=30_000)


@pytest.mark.parametrize(
    ("function", "args", "said"),
    [("legacy", (), "an old reason"), ("broken", (0,), "division by zero")],
)
async def test_plain_reverts_and_panics_are_reported(
    bench: Bench, function: str, args: tuple[int, ...], said: str
) -> None:
    client = await bench.client(None)
    with pytest.raises(Reverted, match=said):
        await client.read(bench.box.call(function, *args))


async def test_a_simulation_returns_gas_and_price_and_sends_nothing(bench: Bench) -> None:
    client = await bench.client()
    simulated = await client.simulate(bench.box.call("store", 11, 1))
    assert await client.read(bench.box.call("values", 11)) == 0
    receipt = await client.send(bench.box.call("store", 11, 1))
    assert simulated.gas * 0.8 <= receipt.gas_used <= simulated.gas
    assert receipt.cost_wei <= simulated.most_wei
    assert simulated.cost_wei < simulated.most_wei


async def test_wrong_arguments_are_refused_without_a_request(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="store"):
        bench.box.call("store", 1)
    with pytest.raises(ConfigError, match="store"):
        bench.box.call("store", 2**64, 1)
    with pytest.raises(ConfigError, match="no function"):
        bench.box.call("nothing")


async def test_an_empty_account_gets_the_amounts_it_lacks(bench: Bench) -> None:
    rich = await bench.client(0)
    poor = await bench.client(5)
    held = await poor.balance()
    rest = 10**13
    receipt = await poor.send(transfer(rich.address, held - 10**16))
    left = await poor.balance()
    await poor.send(transfer(rich.address, left - 2 * receipt.cost_wei - rest), gas=21_000)
    with pytest.raises(InsufficientFunds, match=r"ETH") as caught:
        await poor.send(bench.box.call("add"), gas=25_000_000)
    assert caught.value.remedy
    await rich.send(transfer(poor.address, 10**18))
    await poor.send(bench.box.call("add"))  # the refused one has left no gap


async def test_a_client_without_a_wallet_reads_and_does_not_send(bench: Bench) -> None:
    client = await bench.client(None)
    assert await client.read(bench.box.call("total")) >= 0
    with pytest.raises(WalletError, match="account"):
        await client.send(bench.box.call("add"))


async def test_another_chain_id_is_refused(bench: Bench) -> None:
    other = 1337 if bench.chain.chain_id == 31337 else 31337
    with pytest.raises(WrongNetwork, match=str(bench.chain.chain_id)):
        await bench.client(chain_id=other)


async def test_an_address_without_code_is_refused(bench: Bench) -> None:
    bench.address = bench.wallet(3).address
    with pytest.raises(WrongNetwork, match="no Box at"):
        await bench.client()


async def test_an_answer_that_does_not_decode_points_at_the_deployment(bench: Bench) -> None:
    client = await bench.client()
    nobody = Contract(bench.interface, bench.wallet(4).address)
    with pytest.raises(WrongNetwork, match="do not decode"):
        await client.read(nobody.call("total"))


def test_networks_of_development_chains_are_known(bench: Bench) -> None:
    assert network_of(bench.chain).is_development
