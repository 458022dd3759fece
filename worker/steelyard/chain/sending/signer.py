"""From a call to signed bytes on disk: nonce, fees, ceilings, signature, journal. Nothing is sent here."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from eth_utils.address import to_checksum_address

from steelyard.chain.calls import Call
from steelyard.chain.networks import Network
from steelyard.chain.sending.fees import Fees, FeeSource, bumped, check_spend
from steelyard.chain.sending.outbox import Attempt, Outbox, PendingTx, State
from steelyard.chain.wallets import Wallet

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Signs for one key on one network. The caller holds the key's lock."""

    wallet: Wallet
    network: Network
    journal: Outbox
    fees: FeeSource

    async def first(self, call: Call[object], *, name: str, nonce: int, gas: int) -> PendingTx:
        """Sign and journal the first attempt of `name` at `nonce`.  Raises SpendLimit."""
        fees, head = await self.fees.quote()
        cost = gas * fees.max_fee + call.value
        limit = round(self.network.max_spend_per_day * 10**18)
        check_spend(self.journal.spent_since(time.time() - DAY_S) if limit else 0, cost, limit)
        intent = PendingTx(
            name=name,
            nonce=nonce,
            to=call.to,
            data=call.data,
            value=call.value,
            gas=gas,
            what=call.describe(),
            state=State.SIGNED,
            cost=cost,
        )
        return self._record(intent, fees, legacy=head.base_fee is None)

    async def replacement(self, intent: PendingTx) -> PendingTx | None:
        """Sign and journal a better paid attempt at the same nonce; None where the ceilings forbid it."""
        now, head = await self.fees.quote()
        last = intent.attempts[-1]
        fees = bumped(Fees(max_fee=last.max_fee, tip=last.tip), now, self.fees.ceiling)
        if fees is None:
            return None
        cost = intent.gas * fees.max_fee + intent.value
        limit = round(self.network.max_spend_per_day * 10**18)
        if limit:
            check_spend(self.journal.spent_since(time.time() - DAY_S), cost - intent.cost, limit)
        return self._record(replace(intent, cost=cost), fees, legacy=head.base_fee is None)

    def _record(self, intent: PendingTx, fees: Fees, *, legacy: bool) -> PendingTx:
        price: dict[str, object] = {"gasPrice": fees.max_fee}
        if not legacy:
            price = {"type": 2, "maxFeePerGas": fees.max_fee, "maxPriorityFeePerGas": fees.tip}
        signed = self.wallet.sign(
            {
                "chainId": self.network.chain_id,
                "nonce": intent.nonce,
                "to": to_checksum_address(intent.to) if intent.to else b"",
                "value": intent.value,
                "data": intent.data,
                "gas": intent.gas,
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
        self.journal.record(intent, attempt)
        return replace(intent, attempts=(*intent.attempts, attempt))
