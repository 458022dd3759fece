"""From a call to signed bytes in the outbox: fees, spending limit, signature. Nothing is sent here."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from eth_utils.address import to_checksum_address

from steelyard.chain.calls import Call
from steelyard.chain.networks import Network
from steelyard.chain.sending.fees import Fees, FeeSource, bumped, check_spend
from steelyard.chain.sending.outbox import Attempt, Outbox, PendingTx, State
from steelyard.chain.units import ETHER
from steelyard.chain.wallets import Wallet

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Signs for one key on one network. The caller holds the key's lock."""

    wallet: Wallet
    network: Network
    outbox: Outbox
    fees: FeeSource

    async def first(self, call: Call[object], *, name: str, nonce: int, gas: int) -> PendingTx:
        """Sign and record the first attempt of `name` at `nonce`.  Raises SpendLimit, JournalError."""
        fees, head = await self.fees.quote()
        cost = gas * fees.max_fee + call.value
        limit = round(self.network.max_spend_per_day * ETHER)
        check_spend(self.outbox.spent_since(time.time() - DAY_S) if limit else 0, cost, limit)
        tx = PendingTx(
            name=name,
            nonce=nonce,
            to=call.to,
            data=call.data,
            value=call.value,
            gas=gas,
            description=call.describe(),
            state=State.SIGNED,
            cost=cost,
        )
        return self._record(tx, fees, legacy=head.base_fee is None)

    async def replacement(self, tx: PendingTx) -> PendingTx | None:
        """Sign and record an attempt with a higher fee at the same nonce; None if `max_fee_gwei` forbids it.

        Raises SpendLimit, JournalError.
        """
        now, head = await self.fees.quote()
        last = tx.attempts[-1]
        fees = bumped(Fees(max_fee=last.max_fee, tip=last.tip), now, self.fees.ceiling)
        if fees is None:
            return None
        cost = tx.gas * fees.max_fee + tx.value
        limit = round(self.network.max_spend_per_day * ETHER)
        if limit:
            check_spend(self.outbox.spent_since(time.time() - DAY_S), cost - tx.cost, limit)
        return self._record(replace(tx, cost=cost), fees, legacy=head.base_fee is None)

    def _record(self, tx: PendingTx, fees: Fees, *, legacy: bool) -> PendingTx:
        price: dict[str, object] = {"gasPrice": fees.max_fee}
        if not legacy:
            price = {"type": 2, "maxFeePerGas": fees.max_fee, "maxPriorityFeePerGas": fees.tip}
        signed = self.wallet.sign(
            {
                "chainId": self.network.chain_id,
                "nonce": tx.nonce,
                "to": to_checksum_address(tx.to) if tx.to else b"",
                "value": tx.value,
                "data": tx.data,
                "gas": tx.gas,
                **price,
            }
        )
        attempt = Attempt(
            hash="0x" + bytes(signed.hash).hex(),
            raw=bytes(signed.raw_transaction),
            max_fee=fees.max_fee,
            tip=fees.tip,
            created=time.time(),
        )
        self.outbox.record(tx, attempt)
        return replace(tx, attempts=(*tx.attempts, attempt))
