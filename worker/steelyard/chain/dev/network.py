"""A development chain with deployed contracts, as a network: for examples, notebooks and experiments."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from steelyard.chain.contracts import Contracts
from steelyard.chain.deploy import deploy_contracts
from steelyard.chain.deployment_plan import DeploymentSettings
from steelyard.chain.dev import devnet
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.networks import KNOWN, Network
from steelyard.chain.wallets import Wallet

WEI = 10**18
UNIT = 10**18  # of the test token, which has 18 decimals
SHORT = DeploymentSettings(minimum_window_s=1, unbonding_s=1)


@dataclass(frozen=True, kw_only=True)
class DevNetwork:
    """A running development chain and the contracts on it. `dev_network` starts one."""

    chain: DevChain
    network: Network  # with its deployment

    def fund(self, address: str, *, ether: int = 100, tokens: int = 1000) -> None:
        """Set an account's balance of ether and mint test tokens for it, both in whole units.

        Raises Unreachable if the chain does not answer or refuses.
        """
        method = "anvil_setBalance" if self.chain.kind == "anvil" else "evm_setAccountBalance"
        self.chain.rpc(method, address, hex(ether * WEI))
        if tokens and self.network.deployment is not None:
            mint = Contracts.of(self.network.deployment).token.mint(address, tokens * UNIT)
            self.chain.rpc("eth_sendTransaction", mint.fields(self.chain.accounts[0].address))


@contextlib.contextmanager
def dev_network(
    kind: Literal["anvil", "ganache"] = "anvil", settings: DeploymentSettings = SHORT
) -> Iterator[DevNetwork]:
    """Start a development chain on a free port, deploy all contracts, and stop it at the end of the context.

    settings: by default windows may be as short as one second. Entering takes a few seconds and blocks.
    Raises ConfigError if the chain's program is not installed (`make setup`), Unreachable if it does not
    answer in time.
    """
    with devnet.running(kind) as chain:
        deployed = deploy_contracts(chain.url, Wallet(chain.accounts[0]), settings)
        network = dataclasses.replace(KNOWN[kind], rpc_url=chain.url, deployment=deployed.deployment())
        yield DevNetwork(chain=chain, network=network)
