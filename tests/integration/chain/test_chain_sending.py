"""An effect never happens twice, whoever sends it, and however often it dies in between."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from steelyard.chain.calls import transfer
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.sending.keys import STEPS
from steelyard.errors import Reverted, SpendLimit, TransactionTimeout
from support.chain_bench import BUILD, Bench, MakeBench, StartMiddleman, times

SCRIPT = Path(__file__).parent / "sender_process.py"


async def start(bench: Bench, intents: list[str], **more: Any) -> asyncio.subprocess.Process:
    task = {
        "abi": str(BUILD / "Box.json"),
        "address": bench.address,
        "url": bench.chain.url,
        "chain_id": bench.chain.chain_id,
        "account": 0,
        "state": str(bench.state_dir),
        "intents": intents,
        **more,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        json.dumps(task),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process) -> list[str]:
    output, problems = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, problems.decode()
    hashes: list[str] = json.loads(output)
    return hashes


async def total(bench: Bench) -> int:
    client = await bench.client(None)
    return int(await client.read(bench.box.call("total")))


async def test_the_same_intent_is_one_transaction(bench: Bench) -> None:
    client = await bench.client()
    first = await client.send(bench.box.call("add"), intent="once")
    again = await client.send(bench.box.call("add"), intent="once")
    other = await (await bench.client()).send(bench.box.call("add"), intent="once")
    assert first == again == other
    assert await total(bench) == 1


async def test_an_estimate_that_never_comes_is_found_out_by_calls(
    bench: Bench, middleman: StartMiddleman
) -> None:
    """As Ganache's, of some that it works on while it mines."""
    proxy = await middleman(bench.chain.url)
    proxy.rules.append(times(10, "mute", "eth_estimateGas"))
    client = await bench.client(16, url=proxy.url)
    right = await (await bench.client(16)).simulate(bench.box.call("many", 100))
    found = await client.simulate(bench.box.call("many", 100))
    assert right.gas * 9 // 10 < found.gas < 2 * right.gas + 1000
    receipt = await client.send(bench.box.call("many", 100))
    assert len(receipt.events) == 100
    with pytest.raises(Reverted, match="an old reason"):
        await client.simulate(bench.box.call("legacy"))


async def test_calls_without_an_intent_are_effects_of_their_own(bench: Bench) -> None:
    client = await bench.client()
    await client.send(bench.box.call("add"))
    await client.send(bench.box.call("add"))
    assert await total(bench) == 2


async def test_tasks_and_clients_of_one_key_share_its_nonces(bench: Bench) -> None:
    one, two = await bench.client(), await bench.client()
    sends = [client.send(bench.box.call("add")) for client in (one, two) for _ in range(6)]
    same = [client.send(bench.box.call("add"), intent="same") for client in (one, two, one)]
    receipts = await asyncio.gather(*sends, *same)
    assert len({receipt.nonce for receipt in receipts}) == 13
    assert await total(bench) == 13


async def test_processes_of_one_key_share_its_nonces(bench: Bench, tmp_path: Path) -> None:
    """They begin at the same moment, and some of their effects are the same."""
    names = [[f"{who}-{i}" if i % 2 else f"common-{i}" for i in range(12)] for who in "ab"]
    started = [await start(bench, each, go=[str(tmp_path / who) for who in "ab"]) for each in names]
    left, right = [await finish(process) for process in started]
    assert left[::2] == right[::2]
    assert len({*left, *right}) == 18
    assert await total(bench) == 18


@pytest.mark.parametrize("step", STEPS)
async def test_a_process_killed_at_any_step_goes_on_without_a_second_effect(
    anvil_bench: Bench, step: str
) -> None:
    await _killed_and_resumed(anvil_bench, step)


async def test_a_process_killed_while_it_sends_goes_on_on_every_chain(bench: Bench) -> None:
    await _killed_and_resumed(bench, "tx.broadcast")


async def _killed_and_resumed(bench: Bench, step: str) -> None:
    dying = await start(bench, ["effect"], crash=step)
    await asyncio.wait_for(dying.wait(), 60)
    assert dying.returncode == -signal.SIGKILL
    before = await total(bench)
    assert before == (0 if step == "tx.signed" else 1)
    [tx] = await finish(await start(bench, ["effect"], resume=True))
    [again] = await finish(await start(bench, ["effect"]))
    assert tx == again
    assert await total(bench) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_many_deaths_lose_and_double_nothing(anvil_bench: Bench, seed: int) -> None:
    bench, dice = anvil_bench, random.Random(seed)
    account = 20 + seed
    intents = [f"effect-{number}" for number in range(8)]
    deaths = 0
    for _ in range(60):
        crash = dice.choice(STEPS) if deaths < 8 else None
        process = await start(
            bench, intents, crash=crash, after=dice.randrange(6), account=account, resume=True
        )
        await asyncio.wait_for(process.communicate(), 60)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        deaths += 1
    assert deaths > 0
    assert await total(bench) == len(intents)
    used = int(bench.chain.rpc("eth_getTransactionCount", bench.wallet(account).address, "latest"), 16)
    assert used == len(intents)


async def test_a_nonce_left_by_a_dead_process_is_filled_by_the_next_sender(bench: Bench) -> None:
    dying = await start(bench, ["theirs"], crash="tx.signed")
    await asyncio.wait_for(dying.wait(), 60)
    client = await bench.client()
    await client.send(bench.box.call("add"), intent="ours", deadline_s=10)
    assert await total(bench) == 2
    await client.send(bench.box.call("add"), intent="theirs")
    assert await total(bench) == 2


async def test_resume_settles_what_a_dead_process_left(bench: Bench) -> None:
    dying = await start(bench, ["left"], crash="tx.signed")
    await asyncio.wait_for(dying.wait(), 60)
    client = await bench.client()
    [receipt] = await client.resume()
    assert receipt.intent == "left"
    assert await client.resume() == []
    assert await total(bench) == 1


async def test_an_intent_whose_nonce_went_elsewhere_is_sent_anew(bench: Bench) -> None:
    dying = await start(bench, ["ours"], crash="tx.signed")
    await asyncio.wait_for(dying.wait(), 60)
    client = await bench.client()
    key = bench.chain.accounts[0]
    nonce = int(bench.chain.rpc("eth_getTransactionCount", key.address, "latest"), 16)
    foreign = key.sign_transaction(
        {
            "chainId": bench.chain.chain_id,
            "nonce": nonce,
            "to": key.address,
            "value": 0,
            "gas": 21_000,
            "gasPrice": 10**10,
        }
    )
    bench.chain.rpc("eth_sendRawTransaction", "0x" + bytes(foreign.raw_transaction).hex())
    receipt = await client.send(bench.box.call("add"), intent="ours", deadline_s=20)
    assert receipt.nonce == nonce + 1
    assert await total(bench) == 1


async def test_a_reverted_intent_may_be_tried_anew(bench: Bench) -> None:
    client = await bench.client()
    await client.send(bench.box.call("openIn", 2))
    opens = await client.read(bench.box.call("opensAt"))
    with pytest.raises(Reverted, match="NotYet"):
        await client.send(bench.box.call("enter", 1), intent="enter", gas=100_000)
    await client.send(bench.box.call("enter", 1), intent="enter", not_before=opens)
    assert await total(bench) == 1


async def test_the_fee_ceiling_stops_a_transaction_before_it_is_signed(bench: Bench) -> None:
    base_fee = (await (await bench.client(None)).head()).base_fee
    assert base_fee is not None
    client = await bench.client(max_fee_gwei=base_fee / 2 / 10**9)
    with pytest.raises(SpendLimit, match="max_fee_gwei"):
        await client.send(bench.box.call("add"))
    assert await total(bench) == 0


async def test_the_spend_of_a_day_is_remembered_across_clients(bench: Bench) -> None:
    account = 6
    free = await bench.client(account)
    cost = (await free.send(bench.box.call("add"))).cost_wei / 10**18
    most = (await free.simulate(bench.box.call("add"))).most_wei / 10**18
    await (await bench.client(account, max_spend_per_day=cost + 1.2 * most)).send(bench.box.call("add"))
    with pytest.raises(SpendLimit, match="max_spend_per_day"):
        await (await bench.client(account, max_spend_per_day=1.5 * cost + 0.1 * most)).send(
            bench.box.call("add")
        )
    with pytest.raises(SpendLimit):
        await (await bench.client(account, max_spend_per_day=1.0)).send(
            transfer(bench.wallet(1).address, 10**18)
        )
    assert await total(bench) == 2


async def test_a_stuck_transaction_is_replaced_at_the_same_nonce(
    make_bench: MakeBench, start_chain: Any
) -> None:
    chain: DevChain = start_chain("anvil")
    bench = await make_bench(chain)
    client = await bench.client(bump_after_s=0.3)
    await client.head()
    chain.rpc("evm_setAutomine", False)
    sending = asyncio.create_task(client.send(bench.box.call("add"), intent="stuck", deadline_s=30))
    await asyncio.sleep(1.2)
    chain.rpc("evm_mine")
    receipt = await sending
    raised = [raw for raw in _attempts(bench, client.address) if raw]
    assert len(raised) >= 3
    assert receipt.hash == raised[-1]
    assert await total(bench) == 1
    chain.rpc("evm_setAutomine", True)
    following = await client.send(bench.box.call("add"))
    assert following.nonce == receipt.nonce + 1


async def test_who_watches_a_transaction_that_another_replaces_sends_no_second_one(
    make_bench: MakeBench, start_chain: Any
) -> None:
    """Each client stands for a process: it knows of the other's attempts from the journal alone."""
    chain: DevChain = start_chain("anvil")
    bench = await make_bench(chain)
    raising, watching = await bench.client(bump_after_s=0.3), await bench.client(bump_after_s=60.0)
    await raising.head()
    chain.rpc("evm_setAutomine", False)
    sends = [
        asyncio.create_task(client.send(bench.box.call("add"), intent="stuck", deadline_s=30))
        for client in (raising, watching)
    ]
    await asyncio.sleep(1.2)
    chain.rpc("evm_mine")
    await asyncio.sleep(1.0)  # in which the watcher would find its nonce gone
    chain.rpc("evm_setAutomine", True)
    one, other = await asyncio.gather(*sends)
    assert one.hash == other.hash
    assert len([raw for raw in _attempts(bench, raising.address) if raw]) >= 3
    assert await total(bench) == 1


async def test_a_transaction_priced_out_by_a_rising_base_fee_is_raised(
    make_bench: MakeBench, start_chain: Any
) -> None:
    chain: DevChain = start_chain("anvil")
    bench = await make_bench(chain)
    client = await bench.client(bump_after_s=0.3)
    await client.head()
    chain.rpc("evm_setAutomine", False)
    sending = asyncio.create_task(client.send(bench.box.call("add"), deadline_s=30))
    await asyncio.sleep(0.2)
    chain.rpc("anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    chain.rpc("evm_mine")
    chain.rpc("evm_setAutomine", True)
    receipt = await sending
    assert receipt.gas_price >= 40 * 10**9
    assert await total(bench) == 1


async def test_a_fee_at_its_ceiling_waits_and_times_out_and_can_be_found_later(
    make_bench: MakeBench, start_chain: Any
) -> None:
    chain: DevChain = start_chain("anvil")
    bench = await make_bench(chain)
    client = await bench.client(bump_after_s=0.2, max_fee_gwei=2.0)
    chain.rpc("evm_setAutomine", False)
    with pytest.raises(TransactionTimeout, match="max_fee_gwei"):
        await client.send(bench.box.call("add"), intent="later", deadline_s=1.0)
    chain.rpc("evm_mine")
    receipt = await client.send(bench.box.call("add"), intent="later")
    assert receipt.gas_price <= 2 * 10**9
    assert await total(bench) == 1


def _attempts(bench: Bench, address: str) -> list[str]:
    [path] = bench.state_dir.glob(f"*{address.lower()}.sqlite")
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT hash FROM attempt WHERE name LIKE '%/stuck' ORDER BY created").fetchall()
    db.close()
    return [row[0] for row in rows]
