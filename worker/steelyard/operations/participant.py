"""A participant of jobs: one account, one network, and a folder for everything that it stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.chain.client import ChainClient
from steelyard.chain.networks import Network
from steelyard.chain.passwords import Passwords
from steelyard.chain.wallets import Keystores
from steelyard.content import ContentStore, StoreConfig, make_store
from steelyard.errors import WalletError
from steelyard.nodes.config import NodeConfig, Role
from steelyard.nodes.reporting import Listener
from steelyard.nodes.runner import NodeRunner
from steelyard.operations.chain_session import ChainSession, ProgressCallback, no_progress


@dataclass(frozen=True, kw_only=True)
class Participant:
    """One account on one network, with a folder for its keystore, transactions, files and nodes.

        ann = Participant.create(network, Path("ann"), password="...")
        async with ann.session() as session, ann.open_store() as store:
            await join_job(session, store, job)
        async with ann.node(job, "worker", on_event=print) as runner:
            await runner.wait()

    Only one process may run a node of the same account and job at a time.
    """

    network: Network  # with its deployment
    folder: Path
    account: str  # name, address or path of a keystore in `folder`/keystores
    passwords: Passwords = field(default_factory=Passwords)
    peers: tuple[str, ...] = ()  # base URLs of stores to fetch files from
    allow_private: bool = False  # also fetch from loopback and private addresses, for tests on one machine

    @classmethod
    def create(
        cls,
        network: Network,
        folder: Path,
        *,
        password: str,
        name: str = "account",
        light: bool = False,
        peers: Iterable[str] = (),
    ) -> Participant:
        """Make a new key in a keystore of `folder`, and a participant that uses it.

        password: kept in memory only. light: weak key derivation, for throw-away accounts; takes 15 ms, not
        1 s. On development networks private addresses of peers are allowed. Raises WalletError if the folder
        has an account of that name.
        """
        Keystores(folder / "keystores").new(name, password, light=light)
        return cls(
            network=network,
            folder=folder,
            account=name,
            passwords=Passwords.known(name, password),
            peers=tuple(peers),
            allow_private=network.is_development,
        )

    @property
    def address(self) -> str:
        """The account's address, 0x-hex. Raises AccountMissing; WalletError if the keystore omits it."""
        account = self._keystores().find(self.account)
        if account.address is None:
            raise WalletError(f"{account.path} does not contain its address", remedy="open it with a wallet")
        return account.address

    @asynccontextmanager
    async def session(
        self, *, dry_run: bool = False, progress: ProgressCallback = no_progress
    ) -> AsyncIterator[ChainSession]:
        """A connected session that signs with the account.

        dry_run: transactions are simulated and priced, none is sent. Raises AccountMissing, WrongPassword,
        Unreachable, WrongNetwork.
        """
        keystores = self._keystores()
        found = keystores.find(self.account)
        wallet = keystores.open(self.account, self.passwords.get(found.name))
        client = await ChainClient.connect(self.network, wallet, state_dir=self._state_dir())
        async with client:
            yield ChainSession(client=client, dry_run=dry_run, progress=progress)

    def open_store(self, *, serve: bool = False) -> ContentStore:
        """The participant's content store, to be used with `async with`.

        serve: also serve its files to others, at `store.url`, on a free port of the loopback interface.
        """
        return make_store(self._store_config(serve=serve))

    def node_config(self, job: int, *roles: Role | str, **settings: Any) -> NodeConfig:
        """Settings of a node of this participant.

        roles: of `Role`, at least one. settings: other fields of NodeConfig. Raises ConfigError.
        """
        given: dict[str, Any] = {
            "network": self.network,
            "home": self.folder / "nodes" / f"{self.network.chain_id}-{job}",
            "keystores": self.folder / "keystores",
            "account": self.account,
            "passwords": self.passwords,
            "job": job,
            "roles": frozenset(Role(role) for role in roles),
            "store": self._store_config(serve=True),
            "state_dir": self._state_dir(),
        }
        return NodeConfig(**{**given, **settings})

    def node(
        self, job: int, *roles: Role | str, on_event: Listener | None = None, **settings: Any
    ) -> NodeRunner:
        """A node of this participant, not started yet: `async with` starts and stops it.

        on_event: called in the event loop for each NodeEvent. settings: other fields of NodeConfig.
        """
        return NodeRunner(self.node_config(job, *roles, **settings), on_event=on_event)

    def _keystores(self) -> Keystores:
        return Keystores(self.folder / "keystores")

    def _state_dir(self) -> Path:
        return self.folder / "chain"

    def _store_config(self, *, serve: bool) -> StoreConfig:
        return StoreConfig(
            root=self.folder / "content", serve=serve, peers=self.peers, allow_private=self.allow_private
        )
