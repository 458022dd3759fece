"""Reads, simulates, sends and follows; one per account and network."""

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
    """The client of one account, or of none, on one network.

    Created by `connect` for the running event loop; `async with` closes it.
    """

    def __init__(
        self, network: Network, rpc: Rpc, decoder: LogDecoder, *, development: bool, genesis: str
    ) -> None:
        self.network = network
        self.development = development
        self.genesis = genesis
        self.decoder = decoder
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
        """Check the network and open the key's outbox.

        state_dir: folder of the key's lock and outbox; every process that uses the key must give the same.
        interfaces: contracts by address, in addition to those of `network.deployment`.
        events: event classes by (contract, event); those of the deployment's contracts by default.
        on_step: called at each step of a transaction (`keys.STEPS`); tests crash there.
        Raises Unreachable, WrongNetwork (chain id, or no contract at an address), WalletError, JournalError.
        """
        rpc = Rpc(network.rpc_url, timeout_s=network.rpc_timeout_s, outage_s=network.outage_s)
        try:
            development, genesis = await identify(rpc, network)
            known = interfaces_of(network.deployment, interfaces or {})
            await check_code(rpc, network, known)
            decoder = LogDecoder(KINDS if events is None else events)
            for address, interface in known.items():
                decoder.add(address, interface)
            client = cls(network, rpc, decoder, development=development, genesis=genesis)
            if wallet is not None:
                if state_dir is None:
                    raise WalletError("no state folder for the wallet's outbox", remedy="give `state_dir`")
                client._key = Key.open(wallet, state_dir, client._deps(), on_step or (lambda _: None))
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
        """Close connections and files. Transactions that were sent stay sent; `resume` finds them."""
        await self.rpc.close()
        if self._key is not None:
            self._key.outbox.close()

    @cached_property
    def contracts(self) -> Contracts:
        """Typed calls of the deployment's contracts.  Raises ConfigError if the network has no deployment."""
        if self.network.deployment is None:
            raise ConfigError(
                f"no contracts are known on network {self.network.name!r}",
                remedy="deploy, or `network add --deployment FILE`",
            )
        return Contracts.of(self.network.deployment)

    @property
    def address(self) -> str:
        """The account's address.  Raises WalletError if the client has no wallet."""
        return self._signing().wallet.address

    @property
    def wallet(self) -> Wallet:
        """The unlocked wallet.  Raises WalletError if there is none."""
        return self._signing().wallet

    async def head(self, *, fresh: bool = False) -> BlockHeader:
        """The latest block, at most `poll_s` old unless `fresh`.  Raises Unreachable."""
        return await self.heads.latest(fresh=fresh)

    async def chain_time(self) -> int:
        """Unix seconds for phases: the later of the latest block and the local clock less the skew."""
        return await self.clock.now()

    async def balance(self, address: str | None = None) -> int:
        """The balance of `address`, or of the client's account, in wei.  Raises WalletError, Unreachable."""
        return await self.rpc.number("eth_getBalance", address or self.address, "latest")

    async def read(self, call: Call[T], *, block: int | str = "latest") -> T:
        """The call's result on the state after `block`.  Raises Reverted, Unreachable."""
        return (await self.read_all([call], block=block))[0]

    async def read_all(self, calls: Sequence[Call[T]], *, block: int | str = "latest") -> list[T]:
        """Several results in one round trip, of one state if `block` is a number.  Raises as `read`."""
        if not calls:
            return []
        sender = self._key.wallet.address if self._key else None
        tag = hex(block) if isinstance(block, int) else block
        try:
            found = await self.rpc.batch([("eth_call", [call.fields(sender), tag]) for call in calls])
        except RpcRefused as error:
            if is_revert(error):
                action = calls[0].describe() if len(calls) == 1 else "one of several reads"
                raise self.decoder.reverts.explain(action, revert_data(error), error.reason) from error
            raise
        return [_decoded(call, answer, self.network) for call, answer in zip(calls, found, strict=True)]

    async def simulate(
        self, call: Call[object], *, not_before: int | None = None, deadline_s: float | None = None
    ) -> Simulation:
        """The gas and cost of `send`, without sending.  Raises as `send`."""
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
        """Simulate, record in the outbox, broadcast, and wait until it is mined.

        intent: an idempotency key. The same intent, after a crash or from another process with this key, is
            the same transaction: it is found or broadcast again, never doubled. A reverted one is sent again
            as a new transaction. None: a unique intent.
        not_before: unix seconds that the chain's time must reach; waited for.
        gas: the limit; None estimates it, which also detects a call that would revert.
        deadline_s: seconds to wait for the receipt; the network's by default.
        Raises Reverted (before anything is paid, or mined as failed), InsufficientFunds, SpendLimit,
        JournalError, TransactionTimeout and Unreachable (it may still be mined: send the same intent again).
        """
        timeout_s = self.network.deadline_s if deadline_s is None else deadline_s
        return await self._signing().sender.send(
            call, intent=intent, not_before=not_before, gas=gas, deadline_s=timeout_s
        )

    async def resume(self, *, deadline_s: float | None = None) -> list[Receipt]:
        """Finish every open transaction of the outbox: at a node's start, and after each rollback.

        Bytes that were never sent, or that a reorganisation dropped, are broadcast again. Returns the
        receipts; a failure is logged, and raised by `send` of the same intent.
        """
        timeout_s = self.network.deadline_s if deadline_s is None else deadline_s
        return await self._signing().sender.resume(timeout_s)

    def follow(
        self,
        cursor: Cursor | None = None,
        *,
        from_block: int | None = None,
        addresses: Iterable[str] | None = None,
        confirmations: int | None = None,
    ) -> Follower:
        """Events after `cursor`, or from `from_block` (the deployment's by default) on."""
        deployed = self.network.deployment.block if self.network.deployment else 0
        return Follower(
            rpc=self.rpc,
            heads=self.heads,
            decoder=self.decoder,
            network=self.network,
            cursor=cursor or Cursor.before(deployed if from_block is None else from_block),
            addresses=tuple(self.decoder.addresses if addresses is None else addresses),
            confirmations=self.network.confirmations if confirmations is None else confirmations,
        )

    def _deps(self) -> ClientDeps:
        return ClientDeps(
            rpc=self.rpc,
            network=self.network,
            genesis=self.genesis,
            decoder=self.decoder,
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
