"""The typed layer against the real contracts, deployed as a user would."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3

from steelyard.chain.client import ChainClient
from steelyard.chain.deploy import deploy
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.generated.events import Deposited, Registered, Transfer
from steelyard.chain.generated.structs import Collateral, Permit
from steelyard.chain.networks import Deployment, Networks
from steelyard.chain.permits import sign_permit
from steelyard.chain.wallets import Wallet
from steelyard.chain.web3_creator import Web3Creator
from steelyard.errors import ConfigError, Reverted, WrongNetwork
from support.chain_bench import network_of

ETHER = 10**18


@pytest.fixture(scope="module")
def deployment(chain: DevChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = deploy(Web3Creator(Web3(HTTPProvider(chain.url)), chain.accounts[-2]))
    path = tmp_path_factory.mktemp("deployments") / f"{chain.chain_id}.json"
    made.write(path)
    return path


@pytest.fixture
async def client(chain: DevChain, deployment: Path, tmp_path: Path) -> AsyncIterator[ChainClient]:
    networks = Networks(tmp_path / "networks.toml")
    networks.add(dataclasses.replace(network_of(chain), name="here"), deployment)
    wallet = Wallet(chain.accounts[3])
    async with await ChainClient.connect(networks.get("here"), wallet, state_dir=tmp_path) as made:
        yield made


async def test_a_worker_registers_and_stakes_with_a_permit(client: ChainClient) -> None:
    contracts, me = client.contracts, client.address
    minted = await client.send(contracts.token.mint(me, 5 * ETHER))
    assert minted.one(Transfer).value == 5 * ETHER
    permit = await sign_permit(client, 2 * ETHER)
    call = contracts.registry.register_with_permit(me, me, bytes(32), 2 * ETHER, permit)
    receipt = await client.send(call, intent="register")
    assert receipt.description == "WorkerRegistry.registerWithPermit"
    registered = receipt.one(Registered)
    assert (registered.worker, registered.operator, registered.payout) == (me, me, me)
    deposited = receipt.one(Deposited)
    assert (deposited.account, deposited.kind, deposited.amount) == (me, Collateral.STAKE, 2 * ETHER)

    balance = await client.read(contracts.vault.balance_of(me, Collateral.STAKE), block=receipt.block)
    account = await client.read(contracts.registry.account_of(me))
    assert balance.free == 2 * ETHER
    assert account.registered
    assert await client.read(contracts.coordinator.job_count()) == 0

    with pytest.raises(Reverted, match="AlreadyRegistered") as caught:
        await client.send(contracts.registry.register(me, me, bytes(32), 0))
    assert caught.value.args_by_name == {"worker": me}
    assert "worker status" in caught.value.remedy


async def test_errors_of_called_contracts_are_reported_by_name(client: ChainClient) -> None:
    contracts, me = client.contracts, client.address
    with pytest.raises(Reverted) as caught:
        await client.send(contracts.vault.deposit(me, Collateral.BOND, 1000 * ETHER))
    assert caught.value.name in ("ERC20InsufficientAllowance", "ERC20InsufficientBalance")
    assert caught.value.remedy
    stale = Permit(deadline=1, v=27, r=bytes(32), s=bytes(32))
    with pytest.raises(Reverted) as caught:
        await client.send(
            contracts.vault.deposit_with_permit(
                me, Collateral.BOND, 1, stale.deadline, stale.v, stale.r, stale.s
            )
        )
    assert caught.value.remedy


async def test_an_unknown_job_is_reported(client: ChainClient) -> None:
    with pytest.raises(Reverted, match="UnknownJob") as caught:
        await client.send(client.contracts.coordinator.enlist(999))
    assert "network" in caught.value.remedy


async def test_a_deployment_of_another_chain_is_refused(
    chain: DevChain, deployment: Path, tmp_path: Path
) -> None:
    known = Deployment.read(deployment)
    other = dataclasses.replace(network_of(chain), deployment=dataclasses.replace(known, chain_id=5))
    with pytest.raises(WrongNetwork, match="chain 5"):
        await ChainClient.connect(other)
    gone = dataclasses.replace(known, contracts={**known.contracts, "Vault": chain.accounts[5].address})
    with pytest.raises(WrongNetwork, match="no Vault at"):
        await ChainClient.connect(dataclasses.replace(network_of(chain), deployment=gone))


async def test_without_a_deployment_contracts_are_missed(chain: DevChain) -> None:
    async with await ChainClient.connect(network_of(chain)) as bare:
        with pytest.raises(ConfigError, match="network add --deployment"):
            _ = bare.contracts
