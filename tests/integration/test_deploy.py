"""The deployment plan puts every contract where the others expect it, on every development chain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from web3 import Web3
from web3.types import TxParams, Wei

from steelyard.chain import deploy as deployment
from steelyard.chain.artifacts import artifact
from steelyard.chain.deploy import CreatedContract, deploy
from steelyard.chain.deployment_plan import CONTRACTS, ContractAddress, Creation, DeploymentSettings
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.wallets import Keystores
from steelyard.chain.web3_creator import Web3Creator
from steelyard.errors import ChainError, ConfigError

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "deploy.py"


def creator_on(chain: DevChain, account: int) -> Web3Creator:
    return Web3Creator(Web3(Web3.HTTPProvider(chain.url)), chain.accounts[account], deadline_s=60)


def test_every_contract_is_where_the_plan_puts_it(chain: DevChain, tmp_path: Path) -> None:
    deployed = deploy(creator_on(chain, 0))

    assert list(deployed.contracts) == list(CONTRACTS)
    for created in deployed.contracts.values():
        assert len(chain.rpc("eth_getCode", created.address, "latest")) > 2
    path = tmp_path / "made" / f"{chain.chain_id}.json"
    deployed.write(path)
    document = json.loads(path.read_text())
    assert document["chainId"] == chain.chain_id
    assert document["block"] == min(each["block"] for each in document["contracts"].values())
    assert document["token"] == document["contracts"]["TestToken"]["address"]


def test_a_given_token_is_used_and_none_deployed(anvil: DevChain) -> None:
    token = deploy(creator_on(anvil, 1)).token
    deployed = deploy(creator_on(anvil, 2), DeploymentSettings(token=token.lower()))

    assert deployed.token == token
    assert "TestToken" not in deployed.contracts


class MeddlingCreator(Web3Creator):
    """Its account sends a transaction of its own after the addresses were predicted."""

    def nonce(self) -> int:
        before = super().nonce()
        plain: TxParams = {"from": self.address, "to": self.address, "value": Wei(0)}
        self._web3.eth.wait_for_transaction_receipt(self._web3.eth.send_transaction(plain))
        return before


def test_another_transaction_of_the_deployer_is_noticed(anvil: DevChain) -> None:
    web3 = Web3(Web3.HTTPProvider(anvil.url))
    with pytest.raises(ChainError, match=r"with nonce 0: .*nonce too low.*send nothing else"):
        deploy(MeddlingCreator(web3, anvil.accounts[3]))


class MisplacingCreator(Web3Creator):
    """A wallet that does not keep to the nonce it is given."""

    def create(self, code: bytes, nonce: int) -> CreatedContract:
        return replace(super().create(code, nonce), address="0x" + "11" * 20)


def test_a_contract_elsewhere_than_the_others_expect_it_is_noticed(anvil: DevChain) -> None:
    web3 = Web3(Web3.HTTPProvider(anvil.url))
    with pytest.raises(ChainError, match="the others expect it at"):
        deploy(MisplacingCreator(web3, anvil.accounts[4]))


def test_settings_that_fit_no_constructor_are_refused() -> None:
    surplus = Creation(contract="TestToken", arguments=(ContractAddress("FaultProver"),))
    with pytest.raises(ConfigError, match="the constructor of TestToken does not take"):
        deployment.creation_code(surplus, {"FaultProver": "0x" + "11" * 20}, DeploymentSettings())


def test_predicted_addresses_are_those_of_the_yellow_paper() -> None:
    creator = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert deployment.created_address(creator, 0) == "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    assert deployment.created_address(creator, 1) == "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"


def test_an_unknown_contract_has_no_bytecode() -> None:
    with pytest.raises(ConfigError, match="no bytecode of Nowhere"):
        artifact("Nowhere")


def test_a_deployment_names_the_explorers_file_only_where_there_is_one() -> None:
    created = CreatedContract(address="0x" + "11" * 20, block=7, transaction="0x00", gas=1)
    deployed = deployment.Deployed(
        chain_id=1, deployer="0x", token="0x", contracts={"A": created, "B": created}
    )
    contracts = replace(deployed, standard_json={"A": "a.json"}).document()["contracts"]
    assert contracts["A"]["standardJson"] == "a.json"
    assert "standardJson" not in contracts["B"]


@pytest.mark.parametrize(
    ("mistake", "code", "said"),
    [
        ({"password": "a guess"}, 7, "wrong password"),
        ({"keystore": "nowhere.json"}, 7, "nowhere.json"),
        ({"rpc": "http://127.0.0.1:9/key"}, 6, "does not answer"),
        ({"token": "0x12"}, 2, "DEPLOY_TOKEN"),
        ({}, 6, "ether"),  # the account has none
    ],
)
def test_the_script_reports_what_is_wrong_and_deploys_nothing(
    anvil: DevChain, tmp_path: Path, mistake: dict[str, str], code: int, said: str
) -> None:
    made = Keystores(tmp_path).new("poor", "right", light=True)
    keystore = mistake.get("keystore", str(made.path))
    words = [
        "--rpc",
        mistake.get("rpc", anvil.url),
        "--keystore",
        keystore,
        "--folder",
        str(tmp_path / "out"),
    ]
    environ = {**os.environ, "STEELYARD_PASSWORD": mistake.get("password", "right")}
    environ["DEPLOY_TOKEN"] = mistake.get("token", "")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        capture_output=True, text=True, timeout=60, check=False, env=environ, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "remedy: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "/key" not in done.stderr
    assert not (tmp_path / "out").exists()
