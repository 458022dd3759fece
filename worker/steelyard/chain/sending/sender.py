"""Sends each effect at most once: sign, record in the outbox, broadcast, watch; resume after a crash."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from steelyard.chain.calls import Call
from steelyard.chain.networks import Network
from steelyard.chain.rpc import Rpc
from steelyard.chain.sending.broadcast import Broadcaster
from steelyard.chain.sending.key_lock import KeyLock
from steelyard.chain.sending.outbox import Outbox, PendingTx, State, open_tx
from steelyard.chain.sending.receipts import Receipts
from steelyard.chain.sending.signer import Signer
from steelyard.chain.sending.simulator import Simulator
from steelyard.chain.sending.watcher import Watcher
from steelyard.chain.types import Receipt
from steelyard.errors import ChainError, Unreachable

log = logging.getLogger(__name__)
_TRIES = 3  # nonces that one intent may lose to transactions from elsewhere
_FRESH_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Sender:
    """The transactions of one key.

    Several tasks, and several processes with the same key, may send at once.
    """

    rpc: Rpc
    network: Network
    address: str
    outbox: Outbox
    lock: KeyLock
    signer: Signer
    simulator: Simulator
    receipts: Receipts
    broadcaster: Broadcaster
    watcher: Watcher
    on_step: Callable[[str], None]

    async def send(
        self,
        call: Call[object],
        *,
        intent: str | None,
        not_before: int | None,
        gas: int | None,
        deadline_s: float,
    ) -> Receipt:
        """See ChainClient.send."""
        until = time.monotonic() + deadline_s
        name = f"{call.to}/{intent or secrets.token_hex(16)}"
        for _ in range(_TRIES):
            tx = open_tx(self.outbox, name)
            receipt = await self.receipts.settled(tx) if tx else None
            if receipt is not None:
                return receipt
            if tx is None:
                tx = await self._start(call, name, not_before, gas, until)
            else:
                tx = await self._rebroadcast(name, unless_fresh=True)
            receipt = await self.watcher.watch(tx, until) if tx else None
            if receipt is not None:
                return receipt
        raise ChainError(
            f"{_TRIES} times another transaction took the nonce of {call.describe()}",
            remedy=f"does another program use the key of {self.address}? stop it, or share the state folder",
        )

    async def resume(self, deadline_s: float) -> list[Receipt]:
        """See ChainClient.resume."""
        until = time.monotonic() + deadline_s
        async with self.lock:
            await self._fill_gap()
        found = await asyncio.gather(*(self._finish(tx, until) for tx in self.outbox.unsettled()))
        return [receipt for receipt in found if receipt is not None]

    async def _finish(self, tx: PendingTx, until: float) -> Receipt | None:
        current = await self._rebroadcast(tx.name)
        try:
            return await self.watcher.watch(current, until) if current else None
        except ChainError as error:
            log.warning("%s: %s", tx.name, error)  # raised again for whoever sends the same intent
            return None

    async def _start(
        self, call: Call[object], name: str, not_before: int | None, gas: int | None, until: float
    ) -> PendingTx:
        """Simulate, then under the key's lock: nonce, signature, outbox, broadcast."""
        limit, nonce = await asyncio.gather(
            self.simulator.gas_limit(call, given=gas, not_before=not_before, until=until), self._chain_nonce()
        )
        async with self.lock:
            tx = open_tx(self.outbox, name)
            if tx is None:
                nonce = await self._free_nonce(nonce)
                tx = await self.signer.first(call, name=name, nonce=nonce, gas=limit)
                self.on_step("tx.signed")
            if not self._is_fresh(tx):  # another process may have started it meanwhile
                await self.broadcaster.send(tx)
        return tx

    async def _rebroadcast(self, name: str, *, unless_fresh: bool = False) -> PendingTx | None:
        """Broadcast a transaction of the outbox in its latest state; None if it has become void."""
        async with self.lock:
            tx = open_tx(self.outbox, name)
            if tx is not None and not (unless_fresh and self._is_fresh(tx)):
                await self.broadcaster.send(tx)
        return tx

    def _is_fresh(self, tx: PendingTx) -> bool:
        """Whether it was sent or mined just now: Ganache may execute such bytes a second time."""
        age = time.time() - tx.attempts[-1].created
        return age < min(_FRESH_S, self.network.bump_after_s) and tx.state in (State.SENT, State.MINED)

    async def _chain_nonce(self) -> int:
        return await self.rpc.number("eth_getTransactionCount", self.address, "pending")

    async def _free_nonce(self, chain: int) -> int:
        """The first nonce that neither the chain nor the outbox has used.

        chain: the chain's pending nonce, read a moment ago.
        """
        owned = self.outbox.from_nonce(chain)
        if owned:
            chain = await self._fill_gap()
            owned = self.outbox.from_nonce(chain)
        taken = {tx.nonce for tx in owned}
        while chain in taken:
            chain += 1
        return chain

    async def _fill_gap(self) -> int:
        """Broadcast what the outbox has and the chain lacks; returns the chain's pending nonce before.

        Such gaps come from a crash before the broadcast, or from a reorganisation.
        """
        nonce = await self._chain_nonce()
        for tx in self.outbox.from_nonce(nonce):
            try:
                await self.broadcaster.send(tx)
            except Unreachable:
                raise
            except ChainError as error:
                log.warning("%s: %s", tx.name, error)  # raised again for its sender; the others go on
        return nonce
