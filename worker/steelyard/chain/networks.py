"""Networks: the built-in ones, and those that a user added."""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from steelyard.chain.deployments import Deployment, write_atomic
from steelyard.errors import ConfigError

__all__ = ["DEVELOPMENT_IDS", "KNOWN", "Deployment", "Network", "Networks", "default_state_dir"]

DEVELOPMENT_IDS = (31337, 1337)  # anvil and Hardhat; Ganache and geth --dev


@dataclass(frozen=True, kw_only=True)
class Network:
    """One chain and its settings."""

    name: str
    chain_id: int
    rpc_url: str = field(repr=False)  # often holds an API key
    confirmations: int = 5  # blocks on top before an event counts
    poll_s: float = 2.0  # seconds between polls of the chain; 0.025 on development chains
    skew_s: float = 5.0  # seconds that the local clock may be ahead of the chain's
    max_fee_gwei: float = 100.0  # ceiling of the fee per gas
    max_spend_per_day: float = 0.05  # ETH of one key in 24 h, gas and value; 0 = no limit
    bump_after_s: float = 45.0  # seconds without a receipt before the fee is raised
    deadline_s: float = 600.0  # seconds to wait for a receipt, with every replacement
    log_range: int = 2000  # blocks of one eth_getLogs; halved if the node refuses
    rpc_timeout_s: float = 15.0  # seconds for one request
    outage_s: float = 120.0  # seconds to retry an RPC that does not answer
    deployment: Deployment | None = None

    @classmethod
    def of(cls, deployment: Deployment, rpc_url: str) -> Network:
        """The known network of that chain id behind this RPC, or a new one with default settings."""
        alike = next((each for each in KNOWN.values() if each.chain_id == deployment.chain_id), None)
        network = alike or cls(name=f"chain-{deployment.chain_id}", chain_id=deployment.chain_id, rpc_url="")
        return dataclasses.replace(network, rpc_url=rpc_url, deployment=deployment)

    @property
    def is_development(self) -> bool:
        """Whether the chain id is that of a development chain."""
        return self.chain_id in DEVELOPMENT_IDS

    def with_url(self, url: str) -> Network:
        """The same network with another RPC URL."""
        return dataclasses.replace(self, rpc_url=url)


def _development(name: str, chain_id: int) -> Network:
    return Network(
        name=name,
        chain_id=chain_id,
        rpc_url="http://127.0.0.1:8545",
        confirmations=0,
        poll_s=0.025,
        skew_s=0.0,
        max_fee_gwei=1000.0,
        max_spend_per_day=0.0,
        bump_after_s=3.0,
        deadline_s=60.0,
        rpc_timeout_s=10.0,
        outage_s=20.0,
    )


_L2: dict[str, Any] = {
    "poll_s": 1.0,
    "skew_s": 3.0,
    "max_fee_gwei": 5.0,
    "max_spend_per_day": 0.01,
    "bump_after_s": 15.0,
}

KNOWN: dict[str, Network] = {
    network.name: network
    for network in (
        _development("anvil", 31337),
        _development("ganache", 1337),
        Network(name="sepolia", chain_id=11155111, rpc_url="https://ethereum-sepolia-rpc.publicnode.com"),
        Network(name="base-sepolia", chain_id=84532, rpc_url="https://sepolia.base.org", **_L2),
        Network(name="optimism-sepolia", chain_id=11155420, rpc_url="https://sepolia.optimism.io", **_L2),
        Network(
            name="arbitrum-sepolia", chain_id=421614, rpc_url="https://sepolia-rollup.arbitrum.io/rpc", **_L2
        ),
        Network(name="base", chain_id=8453, rpc_url="https://mainnet.base.org", confirmations=10, **_L2),
        Network(name="optimism", chain_id=10, rpc_url="https://mainnet.optimism.io", confirmations=10, **_L2),
        Network(
            name="arbitrum", chain_id=42161, rpc_url="https://arb1.arbitrum.io/rpc", confirmations=10, **_L2
        ),
    )
}

_SETTING_TYPES = {item.name: item.type for item in dataclasses.fields(Network) if item.name != "deployment"}


class Networks:
    """The built-in networks and those of a TOML file, which take precedence.

    The file has a table per network, `[networks.NAME]`, with the fields of `Network`; a missing field is the
    built-in network's, and `deployment` is the path of a deployment file, relative to the TOML's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*KNOWN, *self._tables()})

    def get(self, name: str) -> Network:
        """The network of that name.  Raises ConfigError with the names that exist."""
        tables = self._tables()
        if name not in tables and name not in KNOWN:
            known = ", ".join(self.names())
            raise ConfigError(f"no network {name!r}", remedy=f"one of {known}, or `network add`")
        return self._build(name, tables.get(name, {}))

    def add(self, network: Network, deployment: Path | None = None) -> None:
        """Write the network and the path of its deployment to the file, replacing one of that name."""
        tables = self._tables()
        table = {key: getattr(network, key) for key in _SETTING_TYPES if key != "name"}
        if deployment is not None:
            Deployment.read(deployment)
            table["deployment"] = str(deployment.resolve())
        tables[network.name] = table
        text = "".join(_table(name, entries) for name, entries in sorted(tables.items()))
        write_atomic(self.path, text, private=True)

    def _tables(self) -> dict[str, dict[str, Any]]:
        try:
            document = tomllib.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self.path} cannot be read: {error}", remedy="fix or delete the file"
            ) from error
        tables = document.get("networks", {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            raise ConfigError(f"{self.path}: `networks` holds no tables", remedy="write [networks.NAME]")
        return {name: dict(table) for name, table in tables.items()}

    def _check(self, name: str, key: str, value: Any) -> None:
        """Raises ConfigError if a setting has the wrong type or sign."""
        if _SETTING_TYPES[key] == "str":
            valid = isinstance(value, str)
            if key == "rpc_url":
                valid = valid and value.startswith(("http://", "https://"))
        else:
            kinds = (int,) if _SETTING_TYPES[key] == "int" else (int, float)
            valid = isinstance(value, kinds) and not isinstance(value, bool) and value >= 0
        if not valid:
            shown = "this value" if key == "rpc_url" else repr(value)
            wanted = "an http(s) URL" if key == "rpc_url" else f"a {_SETTING_TYPES[key]}, not negative"
            raise ConfigError(f"{self.path}: {key} of network {name!r} cannot be {shown}", remedy=wanted)

    def _build(self, name: str, table: dict[str, Any]) -> Network:
        unknown = set(table) - set(_SETTING_TYPES) - {"deployment"}
        if unknown:
            raise ConfigError(
                f"{self.path}: network {name!r} has no setting {', '.join(sorted(unknown))}",
                remedy=f"the settings are {', '.join(sorted(_SETTING_TYPES))}",
            )
        deployment_path = table.pop("deployment", None)
        for key, value in table.items():
            self._check(name, key, value)
        base = KNOWN.get(name)
        if base is None and not {"chain_id", "rpc_url"} <= set(table):
            raise ConfigError(f"{self.path}: network {name!r} needs chain_id and rpc_url", remedy="add both")
        network = dataclasses.replace(base, **table) if base else Network(**{"name": name, **table})
        if deployment_path is None:
            return network
        return dataclasses.replace(network, deployment=Deployment.read(self.path.parent / deployment_path))


def default_state_dir() -> Path:
    """The folder of locks and outboxes of this user's keys: the same for all processes."""
    configured = os.environ.get("STEELYARD_STATE_DIR")
    return Path(configured) if configured else user_state_path("steelyard") / "chain"


def _table(name: str, entries: Mapping[str, Any]) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in entries.items()]
    return "\n".join([f"[networks.{json.dumps(name)}]", *lines]) + "\n\n"
