"""A command's settings and output, and how it gets a network, a wallet and a client."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from steelyard.cli.output import Output
from steelyard.cli.settings import Config
from steelyard.errors import ConfigError, WrongNetwork

if TYPE_CHECKING:
    from steelyard.chain.client import ChainClient
    from steelyard.chain.networks import Deployment, Network
    from steelyard.chain.passwords import Passwords
    from steelyard.chain.wallets import Keystores, Wallet

T = TypeVar("T")
COMMAND_OUTAGE_S = 6.0  # seconds that a command waits for an unreachable RPC; nodes wait longer


@dataclass(frozen=True, kw_only=True)
class Session:
    """One command's settings and output."""

    config: Config
    out: Output
    dry_run: bool = False
    log_json: bool = False
    verbose: bool = False
    patient: bool = False  # wait for an unreachable RPC as long as a node does
    _passwords: list[Passwords] = field(default_factory=list, repr=False, compare=False)  # one at most

    def network(self) -> Network:
        """The chosen network with its deployment, as the settings override it."""
        from steelyard.chain.networks import Networks

        config = self.config
        if config.rpc_url and not config.rpc_url.startswith(("http://", "https://")):
            raise ConfigError(  # without the value: it may hold a key
                "rpc_url is not an http(s) URL",
                remedy="give one like http://127.0.0.1:8545 or https://HOST/PATH",
            )
        network = Networks(config.networks_file).get(config.network)
        changes: dict[str, Any] = {
            name: value
            for name in ("rpc_url", "max_fee_gwei", "max_spend_per_day")
            if (value := getattr(config, name)) not in (None, "")
        }
        deployment = _deployment(config, network)
        if deployment is not None:
            changes["deployment"] = deployment
        return dataclasses.replace(network, **changes)

    def keystores(self) -> Keystores:
        from steelyard.chain.wallets import Keystores

        return Keystores(self.config.keystore_dir)

    def passwords(self) -> Passwords:
        """The same object at every call, so that a command asks for a password only once."""
        from steelyard.chain.passwords import Passwords

        if not self._passwords:
            prompt = not self.out.json and sys.stdin.isatty()
            self._passwords.append(Passwords(file=self.config.password_file, prompt=prompt))
        return self._passwords[0]

    def account_name(self) -> str:
        """The account that signs: as set, or the only one.  Raises ConfigError if that is ambiguous."""
        if self.config.account:
            return self.config.account
        accounts = self.keystores().list()
        if len(accounts) == 1:
            return accounts[0].name
        names = ", ".join(account.name for account in accounts) or "none; `steelyard account new` makes one"
        folder = self.config.keystore_dir
        raise ConfigError(f"no account chosen in {folder}", remedy=f"give --account; there are: {names}")

    def wallet(self) -> Wallet:
        """The account that signs, unlocked.  Raises AccountMissing, WrongPassword."""
        name = self.account_name()
        keystores = self.keystores()
        found = keystores.find(name)
        return keystores.open(name, self.passwords().get(found.name))

    def address_of(self, who: str | None) -> str:
        """An address given as such, by account name, or the session's own account; nothing is unlocked."""
        from eth_utils.address import is_address, to_checksum_address

        if who and is_address(who):
            return to_checksum_address(who)
        account = self.keystores().find(who or self.account_name())
        if account.address is None:
            raise ConfigError(
                f"the keystore {account.path} does not contain its address", remedy="give the address itself"
            )
        return account.address

    @asynccontextmanager
    async def client(self, *, signing: bool = False) -> AsyncIterator[ChainClient]:
        """A connected client, with the wallet if the command signs."""
        from steelyard.chain.client import ChainClient
        from steelyard.chain.networks import default_state_dir

        wallet = self.wallet() if signing else None
        network = self.network()
        if not self.patient:
            network = dataclasses.replace(network, outage_s=min(network.outage_s, COMMAND_OUTAGE_S))
        client = await ChainClient.connect(
            network, wallet, state_dir=self.config.state_dir or default_state_dir()
        )
        async with client:
            yield client


_current: ContextVar[Session] = ContextVar("session")


def begin(session: Session) -> None:
    """Make it the session of this process, and configure logging."""
    _current.set(session)
    level = logging.INFO if session.verbose else logging.WARNING
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLines() if session.log_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)


def current() -> Session:
    """The session of this process."""
    return _current.get()


def do(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part."""
    return asyncio.run(work)


class JsonLines(logging.Formatter):
    """One JSON object for each log record."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = getattr(record, "fields", None)
        if isinstance(extra, dict):
            entry.update(extra)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _deployment(config: Config, network: Network) -> Deployment | None:
    """The deployment of the settings, the network's own, or deployments/<chain id>.json of a checkout."""
    from steelyard.chain.networks import Deployment

    if config.deployment is not None:
        _await_file(config.deployment, config.deployment_wait_s)
        deployment = Deployment.read(config.deployment)
        if deployment.chain_id != network.chain_id:
            raise WrongNetwork(
                f"{config.deployment} is for chain {deployment.chain_id}, not {network.chain_id}",
                remedy="choose the network with --network, or give its deployment",
            )
        return deployment
    if network.deployment is not None:
        return network.deployment
    beside = Path("deployments") / f"{network.chain_id}.json"
    return Deployment.read(beside) if beside.is_file() else None


def _await_file(path: Path, patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while not path.is_file() and time.monotonic() < until:
        time.sleep(0.05)
