"""Sending so that an effect never happens twice: journal, broadcast, watch, replace, resume."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from steelyard.chain.calls import Call
from steelyard.chain.clock import Heads
from steelyard.chain.networks import Network
from steelyard.chain.rpc import Rpc
from steelyard.chain.sending.broadcast import BroadcastAnswer, broadcast
from steelyard.chain.sending.fees import ether
from steelyard.chain.sending.key_lock import KeyLock
from steelyard.chain.sending.outbox import Outbox, PendingTx, State
from steelyard.chain.sending.receipts import Receipts
from steelyard.chain.sending.signer import Signer
from steelyard.chain.sending.simulator import Simulator
from steelyard.chain.types import Receipt
from steelyard.errors import ChainError, InsufficientFunds, SpendLimit, TransactionTimeout, Unreachable

log = logging.getLogger(__name__)
_TRIES = 3  # nonces that one intent may lose to transactions from elsewhere
_FRESH_S = 3.0
_FIRST_PAUSE_S = 0.002  # an automining chain has the receipt at once


@dataclass(frozen=True, kw_only=True)
class Sender:
    """The transactions of one key.

    Several tasks, and several processes with the same key, may send at once.
    """

    rpc: Rpc
    network: Network
    address: str
    journal: Outbox
    lock: KeyLock
    signer: Signer
    simulator: Simulator
    receipts: Receipts
    heads: Heads
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
            entry = self._open(name)
            receipt = await self.receipts.settled(entry) if entry else None
            if receipt is not None:
                return receipt
            if entry is None:
                entry = await self._start(call, name, not_before, gas, until)
            else:
                entry = await self._offer_again(name, unless_fresh=True)
            receipt = await self._watch(entry, until) if entry else None
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
        found = await asyncio.gather(*(self._finish(entry, until) for entry in self.journal.unsettled()))
        return [receipt for receipt in found if receipt is not None]

    async def _finish(self, entry: PendingTx, until: float) -> Receipt | None:
        current = await self._offer_again(entry.name)
        try:
            return await self._watch(current, until) if current else None
        except ChainError as error:
            log.warning("%s: %s", entry.name, error)  # the effect's owner will ask for it and hear the same
            return None

    def _open(self, name: str) -> PendingTx | None:
        """The intent, where it has bytes that were or may yet be mined."""
        entry = self.journal.get(name)
        return None if entry is None or entry.state in (State.FAILED, State.VOID) else entry

    async def _start(
        self, call: Call[object], name: str, not_before: int | None, gas: int | None, until: float
    ) -> PendingTx:
        """Simulate, then under the key's lock: nonce, signature, journal, broadcast."""
        limit, nonce = await asyncio.gather(
            self.simulator.gas_limit(call, given=gas, not_before=not_before, until=until), self._chain_nonce()
        )
        async with self.lock:
            entry = self._open(name)
            if entry is None:
                nonce = await self._free_nonce(nonce)
                entry = await self.signer.first(call, name=name, nonce=nonce, gas=limit)
                self.on_step("tx.signed")
            if not self._is_fresh(entry):  # another process may have started it meanwhile
                await self._offer(entry)
        return entry

    async def _offer_again(self, name: str, *, unless_fresh: bool = False) -> PendingTx | None:
        """Broadcast an intent of the journal as it is by now; None where it has become void."""
        async with self.lock:
            entry = self._open(name)
            if entry is not None and not (unless_fresh and self._is_fresh(entry)):
                await self._offer(entry)
        return entry

    def _is_fresh(self, entry: PendingTx) -> bool:
        """Whether it was sent or mined just now: Ganache may execute such bytes a second time."""
        age = time.time() - entry.attempts[-1].created
        return age < min(_FRESH_S, self.network.bump_after_s) and entry.state in (State.SENT, State.MINED)

    async def _chain_nonce(self) -> int:
        return await self.rpc.number("eth_getTransactionCount", self.address, "pending")

    async def _free_nonce(self, chain: int) -> int:
        """The first nonce that neither the chain (`chain`, some moments old) nor the journal has used."""
        owned = self.journal.from_nonce(chain)
        if owned:
            chain = await self._fill_gap()
            owned = self.journal.from_nonce(chain)
        taken = {entry.nonce for entry in owned}
        while chain in taken:
            chain += 1
        return chain

    async def _fill_gap(self) -> int:
        """Offer again what the journal has and the chain lacks; returns the chain's pending nonce before.

        Such gaps come from a crash before the broadcast, or from a reorganisation.
        """
        nonce = await self._chain_nonce()
        for entry in self.journal.from_nonce(nonce):
            try:
                await self._offer(entry)
            except Unreachable:
                raise
            except ChainError as error:
                log.warning("%s: %s", entry.name, error)  # its owner will hear it; others go on
        return nonce

    async def _offer(self, entry: PendingTx) -> None:
        """Broadcast the latest attempt.  Raises InsufficientFunds or ChainError where no node kept it."""
        answer, said = await broadcast(self.rpc, entry.attempts[-1].raw)
        if answer is BroadcastAnswer.TAKEN:
            self.on_step("tx.broadcast")
            if entry.state is not State.SENT:
                self.journal.settle(entry.name, State.SENT)
                self.on_step("tx.sent")
        elif answer in (BroadcastAnswer.NONCE_USED, BroadcastAnswer.UNDERPRICED):
            log.info("%s: %s", entry.what, said)  # the watch finds out
        elif entry.state is State.SIGNED and len(entry.attempts) == 1:
            self.journal.settle(entry.name, State.VOID)
            raise await self._refusal(entry, answer, said)
        else:
            log.warning("%s, sent before, is now refused: %s", entry.what, said)

    async def _refusal(self, entry: PendingTx, answer: BroadcastAnswer, said: str) -> ChainError:
        if answer is not BroadcastAnswer.NO_FUNDS:
            return ChainError(f"the node refused the transaction {entry.what}: {said}")
        held = await self.rpc.number("eth_getBalance", self.address, "latest")
        return InsufficientFunds(
            f"{entry.what} may cost {ether(entry.cost)} ETH, and {self.address} has {ether(held)} ETH",
            remedy="send it some ether",
        )

    async def _watch(self, entry: PendingTx, until: float) -> Receipt | None:
        """Wait for a receipt of any attempt, raising the fee now and then; None where the nonce is lost."""
        pause, missing = _FIRST_PAUSE_S, 0
        look_at = time.monotonic() + max(0.25, self.network.poll_s)
        bump_at = time.monotonic() + self.network.bump_after_s
        while True:
            receipt = await self.receipts.settled(entry)
            if receipt is not None:
                return receipt
            now = time.monotonic()
            if now > look_at:
                missing = missing + 1 if await self._nonce_is_gone(entry) else 0
                current = self.journal.get(entry.name)  # another process may have raised its fee
                if current is None or current.nonce != entry.nonce:
                    return None
                entry = current
                if missing > 1:
                    await self._give_up(entry)
                    return None
                look_at = now + max(0.25, self.network.poll_s)
            if now > bump_at:
                entry = await self._raise_fee(entry)
                bump_at = now + self.network.bump_after_s
            if now + pause > until:
                raise self._timeout(entry)
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.network.poll_s)

    async def _nonce_is_gone(self, entry: PendingTx) -> bool:
        """Whether a confirmed transaction, though none of `entry`, has its nonce."""
        depth = (await self.heads.latest()).number - self.network.confirmations
        tag = hex(max(depth, 0)) if self.network.confirmations else "latest"
        used = await self.rpc.number("eth_getTransactionCount", self.address, tag)
        return used > entry.nonce

    async def _give_up(self, entry: PendingTx) -> None:
        """Void it, as its nonce went to none of its attempts: unless it has a new one meanwhile."""
        async with self.lock:
            current = self.journal.get(entry.name)
            if current is not None and current.attempts == entry.attempts:
                self.journal.settle(entry.name, State.VOID)

    async def _raise_fee(self, entry: PendingTx) -> PendingTx:
        async with self.lock:
            current = self._open(entry.name)
            if current is None or current.nonce != entry.nonce:
                return entry
            if len(current.attempts) > len(entry.attempts):
                return current  # another process raised it
            try:
                raised = await self.signer.replacement(current)
            except SpendLimit as error:
                log.warning("%s stays as it is: %s", entry.what, error)
                raised = None
            current = raised or current
            await self._offer(current)
        return current

    def _timeout(self, entry: PendingTx) -> TransactionTimeout:
        hashes = ", ".join(attempt.hash for attempt in entry.attempts)
        return TransactionTimeout(
            f"{entry.what} (nonce {entry.nonce}) was not mined, at {len(entry.attempts)} fees: {hashes}",
            remedy="it goes on at the next start; raise `max_fee_gwei` if the chain is busy",
        )
