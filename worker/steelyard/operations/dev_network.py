"""A development chain with deployed contracts, as a network: for examples, notebooks and experiments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from steelyard.chain.contracts import Contracts
from steelyard.chain.deployment_plan import DeploymentSettings
from steelyard.chain.dev import devnet
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.networks import Network
from steelyard.chain.wallets import Wallet
from steelyard.chain.web3_creator import deploy_contracts
from steelyard.operations.participant import Participant

WEI = 10**18
UNIT = 10**18  # of the test token, which has 18 decimals
PASSWORD = "test"  # noqa: S105 - of keys that hold test tokens
SHORT = DeploymentSettings(minimum_window_s=1, unbonding_s=1)


@dataclass(frozen=True, kw_only=True)
class DevNetwork:
    """A running development chain and the contracts on it. `dev_network` starts one."""

    chain: DevChain
    network: Network  # with its deployment

    def participant(self, folder: Path, *peers: str | None) -> Participant:
        """A new participant with 100 ether and 10,000 test tokens, whose files are below `folder`.

        peers: base URLs of stores that it fetches from; a None is left out. Its key is for tests only. Raises
        WalletError if the folder has an account.
        """
        urls = [url for url in peers if url is not None]
        made = Participant.create(self.network, folder, password=PASSWORD, light=True, peers=urls)
        self.fund(made.address, tokens=10_000)
        return made

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
        yield DevNetwork(chain=chain, network=Network.of(deployed.deployment(), chain.url))
