"""The network file, deployments and redacted URLs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from steelyard.chain.abi_version import abi_fingerprint
from steelyard.chain.networks import KNOWN, Deployment, Network, Networks, default_state_dir
from steelyard.chain.rpc import redact
from steelyard.chain.units import GWEI
from steelyard.errors import ConfigError

PEER = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"


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
    document = {"chainId": 31337, "abi": abi_fingerprint(), "block": 2, "token": PEER}
    path.write_text(json.dumps({**document, "contracts": {"Vault": entry}}))
    assert Deployment.read(path) == Deployment(chain_id=31337, block=2, contracts={"Vault": PEER}, token=PEER)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"chainId": 1}', '{"chainId": 1, "contracts": {"Vault": "0x12"}}',
             '{"chainId": "x", "contracts": {}}', '{"chainId": 1, "contracts": {"Vault": {}}}']
)  # fmt: skip
def test_a_malformed_deployment_is_reported(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"d\.json is not a deployment"):
        Deployment.read(path)


@pytest.mark.parametrize(("recorded", "shown"), [({}, "no ABI recorded"), ({"abi": "0123"}, "ABI 0123")])
def test_a_deployment_of_another_abi_is_refused(tmp_path: Path, recorded: dict[str, str], shown: str) -> None:
    path = tmp_path / "31337.json"
    path.write_text(json.dumps({"chainId": 31337, "block": 2, "contracts": {"Vault": PEER}, **recorded}))
    with pytest.raises(ConfigError, match=rf"another version of .*\({shown};.*deploy the contracts"):
        Deployment.read(path)


def test_a_missing_deployment_and_an_unknown_network_are_reported(tmp_path: Path) -> None:
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
def test_a_wrong_networks_file_is_reported_by_setting(tmp_path: Path, text: str, said: str) -> None:
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
