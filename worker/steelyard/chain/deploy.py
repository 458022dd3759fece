"""Deployment of all contracts: one plan, whoever sends the transactions.

The contracts know each other by immutable addresses, in both directions. So the deployer works out every
address beforehand: a created contract's address follows from its creator and the creator's nonce.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import rlp
from eth_abi.abi import encode
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from steelyard.chain.deployment_plan import PLAN, TOKEN, ContractAddress, Creation, DeploymentSettings
from steelyard.chain.deployments import Deployment
from steelyard.errors import ChainError, ConfigError, TransactionTimeout, Unreachable

if TYPE_CHECKING:
    from steelyard.chain.wallets import Wallet  # Brownie's environment, which deploys too, cannot import it


@dataclass(frozen=True, kw_only=True)
class CreatedContract:
    """A contract on the chain."""

    address: str
    block: int
    transaction: str
    gas: int


class Creator(Protocol):
    """Who sends the transactions."""

    @property
    def chain_id(self) -> int:
        """Chain that the contracts go to."""

    @property
    def address(self) -> str:
        """Account that creates them."""

    def nonce(self) -> int:
        """Nonce of the account's next transaction."""

    def create(self, code: bytes, nonce: int) -> CreatedContract:
        """Send a creation and wait until it is mined; raises ChainError."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """All contracts of one deployment."""

    chain_id: int
    deployer: str
    token: str
    contracts: Mapping[str, CreatedContract]
    standard_json: Mapping[str, str] = field(default_factory=dict)  # contract: file for an explorer

    def document(self) -> dict[str, Any]:
        """What deployments/<chainId>.json holds, and `network add --deployment` reads."""
        return {
            "chainId": self.chain_id,
            "block": min((each.block for each in self.contracts.values()), default=0),
            "deployer": self.deployer,
            "token": self.token,
            "contracts": {
                name: {
                    "address": each.address,
                    "block": each.block,
                    "transaction": each.transaction,
                    "gas": each.gas,
                    **({"standardJson": self.standard_json[name]} if name in self.standard_json else {}),
                }
                for name, each in self.contracts.items()
            },
        }

    def deployment(self) -> Deployment:
        """The addresses, as a `Network` takes them."""
        return Deployment(
            chain_id=self.chain_id,
            block=min((each.block for each in self.contracts.values()), default=0),
            contracts={name: each.address for name, each in self.contracts.items()},
            token=self.token,
        )

    def write(self, path: Path) -> None:
        """Write the document to `path`, making its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.document(), indent=2) + "\n", "utf-8")


def deploy(creator: Creator, settings: DeploymentSettings | None = None) -> Deployed:
    """Create every contract of the plan and check that each is where the others expect it.

    Raises ConfigError for settings that fit no constructor, ChainError where a creation fails.
    """
    chosen = settings or DeploymentSettings()
    plan = [creation for creation in PLAN if not (creation.contract == TOKEN and chosen.token)]
    first = creator.nonce()
    addresses = {
        creation.contract: created_address(creator.address, first + offset)
        for offset, creation in enumerate(plan)
    }
    if chosen.token:
        addresses[TOKEN] = to_checksum_address(chosen.token)

    contracts: dict[str, CreatedContract] = {}
    for offset, creation in enumerate(plan):
        code = creation_code(creation, addresses, chosen)
        made = creator.create(code, first + offset)
        expected = addresses[creation.contract]
        if made.address != expected:
            raise ChainError(
                f"{creation.contract} is at {made.address}, the others expect it at {expected}",
                remedy=f"{creator.address} sent another transaction meanwhile; deploy again",
            )
        contracts[creation.contract] = made
    return Deployed(
        chain_id=creator.chain_id, deployer=creator.address, token=addresses[TOKEN], contracts=contracts
    )


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


def created_address(creator: str, nonce: int) -> str:
    """Checksummed address of the contract that `creator` creates with its transaction number `nonce`."""
    return to_checksum_address(keccak(rlp.encode([to_canonical_address(creator), nonce]))[12:])


def creation_code(creation: Creation, addresses: Mapping[str, str], settings: DeploymentSettings) -> bytes:
    """Linked bytecode and encoded arguments.  Raises ConfigError where they do not fit the ABI."""
    document = artifact(creation.contract)
    inputs: list[dict[str, Any]] = next(
        (entry["inputs"] for entry in document["abi"] if entry["type"] == "constructor"), []
    )
    values = [
        addresses[given.contract] if isinstance(given, ContractAddress) else getattr(settings, given.name)
        for given in creation.arguments
    ]
    try:
        encoded = encode([given["type"] for given in inputs], values)
    except Exception as error:  # eth_abi's errors share no base with their cause
        raise ConfigError(
            f"the constructor of {creation.contract} does not take {values}: {error}",
            remedy="check the settings",
        ) from error
    code = bytearray.fromhex(document["bytecode"].removeprefix("0x"))
    for library, places in document["links"].items():
        for start in places:
            code[start : start + 20] = to_canonical_address(addresses[library])
    return bytes(code) + encoded


def artifact(contract: str) -> dict[str, Any]:
    """The committed ABI and bytecode of `contract`.  Raises ConfigError."""
    source = files("steelyard.chain") / "abi" / f"{contract}.json"
    try:
        document: dict[str, Any] = json.loads(source.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"no bytecode of {contract}", remedy="reinstall the package") from error
    return document


class Web3Creator:
    """Creates contracts through web3.py with a local account. Nobody else may use the account meanwhile."""

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
