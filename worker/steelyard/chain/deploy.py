"""Deploys all contracts of the plan; a Creator sends the transactions.

The contracts refer to each other by immutable addresses, in both directions. So every address is computed
beforehand: a created contract's address follows from its creator and the creator's nonce.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import rlp
from eth_abi.abi import encode
from eth_utils.address import to_canonical_address, to_checksum_address

from steelyard.chain.abi_version import abi_fingerprint
from steelyard.chain.artifacts import artifact
from steelyard.chain.deployment_plan import PLAN, TOKEN, ContractAddress, Creation, DeploymentSettings
from steelyard.chain.deployments import Deployment
from steelyard.core.hashing import keccak
from steelyard.errors import ChainError, ConfigError


@dataclass(frozen=True, kw_only=True)
class CreatedContract:
    """A contract that was created."""

    address: str
    block: int
    transaction: str  # hash
    gas: int  # used


class Creator(Protocol):
    """An account that sends the creations."""

    @property
    def chain_id(self) -> int:
        """Id of the chain that is deployed to."""

    @property
    def address(self) -> str:
        """Address of the account."""

    def nonce(self) -> int:
        """Nonce of the account's next transaction."""

    def create(self, code: bytes, nonce: int) -> CreatedContract:
        """Send a creation and wait until it is mined.  Raises ChainError."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """All contracts of one deployment."""

    chain_id: int
    deployer: str
    token: str
    contracts: Mapping[str, CreatedContract]
    standard_json: Mapping[str, str] = field(default_factory=dict)  # contract: file for an explorer

    def document(self) -> dict[str, Any]:
        """The content of deployments/<chainId>.json, which `network add --deployment` reads."""
        return {
            "chainId": self.chain_id,
            "abi": abi_fingerprint(),
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
    """Create every contract of the plan and check that its address is as computed.

    Raises ConfigError if a constructor does not take the settings, ChainError if a creation fails.
    """
    settings = settings or DeploymentSettings()
    plan = [creation for creation in PLAN if not (creation.contract == TOKEN and settings.token)]
    first = creator.nonce()
    addresses = {
        creation.contract: created_address(creator.address, first + offset)
        for offset, creation in enumerate(plan)
    }
    if settings.token:
        addresses[TOKEN] = to_checksum_address(settings.token)

    contracts: dict[str, CreatedContract] = {}
    for offset, creation in enumerate(plan):
        code = creation_code(creation, addresses, settings)
        created = creator.create(code, first + offset)
        expected = addresses[creation.contract]
        if created.address != expected:
            raise ChainError(
                f"{creation.contract} is at {created.address}, the others expect it at {expected}",
                remedy=f"{creator.address} sent another transaction meanwhile; deploy again",
            )
        contracts[creation.contract] = created
    return Deployed(
        chain_id=creator.chain_id, deployer=creator.address, token=addresses[TOKEN], contracts=contracts
    )


def created_address(creator: str, nonce: int) -> str:
    """Checksummed address of the contract that `creator` creates with nonce `nonce`."""
    return to_checksum_address(keccak(rlp.encode([to_canonical_address(creator), nonce]))[12:])


def creation_code(creation: Creation, addresses: Mapping[str, str], settings: DeploymentSettings) -> bytes:
    """Linked bytecode with encoded arguments.  Raises ConfigError if they do not fit the ABI."""
    document = artifact(creation.contract)
    inputs: list[dict[str, Any]] = next(
        (entry["inputs"] for entry in document["abi"] if entry["type"] == "constructor"), []
    )
    values = [
        addresses[argument.contract]
        if isinstance(argument, ContractAddress)
        else getattr(settings, argument.name)
        for argument in creation.arguments
    ]
    try:
        encoded = encode([entry["type"] for entry in inputs], values)
    except Exception as error:  # eth_abi's errors share no base with their cause
        raise ConfigError(
            f"the constructor of {creation.contract} does not take {values}: {error}",
            remedy="check the settings",
        ) from error
    code = bytearray.fromhex(document["bytecode"].removeprefix("0x"))
    for library, offsets in document["links"].items():
        for start in offsets:
            code[start : start + 20] = to_canonical_address(addresses[library])
    return bytes(code) + encoded
