"""Waits for receipts, raises the fee of a transaction that is not mined, and detects a lost nonce."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from steelyard.chain.clock import Heads
from steelyard.chain.networks import Network
from steelyard.chain.rpc import Rpc
from steelyard.chain.sending.broadcast import Broadcaster
from steelyard.chain.sending.key_lock import KeyLock
from steelyard.chain.sending.outbox import Outbox, PendingTx, State, open_tx
from steelyard.chain.sending.receipts import Receipts
from steelyard.chain.sending.signer import Signer
from steelyard.chain.types import Receipt
from steelyard.errors import SpendLimit, TransactionTimeout

log = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.002  # an automining chain has the receipt at once


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Follows the sent transactions of one key to their receipts."""

    rpc: Rpc
    network: Network
    address: str
    outbox: Outbox
    lock: KeyLock
    signer: Signer
    receipts: Receipts
    heads: Heads
    broadcaster: Broadcaster

    async def watch(self, tx: PendingTx, until: float) -> Receipt | None:
        """Wait for a receipt of any attempt, raising the fee every `bump_after_s`.

        until: time.monotonic() of the caller's deadline.  Returns None if the nonce is lost to another
        transaction.  Raises Reverted, TransactionTimeout, Unreachable.
        """
        pause, missing = _FIRST_PAUSE_S, 0
        check_at = time.monotonic() + max(0.25, self.network.poll_s)
        bump_at = time.monotonic() + self.network.bump_after_s
        while True:
            receipt = await self.receipts.settled(tx)
            if receipt is not None:
                return receipt
            now = time.monotonic()
            if now > check_at:
                missing = missing + 1 if await self._is_nonce_lost(tx) else 0
                current = self.outbox.get(tx.name)  # another process may have raised its fee
                if current is None or current.nonce != tx.nonce:
                    return None
                tx = current
                if missing > 1:
                    await self._void(tx)
                    return None
                check_at = now + max(0.25, self.network.poll_s)
            if now > bump_at:
                tx = await self._raise_fee(tx)
                bump_at = now + self.network.bump_after_s
            if now + pause > until:
                raise _timeout(tx)
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.network.poll_s)

    async def _is_nonce_lost(self, tx: PendingTx) -> bool:
        """Whether a confirmed transaction uses the nonce; called when no attempt has a receipt."""
        depth = (await self.heads.latest()).number - self.network.confirmations
        tag = hex(max(depth, 0)) if self.network.confirmations else "latest"
        used = await self.rpc.number("eth_getTransactionCount", self.address, tag)
        return used > tx.nonce

    async def _void(self, tx: PendingTx) -> None:
        """Mark it void, unless it has a new attempt meanwhile."""
        async with self.lock:
            current = self.outbox.get(tx.name)
            if current is not None and current.attempts == tx.attempts:
                self.outbox.settle(tx.name, State.VOID)

    async def _raise_fee(self, tx: PendingTx) -> PendingTx:
        """Sign, record and broadcast a replacement; the transaction as it is then."""
        async with self.lock:
            current = open_tx(self.outbox, tx.name)
            if current is None or current.nonce != tx.nonce:
                return tx
            if len(current.attempts) > len(tx.attempts):
                return current  # another process raised it
            try:
                raised = await self.signer.replacement(current)
            except SpendLimit as error:
                log.warning("%s keeps its fee: %s", tx.description, error)
                raised = None
            current = raised or current
            await self.broadcaster.send(current)
        return current


def _timeout(tx: PendingTx) -> TransactionTimeout:
    hashes = ", ".join(attempt.hash for attempt in tx.attempts)
    return TransactionTimeout(
        f"{tx.description} (nonce {tx.nonce}) was not mined, at {len(tx.attempts)} fees: {hashes}",
        remedy="it is resumed at the next start; raise `max_fee_gwei` if the chain is busy",
    )
