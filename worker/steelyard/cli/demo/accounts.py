"""The demo's accounts: each with its own keystore, password and home."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.dev.devnet import MNEMONIC, DevChain
from steelyard.chain.wallets import Keystores
from steelyard.cli.demo.settings import AGGREGATORS, WORKERS, DemoSettings
from steelyard.cli.output import Output
from steelyard.cli.session import Session
from steelyard.cli.settings import FILE_NAME, Config

SPONSOR, CHALLENGER = "sponsor", "challenger"
DEPLOYMENT = "deployment.json"
RPC_TIMEOUT_S = 20.0  # all processes share the cores with the training


@dataclass(frozen=True, kw_only=True)
class Actor:
    """One account."""

    name: str
    role: str  # sponsor, worker, aggregator, challenger
    address: str
    home: Path

    @property
    def config(self) -> Path:
        """Its settings, for `steelyard --config`."""
        return self.home / FILE_NAME

    def session(self) -> Session:
        """Settings and output of its commands; they print nothing."""
        config = Config.load({"config": str(self.config)}, environ={})
        return Session(config=config, out=Output(json=True), patient=True)


def cast() -> list[tuple[str, str]]:
    """Names and roles."""
    workers = [(f"worker-{i}", "worker") for i in range(1, WORKERS + 1)]
    aggregators = [(f"aggregator-{i}", "aggregator") for i in range(1, AGGREGATORS + 1)]
    return [(SPONSOR, "sponsor"), *workers, *aggregators, (CHALLENGER, "challenger")]


def make(settings: DemoSettings, folder: Path, chain: DevChain, peer: str) -> list[Actor]:
    """Write keystores, passwords and settings.

    They are the well-known accounts that the chain funds: never for real money. peer: the sponsor's store.
    """
    return [
        _actor(settings, folder / name, name, role, chain, peer, index)
        for index, (name, role) in enumerate(cast(), start=1)
    ]


def _actor(
    settings: DemoSettings, home: Path, name: str, role: str, chain: DevChain, peer: str, index: int
) -> Actor:
    home.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(12)
    (home / "password").touch(mode=0o600)
    (home / "password").write_text(password + "\n")
    made = Keystores(home / "keystore").import_mnemonic(MNEMONIC, password, name, index=index, light=True)
    values: dict[str, object] = {
        "home": ".",
        "network": chain.kind,
        "rpc_url": chain.url,
        "deployment": f"../{DEPLOYMENT}",
        "account": name,
        "password_file": "password",
        "state_dir": "../chain-state",
        "peers": [] if role == "sponsor" else [peer],
    }
    if settings.ipfs is not None:
        values |= {"store": "kubo", "ipfs_api": settings.ipfs.url}
    if settings.ipfs is not None and settings.ipfs.auth:
        (home / "ipfs-auth").touch(mode=0o600)
        kind, _, secret = settings.ipfs.auth.partition(" ")
        (home / "ipfs-auth").write_text(f"{kind.lower()}:{secret}\n")
        values["ipfs_auth_file"] = "ipfs-auth"
    (home / FILE_NAME).write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    patience = {
        "poll_s": settings.poll_s,
        "rpc_timeout_s": RPC_TIMEOUT_S,
        "outage_s": 120.0,
        "deadline_s": 180.0,
    }
    lines = [f"[networks.{chain.kind}]", *(f"{key} = {value}" for key, value in patience.items())]
    (home / "networks.toml").write_text("\n".join(lines) + "\n")
    return Actor(name=name, role=role, address=made.address or "", home=home)
