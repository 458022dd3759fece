"""The chain layer's parts without a chain: fees, spend, journal, locks, reverts, networks, cursors."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from steelyard.chain.codec import Signature
from steelyard.chain.follower import KEPT, Cursor
from steelyard.chain.networks import KNOWN, Deployment, Network, Networks, default_state_dir
from steelyard.chain.reverts import Reverts, is_revert, revert_data
from steelyard.chain.rpc import Rpc, RpcRefused, redact
from steelyard.chain.sending.broadcast import BroadcastAnswer, classify
from steelyard.chain.sending.fees import GWEI, Fees, bumped, check_spend, ether, quote
from steelyard.chain.sending.key_lock import KeyLock
from steelyard.chain.sending.outbox import Attempt, PendingTx, SqliteOutbox, State
from steelyard.errors import ChainError, ConfigError, JournalError, SpendLimit

PEER = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"


# ---------------------------------------------------------------- fees


@given(st.integers(0, 10**13), st.integers(0, 10**11), st.integers(1, 10**13))
def test_a_quote_keeps_below_the_ceiling_and_can_be_mined(base_fee: int, tip: int, ceiling: int) -> None:
    if base_fee > ceiling:
        with pytest.raises(SpendLimit):
            quote(base_fee, tip, ceiling)
        return
    fees = quote(base_fee, tip, ceiling)
    assert base_fee <= fees.max_fee <= ceiling
    assert fees.tip <= min(tip, fees.max_fee)


@given(st.integers(1, 10**12), st.integers(0, 10**10), st.integers(1, 10**13))
def test_a_replacement_pays_what_nodes_ask_for_or_is_none(max_fee: int, tip: int, ceiling: int) -> None:
    last = Fees(max_fee=max_fee, tip=min(tip, max_fee))
    raised = bumped(last, last, ceiling)
    if raised is None:
        assert max_fee * 1.125 > ceiling - 1
        return
    assert raised.max_fee * 10 >= last.max_fee * 11
    assert raised.tip * 10 >= last.tip * 11
    assert raised.max_fee <= ceiling


def test_a_replacement_follows_a_market_that_has_risen_more() -> None:
    raised = bumped(Fees(max_fee=10, tip=1), Fees(max_fee=100, tip=7), 1000)
    assert raised == Fees(max_fee=100, tip=7)


def test_the_days_ceiling_counts_what_is_spent_and_what_is_promised() -> None:
    check_spend(5, 5, 10)
    check_spend(10**30, 1, 0)
    with pytest.raises(SpendLimit, match="max_spend_per_day"):
        check_spend(5, 6, 10)


def test_ether_is_written_without_needless_zeros() -> None:
    assert [ether(wei) for wei in (0, 1, 10**18, 15 * 10**14)] == ["0", "0", "1", "0.0015"]


# ---------------------------------------------------------------- journal


def intent(name: str = "a", nonce: int = 0, *, cost: int = 10**18, state: State = State.SIGNED) -> PendingTx:
    return PendingTx(
        name=name,
        nonce=nonce,
        to=PEER,
        data=b"\x01",
        value=2**100,
        gas=21_000,
        what="Box.add",
        state=state,
        cost=cost,
    )


def attempt(tag: str, created: float = 1.0) -> Attempt:
    return Attempt(hash=f"0x{tag}", raw=tag.encode(), max_fee=2**70, tip=5, created=created)


def test_the_journal_gives_back_what_it_was_given_after_a_restart(tmp_path: Path) -> None:
    journal = SqliteOutbox(tmp_path / "keys" / "journal.sqlite")
    journal.record(intent(), attempt("aa"))
    journal.record(intent(), attempt("bb", 2.0))
    journal.close()
    found = SqliteOutbox(tmp_path / "keys" / "journal.sqlite").get("a")
    assert found == dataclasses.replace(intent(), attempts=(attempt("aa"), attempt("bb", 2.0)))


def test_a_new_nonce_leaves_the_attempts_of_the_old_one_behind(tmp_path: Path) -> None:
    journal = SqliteOutbox(tmp_path / "journal.sqlite")
    journal.record(intent(), attempt("aa"))
    journal.settle("a", State.VOID)
    journal.record(intent(nonce=4), attempt("cc"))
    found = journal.get("a")
    assert found is not None
    assert (found.nonce, found.attempts) == (4, (attempt("cc"),))
    journal.close()


def test_what_is_unsettled_and_what_owns_nonces_are_listed_by_nonce(tmp_path: Path) -> None:
    journal = SqliteOutbox(tmp_path / "journal.sqlite")
    for nonce, state in enumerate((State.SENT, State.MINED, State.FAILED, State.VOID, State.SIGNED)):
        journal.record(intent(f"i{nonce}", nonce), attempt(f"{nonce}"))
        journal.settle(f"i{nonce}", state)
    assert [each.nonce for each in journal.unsettled()] == [0, 4]
    assert [each.nonce for each in journal.from_nonce(1)] == [1, 2, 4]
    journal.close()


def test_spend_counts_promises_then_the_true_cost_and_forgets_after_the_day(tmp_path: Path) -> None:
    journal = SqliteOutbox(tmp_path / "journal.sqlite")
    journal.record(intent("a", 0, cost=10**19), attempt("aa"))
    journal.record(intent("b", 1, cost=10**19), attempt("bb"))
    assert journal.spent_since(0) == 2 * 10**19
    journal.settle("a", State.MINED, 3)
    journal.settle("b", State.VOID)
    assert journal.spent_since(time.time() - 100) == 3
    assert journal.spent_since(time.time() + 100) == 0
    journal.settle("a", State.MINED, 3)
    assert journal.spent_since(0) == 3
    journal.close()


def test_a_retried_intent_keeps_the_cost_of_its_first_try(tmp_path: Path) -> None:
    journal = SqliteOutbox(tmp_path / "journal.sqlite")
    journal.record(intent("a", 0), attempt("aa"))
    journal.settle("a", State.FAILED, 7)
    journal.record(intent("a", 1), attempt("bb"))
    journal.settle("a", State.MINED, 8)
    assert journal.spent_since(0) == 15
    journal.close()


def test_a_file_that_is_no_journal_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(JournalError, match=r"journal\.sqlite"):
        SqliteOutbox(path)


def test_a_write_that_fails_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    journal = SqliteOutbox(tmp_path / "journal.sqlite")
    other = sqlite3.connect(tmp_path / "journal.sqlite")
    other.execute("DROP TABLE attempt")
    other.commit()
    other.close()
    with pytest.raises(JournalError, match="nothing was sent"):
        journal.record(intent(), attempt("aa"))
    assert journal._db.execute("SELECT count(*) FROM intent").fetchone() == (0,)
    journal.close()


def test_a_full_disk_is_told_and_leaves_the_journal_whole(tmp_path: Path) -> None:
    journal = SqliteOutbox(tmp_path / "journal.sqlite")
    journal.record(intent("a", 0), attempt("aa"))
    [[pages]] = journal._db.execute("PRAGMA page_count")
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    big = dataclasses.replace(intent("b", 1), data=bytes(100_000))
    with pytest.raises(JournalError, match=r"full.*nothing was sent"):
        journal.record(big, attempt("bb"))
    assert journal.get("b") is None
    assert [each.name for each in journal.unsettled()] == ["a"]
    journal.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteOutbox(tmp_path / "file" / "journal.sqlite")


# ---------------------------------------------------------------- lock


async def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChainError, match="nothing was sent"):
        async with KeyLock(tmp_path / "file" / "k.lock", patience_s=1):
            pass


async def test_tasks_take_the_lock_in_turn(tmp_path: Path) -> None:
    lock = KeyLock(tmp_path / "k.lock", patience_s=5)
    inside: list[int] = []

    async def work(number: int) -> None:
        async with lock:
            inside.append(number)
            before = len(inside)
            await asyncio.sleep(0.01)
            assert len(inside) == before

    await asyncio.gather(*(work(number) for number in range(5)))
    assert sorted(inside) == [0, 1, 2, 3, 4]


HOLD = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
os.pwrite(fd, str(os.getpid()).encode(), 0)
print("held", flush=True)
time.sleep(60)
"""


async def test_another_process_is_waited_for_named_and_outlived(tmp_path: Path) -> None:
    path = tmp_path / "k.lock"
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    await holder.stdout.readline()
    lock = KeyLock(path, patience_s=0.2)
    with pytest.raises(ChainError, match=f"process {holder.pid}"):
        async with lock:
            pass
    patient = KeyLock(path, patience_s=60)
    asyncio.get_running_loop().call_later(0.1, holder.kill)
    async with patient:
        assert path.read_text().strip() == str(os.getpid())
    await asyncio.wait_for(holder.wait(), 60)


# ---------------------------------------------------------------- reverts

TAKEN = Signature.parse(
    {
        "name": "Taken",
        "inputs": [
            {"name": "key", "type": "uint64"},
            {"name": "by", "type": "address"},
            {"name": "until", "type": "uint40"},
        ],
    }
)
TAKEN_DATA = TAKEN.selector + encode(["uint64", "address", "uint40"], [3, PEER, 1_700_000_000])


@pytest.mark.parametrize(
    "error",
    [
        {"code": 3, "message": "execution reverted: custom error", "data": "0x" + TAKEN_DATA.hex()},
        {"code": -32000, "message": "VM Exception while processing transaction: revert",
         "data": "0x" + TAKEN_DATA.hex()},
        {"code": -32000, "message": "VM Exception while processing transaction: revert",
         "data": {"hash": None, "result": "0x" + TAKEN_DATA.hex(), "reason": None}},
        {"code": -32015, "message": "VM execution error: revert", "data": "Reverted 0x" + TAKEN_DATA.hex()},
        {"code": -32603, "message": "reverted", "data": {"data": "0x" + TAKEN_DATA.hex()}},
    ],
)  # fmt: skip
def test_every_kind_of_node_is_understood(error: dict[str, Any]) -> None:
    refused = RpcRefused("eth_call", error)
    assert is_revert(refused)
    told = Reverts([TAKEN]).explain("Box.store", revert_data(refused))
    assert told.name == "Taken"
    assert told.args_by_name == {"key": 3, "by": PEER, "until": 1_700_000_000}
    assert "2023-11-14 22:13:20 UTC" in str(told)


def test_a_refusal_that_is_no_revert_is_not_taken_for_one() -> None:
    for error in (
        {"code": -32601, "message": "method not found"},
        {"code": -32000, "message": "nonce too low"},
    ):
        assert not is_revert(RpcRefused("eth_call", error))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "without a reason"),
        (b"\xde\xad\xbe\xef", "unknown error 0xdeadbeef"),
        (bytes.fromhex("08c379a0") + encode(["string"], ["hello"]), "hello"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]), "overflow"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x99]), "0x99"),
        (TAKEN_DATA[:20], "unknown error"),
        (bytes.fromhex("08c379a0") + b"\xff" * 40, "unknown error"),
    ],
)
def test_odd_revert_data_is_told_and_never_breaks(data: bytes, said: str) -> None:
    assert said in str(Reverts([TAKEN]).explain("Box.store", data))


@given(st.binary(max_size=200))
def test_any_revert_data_gives_an_explanation(data: bytes) -> None:
    assert str(Reverts([TAKEN]).explain("Box.store", TAKEN.selector + data))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("already known", BroadcastAnswer.TAKEN),
        ("transaction already imported", BroadcastAnswer.TAKEN),
        ("nonce too low: next nonce 5, tx nonce 4", BroadcastAnswer.NONCE_USED),
        (
            "the tx doesn't have the correct nonce. account has nonce of: 5 tx has nonce of: 4",
            BroadcastAnswer.NONCE_USED,
        ),
        ("replacement transaction underpriced", BroadcastAnswer.UNDERPRICED),
        ("max fee per gas less than block base fee", BroadcastAnswer.UNDERPRICED),
        ("insufficient funds for gas * price + value: balance 0", BroadcastAnswer.NO_FUNDS),
        ("Insufficient funds for gas * price + value", BroadcastAnswer.NO_FUNDS),
        ("intrinsic gas too low", BroadcastAnswer.REFUSED),
        ("invalid sender", BroadcastAnswer.REFUSED),
    ],
)
def test_what_nodes_say_of_a_broadcast_is_understood(said: str, answer: BroadcastAnswer) -> None:
    assert classify(said) is answer


# ---------------------------------------------------------------- networks


def test_a_network_added_is_read_back_and_goes_before_the_known_one(tmp_path: Path) -> None:
    networks = Networks(tmp_path / "networks.toml")
    assert networks.get("anvil") == KNOWN["anvil"]
    mine = dataclasses.replace(KNOWN["anvil"], rpc_url='http://x/"quoted"?k=1', poll_s=0.5)
    networks.add(mine)
    other = Network(name="my net", chain_id=99, rpc_url="http://y", max_spend_per_day=1.5)
    networks.add(other)
    again = Networks(tmp_path / "networks.toml")
    assert again.get("anvil") == mine
    assert again.get("my net") == other
    assert {"anvil", "my net", "sepolia"} <= set(again.names())
    assert (tmp_path / "networks.toml").stat().st_mode & 0o077 == 0


def test_a_network_with_its_deployment(tmp_path: Path) -> None:
    deployment = Deployment(chain_id=31337, block=5, contracts={"Vault": PEER}, token=PEER)
    deployment.write(tmp_path / "deployments" / "31337.json")
    networks = Networks(tmp_path / "networks.toml")
    networks.add(KNOWN["anvil"], tmp_path / "deployments" / "31337.json")
    assert networks.get("anvil").deployment == deployment
    with pytest.raises(ConfigError, match="no Coordinator"):
        deployment.address("Coordinator")


def test_deployments_of_the_deploy_script_are_read(tmp_path: Path) -> None:
    path = tmp_path / "31337.json"
    entry = {"address": PEER.lower(), "block": 2, "transaction": "0x00", "gas": 1}
    path.write_text(json.dumps({"chainId": 31337, "block": 2, "token": PEER, "contracts": {"Vault": entry}}))
    assert Deployment.read(path) == Deployment(chain_id=31337, block=2, contracts={"Vault": PEER}, token=PEER)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"chainId": 1}', '{"chainId": 1, "contracts": {"Vault": "0x12"}}',
             '{"chainId": "x", "contracts": {}}', '{"chainId": 1, "contracts": {"Vault": {}}}']
)  # fmt: skip
def test_a_malformed_deployment_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"d\.json is no deployment"):
        Deployment.read(path)


def test_a_missing_deployment_and_an_unknown_network_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.json"):
        Deployment.read(tmp_path / "gone.json")
    with pytest.raises(ConfigError, match="anvil"):
        Networks(tmp_path / "networks.toml").get("nowhere")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[networks.x]\nchain_id = 5\n", "rpc_url"),
        ("[networks.x]\nchain_id = 5\nrpc_url = 'http://x'\nspeed = 3\n", "speed"),
        ("[networks.x]\nchain_id = 'five'\nrpc_url = 'http://x'\n", "chain_id"),
        ("[networks.x]\nchain_id = 5\nrpc_url = 'ftp://x'\n", "rpc_url"),
        ("[networks.x]\nchain_id = 5\nrpc_url = 'http://x'\npoll_s = -1\n", "poll_s"),
        ("networks = 3", "networks"),
        ("[networks.x\n", "cannot be read"),
    ],
)
def test_a_wrong_networks_file_is_told_by_setting(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "networks.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        Networks(path).get("x")


def test_rpc_urls_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    network = dataclasses.replace(KNOWN["sepolia"], rpc_url="https://user:pw@host:81/v3/KEY?x=KEY")
    assert "KEY" not in repr(network)
    assert redact(network.rpc_url) == "https://host:81"
    assert redact("https://host/KEY") == "https://host"


def test_the_state_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEELYARD_STATE_DIR", str(tmp_path))
    assert default_state_dir() == tmp_path
    monkeypatch.delenv("STEELYARD_STATE_DIR")
    assert default_state_dir().name == "chain"


def test_live_networks_have_ceilings_and_confirmations() -> None:
    for network in KNOWN.values():
        if not network.is_development:
            assert network.confirmations > 0
            assert network.max_spend_per_day > 0
            assert network.max_fee_gwei * GWEI > 0


# ---------------------------------------------------------------- cursor


@given(st.integers(-1, 10**9), st.lists(st.tuples(st.integers(0, 10**9), st.text("0123456789abcdef"))))
def test_a_cursor_survives_being_stored(origin: int, seen: list[tuple[int, str]]) -> None:
    cursor = Cursor(origin, tuple(seen))
    assert Cursor.load(cursor.dump()) == cursor


def test_a_cursor_remembers_a_bounded_number_of_blocks() -> None:
    cursor = Cursor.before(0)
    for number in range(KEPT + 50):
        cursor = cursor.past(number, f"0x{number}")
    assert len(cursor.seen) == KEPT
    assert cursor.number == KEPT + 49
    assert cursor.back().number == KEPT + 48


def test_a_cursor_with_everything_rolled_back_is_at_its_origin() -> None:
    cursor = Cursor.before(7).past(7, "0x7")
    assert cursor.back().number == 6


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
