"""Sends contract creations through web3.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address

from steelyard.chain.deploy import CreatedContract, Deployed, deploy
from steelyard.chain.deployment_plan import DeploymentSettings
from steelyard.errors import ChainError, TransactionTimeout, Unreachable

if TYPE_CHECKING:
    from steelyard.chain.wallets import Wallet  # Brownie's environment, which also deploys, cannot import it


class Web3Creator:
    """Creates contracts through web3.py with a local account, which must send nothing else meanwhile."""

    def __init__(self, web3: Any, account: Any, *, deadline_s: float = 300.0) -> None:
        self._web3 = web3
        self._account = account
        self._deadline_s = deadline_s
        self.address: str = account.address
        try:
            self.chain_id: int = web3.eth.chain_id
        except Exception as error:  # web3.py's errors share no base, and may show the URL with its key
            raise Unreachable(
                f"the chain's RPC does not answer ({type(error).__name__})", remedy="check its URL"
            ) from error

    def nonce(self) -> int:
        """Nonce of the account's next transaction."""
        return int(self._web3.eth.get_transaction_count(self.address, "pending"))

    def create(self, code: bytes, nonce: int) -> CreatedContract:
        """Send a creation and wait until it is mined.  Raises ChainError, TransactionTimeout."""
        eth = self._web3.eth
        try:
            digest = eth.send_raw_transaction(self._signed(code, nonce))
        except Exception as error:  # web3.py's errors share no base
            raise ChainError(
                f"{self.address} cannot create a contract with nonce {nonce}: {error}",
                remedy="give it ether, send nothing else from it meanwhile, and deploy again",
            ) from error
        try:
            receipt = eth.wait_for_transaction_receipt(digest, timeout=self._deadline_s, poll_latency=0.05)
        except Exception as error:
            raise TransactionTimeout(
                f"creation 0x{bytes(digest).hex()} is not mined after {self._deadline_s:g} s",
                remedy="wait for it or replace it, then deploy again",
            ) from error
        if receipt["status"] != 1:
            raise ChainError(f"creation 0x{bytes(digest).hex()} was reverted in its constructor")
        return CreatedContract(
            address=to_checksum_address(receipt["contractAddress"]),
            block=int(receipt["blockNumber"]),
            transaction="0x" + bytes(digest).hex(),
            gas=int(receipt["gasUsed"]),
        )

    def _signed(self, code: bytes, nonce: int) -> Any:
        eth = self._web3.eth
        tip = eth.max_priority_fee
        base = eth.get_block("latest").get("baseFeePerGas", 0)
        transaction = {
            "from": self.address,
            "nonce": nonce,
            "data": code,
            "value": 0,
            "chainId": self.chain_id,
        }
        transaction |= {"maxPriorityFeePerGas": tip, "maxFeePerGas": 2 * base + tip}
        transaction["gas"] = eth.estimate_gas(transaction)
        del transaction["from"]
        return self._account.sign_transaction(transaction).raw_transaction


def deploy_contracts(rpc_url: str, wallet: Wallet, settings: DeploymentSettings | None = None) -> Deployed:
    """Deploy all contracts from a wallet, which must send nothing else meanwhile. Blocks until all are mined.

    rpc_url: http(s). The wallet pays about 15 M gas. Raises ConfigError, ChainError, TransactionTimeout,
    Unreachable.
    """
    from web3 import HTTPProvider, Web3  # noqa: PLC0415 - slow to import, and only deployers need it

    return deploy(Web3Creator(Web3(HTTPProvider(rpc_url)), _Signer(wallet)), settings)


class _Signer:
    """A wallet as `Web3Creator` uses an account."""

    def __init__(self, wallet: Wallet) -> None:
        self.address = wallet.address
        self.sign_transaction = wallet.sign
