"""Tokens, registration, stake and bond through the command line, on a real anvil."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard.chain.dev import devnet
from support.yard import Fund, Steelyard, Yard


def test_tokens_are_minted_and_counted(steelyard: Steelyard, fund: Fund) -> None:
    address = fund("alice", tokens="1000.5")
    said = steelyard("token", "balance", "alice").json
    assert (said["account"], said["units"], said["decimals"]) == (address, 1000_5 * 10**17, 18)
    assert "1,000.5" in steelyard("token", "balance", "alice", human=True).out


def test_minting_is_for_development_chains(
    steelyard: Steelyard, fund: Fund, yard: Yard, tmp_path: Path
) -> None:
    fund("alice")
    sepolia = tmp_path / "sepolia.json"
    sepolia.write_text(json.dumps({**json.loads(yard.file.read_text()), "chainId": 11155111}))
    choice = ("--network", "sepolia", "--deployment", str(sepolia))
    said = steelyard("token", "mint", "1", *choice, account="alice").error
    assert (said["type"], said["exit_code"]) == ("ConfigError", 2)
    assert "sepolia is not a development chain" in said["message"]
    assert "anvil" in said["remedy"]


def test_a_worker_registers_with_a_stake_by_permit_in_one_transaction(
    steelyard: Steelyard, fund: Fund
) -> None:
    address = fund("alice", tokens="500")
    done = steelyard("worker", "register", "--stake", "200", account="alice")
    assert done.code == 0, done.out
    assert len(done.json["transactions"]) == 1
    status = steelyard("worker", "status", "alice").json
    assert status["registered"]
    assert status["operator"] == status["payout"] == address
    assert status["stake"]["free"] == 200 * 10**18


def test_a_worker_registers_by_approval_with_operator_and_payout(steelyard: Steelyard, fund: Fund) -> None:
    fund("alice", tokens="500")
    hot, cold = fund("hot"), fund("cold")
    done = steelyard(
        "worker",
        "register",
        "--stake",
        "1",
        "--approve",
        "--operator",
        "hot",
        "--payout",
        cold,
        account="alice",
    )
    assert [each["what"].split()[0] for each in done.json["transactions"]] == ["approve", "register"]
    status = steelyard("worker", "status", "hot").json  # found by its operator, too
    assert (status["operator"], status["payout"]) == (hot, cold)


def test_a_dry_run_prices_and_sends_nothing(steelyard: Steelyard, fund: Fund) -> None:
    fund("alice", tokens="500")
    said = steelyard("worker", "register", "--stake", "200", "--dry-run", account="alice").json
    assert said.get("dry_run"), said
    assert 50_000 < said["transactions"][0]["gas"] < 500_000
    assert said["transactions"][0]["cost_wei"] > 0
    assert not steelyard("worker", "status", "alice").json["registered"]


def test_stake_grows_unbonds_and_comes_back(
    steelyard: Steelyard, fund: Fund, advance: Callable[[int], None]
) -> None:
    fund("alice", tokens="500")
    steelyard("worker", "register", "--stake", "200", account="alice")
    assert steelyard("worker", "stake", "50", account="alice").code == 0
    assert steelyard("worker", "unstake", "100", account="alice").json["units"] == 100 * 10**18
    advance(3)
    time.sleep(0.1)
    moved = steelyard("rewards", "claim", account="alice").json["withdrawn"]
    assert [each["units"] for each in moved] == [100 * 10**18]
    assert steelyard("token", "balance", "alice").json["units"] == 350 * 10**18


def test_no_more_than_is_free_can_be_unbonded(steelyard: Steelyard, fund: Fund) -> None:
    fund("alice", tokens="500")
    steelyard("worker", "register", "--stake", "200", account="alice")
    said = steelyard("worker", "unstake", "300", account="alice").error
    assert "200" in said["message"]
    assert said["remedy"]


def test_an_aggregator_is_registered_with_its_bond(steelyard: Steelyard, fund: Fund) -> None:
    fund("bob", tokens="300")
    done = steelyard("aggregator", "bond", "250", account="bob")
    assert [each["what"].split()[0] for each in done.json["transactions"]] == ["register", "bond"]
    status = steelyard("aggregator", "status", "bob").json
    assert status["registered"]
    assert status["bond"]["free"] == 250 * 10**18
    assert steelyard("aggregator", "unbond", account="bob").json["units"] == 250 * 10**18


def test_settings_of_an_identity_change(steelyard: Steelyard, fund: Fund) -> None:
    fund("alice", tokens="1")
    other = fund("other")
    steelyard("worker", "register", account="alice")
    key = "0x" + "ab" * 32
    assert (
        steelyard("worker", "update", "--payout", other, "--encryption-key", key, account="alice").code == 0
    )
    status = steelyard("worker", "status", "alice").json
    assert (status["payout"], status["encryption_key"]) == (other, key)
    assert steelyard("worker", "update", account="alice").error["exit_code"] == 2


# ---- bad input: value, cause, remedy, exit code, nothing lost


def test_no_ether_is_a_clear_error(steelyard: Steelyard, fund: Fund, yard: Yard) -> None:
    address = fund("poor", ether=0)
    said = steelyard("worker", "register", account="poor").error
    assert (said["type"], said["exit_code"]) == ("InsufficientFunds", 6)
    assert address in said["message"]
    assert said["remedy"]
    assert int(devnet.rpc(yard.chain.url, "eth_getTransactionCount", address, "latest"), 16) == 0


def test_too_few_tokens_are_named_before_anything_is_sent(steelyard: Steelyard, fund: Fund) -> None:
    fund("alice", tokens="5")
    said = steelyard("worker", "register", "--stake", "100", account="alice").error
    assert said["type"] == "InsufficientFunds"
    assert "has 5 " in said["message"]
    assert "100 " in said["message"]
    assert "mint" in said["remedy"]


def test_the_wrong_password_opens_nothing(
    steelyard: Steelyard, fund: Fund, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund("alice")
    monkeypatch.setenv("STEELYARD_PASSWORD", "guess")
    said = steelyard("worker", "register", account="alice").error
    assert (said["type"], said["exit_code"]) == ("WrongPassword", 7)
    assert not steelyard("worker", "status", "alice").json["registered"]


def test_the_wrong_network_is_named_with_both_chain_ids(steelyard: Steelyard) -> None:
    said = steelyard("job", "list", "--network", "ganache").error
    assert (said["type"], said["exit_code"]) == ("WrongNetwork", 6)
    assert "31337" in said["message"]
    assert "1337" in said["message"]


def test_a_deployment_that_is_not_there_is_the_wrong_network(
    steelyard: Steelyard, yard: Yard, tmp_path: Path
) -> None:
    file = tmp_path / "elsewhere.json"
    text = yard.file.read_text()
    for created in yard.deployed.contracts.values():
        text = text.replace(created.address, "0x" + "12" * 20)
    file.write_text(text)
    said = steelyard("job", "list", "--deployment", str(file)).error
    assert said["type"] == "WrongNetwork"
    assert "deploy" in said["remedy"]


def test_an_unreachable_rpc_is_given_up(steelyard: Steelyard) -> None:
    said = steelyard("job", "list", "--rpc-url", "http://127.0.0.1:9").error
    assert (said["type"], said["exit_code"]) == ("Unreachable", 6)


def test_an_unknown_job_is_named_with_those_that_exist(steelyard: Steelyard, fund: Fund) -> None:
    fund("alice")
    for command in (("show",), ("join",), ("leave",), ("start",), ("close",)):
        said = steelyard("job", *command, "99", account="alice").error
        assert said["exit_code"] == 2
        assert "no job 99" in said["message"]
        assert "job list" in said["remedy"]
    assert steelyard("verify", "99").error["exit_code"] == 2
    assert steelyard("model", "pull", "99").error["exit_code"] == 2
    assert steelyard("rewards", "show", "99", account="alice").error["exit_code"] == 2
