"""The settings of a network that only its deployment and its RPC describe."""

from __future__ import annotations

from steelyard.chain.deploy import CreatedContract, Deployed
from steelyard.chain.networks import KNOWN, Network

ADDRESS = "0x" + "11" * 20


def _deployed(chain_id: int) -> Deployed:
    created = CreatedContract(address=ADDRESS, block=7, transaction="0x", gas=1)
    return Deployed(
        chain_id=chain_id,
        deployer=ADDRESS,
        token=ADDRESS,
        contracts={"Vault": created, "Coordinator": created},
    )


def test_a_known_chain_id_brings_its_settings() -> None:
    deployment = _deployed(31337).deployment()
    network = Network.of(deployment, "http://127.0.0.1:1")
    anvil = KNOWN["anvil"]
    assert (network.name, network.poll_s, network.confirmations) == ("anvil", anvil.poll_s, 0)
    assert (network.rpc_url, network.deployment) == ("http://127.0.0.1:1", deployment)


def test_another_chain_id_has_the_defaults() -> None:
    network = Network.of(_deployed(4242).deployment(), "http://127.0.0.1:1")
    assert (network.name, network.chain_id, network.confirmations) == ("chain-4242", 4242, 5)
    assert not network.is_development


def test_a_deployment_has_its_first_block_and_all_addresses() -> None:
    deployment = _deployed(1).deployment()
    assert (deployment.block, deployment.token) == (7, ADDRESS)
    assert deployment.contracts == {"Vault": ADDRESS, "Coordinator": ADDRESS}
