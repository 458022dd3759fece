"""The one door to the chain: reads, simulations, transactions and events of one account on one network."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from eth_abi.exceptions import DecodingError

from steelyard.chain.calls import Call
from steelyard.chain.clock import ChainClock, Heads
from steelyard.chain.codec import Interface
from steelyard.chain.contracts import Contracts
from steelyard.chain.decoder import LogDecoder
from steelyard.chain.follower import Cursor, Follower
from steelyard.chain.generated.events import KINDS
from steelyard.chain.handshake import check_code, identify, interfaces_of
from steelyard.chain.networks import Network
from steelyard.chain.reverts import is_revert, revert_data
from steelyard.chain.rpc import Rpc, RpcRefused
from steelyard.chain.sending.fees import FeeSource
from steelyard.chain.sending.keys import ClientDeps, Key
from steelyard.chain.types import BlockHeader, Event, Receipt, Simulation
from steelyard.chain.wallets import Wallet
from steelyard.errors import ConfigError, WalletError, WrongNetwork

T = TypeVar("T")
log = logging.getLogger(__name__)


class ChainClient:
    """Made by `connect`; belongs to the event loop that made it. `async with` closes it."""

    def __init__(
        self, network: Network, rpc: Rpc, registry: LogDecoder, *, development: bool, genesis: str
    ) -> None:
        self.network = network
        self.development = development
        self.genesis = genesis
        self.registry = registry
        self.rpc = rpc
        self.heads = Heads(rpc, max_age_s=network.poll_s)
        self.clock = ChainClock(rpc, self.heads, network, development=development)
        self._fees = FeeSource(rpc, self.heads, network)
        self._key: Key | None = None

    @classmethod
    async def connect(
        cls,
        network: Network,
        wallet: Wallet | None = None,
        *,
        state_dir: Path | None = None,
        interfaces: Mapping[str, Interface] | None = None,
        events: Mapping[tuple[str, str], type[Event]] | None = None,
        on_step: Callable[[str], None] | None = None,
    ) -> ChainClient:
        """Check the network and open the key's journal.

        state_dir: where the key's lock, journal and spend are; every process that uses the key must name the
        same.
        interfaces: contracts by address, beside those of `network.deployment`.
        on_step: told each step of a transaction (`keys.STEPS`); tests crash there.
        Raises Unreachable, WrongNetwork (chain id, or no contract at an address), JournalError.
        """
        rpc = Rpc(network.rpc_url, timeout_s=network.rpc_timeout_s, outage_s=network.outage_s)
        try:
            development, genesis = await identify(rpc, network)
            known = interfaces_of(network.deployment, interfaces or {})
            await check_code(rpc, network, known)
            registry = LogDecoder(KINDS if events is None else events)
            for address, interface in known.items():
                registry.add(address, interface)
            client = cls(network, rpc, registry, development=development, genesis=genesis)
            if wallet is not None:
                if state_dir is None:
                    raise WalletError("no state folder for the wallet's nonces", remedy="give `state_dir`")
                client._key = Key.open(wallet, state_dir, client._parts(), on_step or (lambda _: None))
            return client
        except BaseException:
            await rpc.close()
            raise

    async def __aenter__(self) -> ChainClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close connections and files. Transactions that are out stay out; `resume` finds them."""
        await self.rpc.close()
        if self._key is not None:
            self._key.journal.close()

    @cached_property
    def contracts(self) -> Contracts:
        """Typed calls of the deployment's contracts.  Raises ConfigError where none is known."""
        if self.network.deployment is None:
            raise ConfigError(
                f"no contracts are known on network {self.network.name!r}",
                remedy="deploy, or `network add --deployment FILE`",
            )
        return Contracts.of(self.network.deployment)

    @property
    def address(self) -> str:
        """The account's address.  Raises WalletError where the client has no wallet."""
        return self._signing().wallet.address

    @property
    def wallet(self) -> Wallet:
        """The unlocked wallet.  Raises WalletError where there is none."""
        return self._signing().wallet

    async def head(self, *, fresh: bool = False) -> BlockHeader:
        """The latest block, at most `poll_s` old unless `fresh`."""
        return await self.heads.latest(fresh=fresh)

    async def chain_time(self) -> int:
        """Unix seconds for phases: the later of the latest block and the local clock less the skew."""
        return await self.clock.now()

    async def balance(self, address: str | None = None) -> int:
        """Wei of `address`, or of the client's own account."""
        return await self.rpc.number("eth_getBalance", address or self.address, "latest")

    async def read(self, call: Call[T], *, block: int | str = "latest") -> T:
        """The call's result on the state after `block`.  Raises Reverted, Unreachable."""
        return (await self.read_all([call], block=block))[0]

    async def read_all(self, calls: Sequence[Call[T]], *, block: int | str = "latest") -> list[T]:
        """Several results in one round trip, all of one state where `block` is a number."""
        if not calls:
            return []
        sender = self._key.wallet.address if self._key else None
        tag = hex(block) if isinstance(block, int) else block
        try:
            found = await self.rpc.batch([("eth_call", [call.fields(sender), tag]) for call in calls])
        except RpcRefused as error:
            if is_revert(error):
                what = calls[0].describe() if len(calls) == 1 else "one of several reads"
                raise self.registry.reverts.explain(what, revert_data(error), error.reason) from error
            raise
        return [_decoded(call, answer, self.network) for call, answer in zip(calls, found, strict=True)]

    async def simulate(
        self, call: Call[object], *, not_before: int | None = None, deadline_s: float | None = None
    ) -> Simulation:
        """What `send` would need and cost, without sending.  Raises as `send`."""
        key = self._signing()
        until = time.monotonic() + (deadline_s or self.network.deadline_s)
        gas = await key.simulator.gas(call, not_before=not_before, until=until)
        fees, head = await self._fees.quote()
        return Simulation(
            gas=gas,
            gas_limit=key.simulator.limit(gas, head.gas_limit),
            base_fee=head.base_fee if head.base_fee is not None else fees.max_fee,
            max_fee=fees.max_fee,
            tip=fees.tip,
            value=call.value,
        )

    async def send(
        self,
        call: Call[object],
        *,
        intent: str | None = None,
        not_before: int | None = None,
        gas: int | None = None,
        deadline_s: float | None = None,
    ) -> Receipt:
        """Simulate, journal, send, and wait until it is mined.

        intent: names the effect. The same name again, after a crash or from another process with this key, is
            the same transaction: it is found or sent again, never doubled. A reverted one may be tried anew.
            None: an effect of its own, once.
        not_before: unix seconds of the deadline that must have passed; waited for, by the chain's time.
        gas: the limit; None estimates, which also finds out whether the call would revert.
        Raises Reverted (before anything is paid, or mined as failed), InsufficientFunds, SpendLimit,
        TransactionTimeout (it may still be mined: ask again with the same intent), Unreachable (likewise).
        """
        patience = self.network.deadline_s if deadline_s is None else deadline_s
        return await self._signing().sender.send(
            call, intent=intent, not_before=not_before, gas=gas, deadline_s=patience
        )

    async def resume(self, *, deadline_s: float | None = None) -> list[Receipt]:
        """Bring every journaled transaction to its end: at a node's start, and after each rollback.

        Bytes that were never sent, or that a reorganisation dropped, are sent again. Returns the receipts of
        what was open; what failed is logged, and told to whoever asks for its intent.
        """
        patience = self.network.deadline_s if deadline_s is None else deadline_s
        return await self._signing().sender.resume(patience)

    def follow(
        self,
        cursor: Cursor | None = None,
        *,
        from_block: int | None = None,
        addresses: Iterable[str] | None = None,
        confirmations: int | None = None,
    ) -> Follower:
        """Events from after `cursor`, or from `from_block` (the deployment's by default) on."""
        deployed = self.network.deployment.block if self.network.deployment else 0
        return Follower(
            rpc=self.rpc,
            heads=self.heads,
            registry=self.registry,
            network=self.network,
            cursor=cursor or Cursor.before(deployed if from_block is None else from_block),
            addresses=tuple(self.registry.addresses if addresses is None else addresses),
            confirmations=self.network.confirmations if confirmations is None else confirmations,
        )

    def _parts(self) -> ClientDeps:
        return ClientDeps(
            rpc=self.rpc,
            network=self.network,
            genesis=self.genesis,
            registry=self.registry,
            heads=self.heads,
            clock=self.clock,
            fees=self._fees,
        )

    def _signing(self) -> Key:
        if self._key is None:
            raise WalletError("this needs an account", remedy="give --account")
        return self._key


def _decoded(call: Call[T], answer: str, network: Network) -> T:
    try:
        return call.decode(bytes.fromhex(answer[2:]))
    except (ValueError, TypeError, DecodingError) as error:
        raise WrongNetwork(
            f"{call.describe()} at {call.to} gave {len(answer) // 2 - 1} bytes that do not decode: {error}",
            remedy=f"check the deployment's addresses on {network.name!r}",
        ) from error
