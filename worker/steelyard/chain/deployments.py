"""The addresses of a chain's contracts: `deployments/<chainId>.json`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.address import is_address, to_checksum_address

from steelyard.chain.abi_version import abi_fingerprint, other_abi
from steelyard.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The addresses of one deployment: `contracts` maps a name to an address; logs start at `block`."""

    chain_id: int
    block: int
    contracts: Mapping[str, str]
    token: str = ""  # of stakes and bonds

    def address(self, name: str) -> str:
        """The address of a contract.  Raises ConfigError if the deployment has none."""
        if name not in self.contracts:
            raise ConfigError(
                f"the deployment on chain {self.chain_id} has no {name}",
                remedy="deploy again, or `network add --deployment` the right file",
            )
        return self.contracts[name]

    @classmethod
    def read(cls, path: Path) -> Deployment:
        """Read a `deployments/<chainId>.json`.

        Raises ConfigError if it is missing, malformed, or of contracts with another ABI.
        """
        try:
            document = json.loads(path.read_text("utf-8"))
            contracts = {name: _address(name, entry) for name, entry in document["contracts"].items()}
            deployment = cls(
                chain_id=int(document["chainId"]),
                block=int(document.get("block", 0)),
                contracts=contracts,
                token=_address("token", document["token"]) if document.get("token") else "",
            )
            abi = document.get("abi")
        except OSError as error:
            raise ConfigError(
                f"no deployment at {path}: {error.strerror}", remedy="deploy first (docs/deploy.md)"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{path} is not a deployment: {error!r}", remedy="deploy again, or copy the file again"
            ) from error
        if abi != abi_fingerprint():
            raise ConfigError(
                f"{path} {other_abi(abi)}",
                remedy="deploy the contracts of this version, or use the Steelyard that wrote the file",
            )
        return deployment

    def write(self, path: Path) -> None:
        """Write the file that `read` reads, atomically."""
        document = {
            "chainId": self.chain_id,
            "abi": abi_fingerprint(),
            "block": self.block,
            "token": self.token,
            "contracts": dict(self.contracts),
        }
        write_atomic(path, json.dumps(document, indent=2) + "\n")


def _address(name: str, entry: Any) -> str:
    value = entry["address"] if isinstance(entry, dict) else entry
    if not isinstance(value, str) or not is_address(value):
        raise ValueError(f"{name}: {value!r} is not an address")
    return to_checksum_address(value)


def write_atomic(path: Path, text: str, *, private: bool = False) -> None:
    """Write a file atomically; `private`: readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if not private:
        Path(temporary).chmod(0o644)
    Path(temporary).replace(path)
