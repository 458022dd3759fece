"""Receipts: finding them, decoding them, and why a mined transaction reverted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from steelyard.chain.calls import Call
from steelyard.chain.decoder import LogDecoder
from steelyard.chain.reverts import is_revert, revert_data
from steelyard.chain.rpc import Rpc, RpcRefused
from steelyard.chain.sending.outbox import Outbox, PendingTx, State
from steelyard.chain.types import Receipt
from steelyard.errors import Reverted


@dataclass(frozen=True, kw_only=True)
class Receipts:
    """Reads receipts of one key's intents and settles them in the journal."""

    rpc: Rpc
    registry: LogDecoder
    journal: Outbox
    address: str
    on_step: Callable[[str], None]

    async def settled(self, entry: PendingTx) -> Receipt | None:
        """The receipt of whichever attempt was mined, newest first; None while there is none.

        Raises Reverted, with the reason found by replaying, where the transaction failed.
        """
        hashes = [attempt.hash for attempt in reversed(entry.attempts)]
        found = await self.rpc.batch([("eth_getTransactionReceipt", [tx]) for tx in hashes])
        for raw in found:
            if raw is not None:
                return await self._settle(entry, raw)
        return None

    async def _settle(self, entry: PendingTx, raw: dict[str, Any]) -> Receipt:
        gas_used, price = int(raw["gasUsed"], 16), int(raw.get("effectiveGasPrice", "0x0"), 16)
        data_fee = int(raw.get("l1Fee") or "0x0", 16)  # rollups charge for their bytes on the layer below
        receipt = Receipt(
            intent=entry.name.partition("/")[2],
            hash=str(raw["transactionHash"]),
            block=int(raw["blockNumber"], 16),
            block_hash=str(raw["blockHash"]),
            to=entry.to,
            nonce=entry.nonce,
            gas_used=gas_used,
            gas_price=price,
            data_fee=data_fee,
            created=to_checksum_address(raw["contractAddress"]) if raw.get("contractAddress") else None,
            events=self.registry.events(raw["logs"]),
            what=entry.what,
        )
        self.on_step("tx.mined")
        failed = int(raw["status"], 16) == 0
        spent = receipt.cost_wei if failed else receipt.cost_wei + entry.value
        self.journal.settle(entry.name, State.FAILED if failed else State.MINED, spent)
        self.on_step("tx.settled")
        if failed:
            raise await self._reason(entry, receipt)
        return receipt

    async def _reason(self, entry: PendingTx, receipt: Receipt) -> Reverted:
        what = f"{entry.what} (transaction {receipt.hash}, block {receipt.block})"
        if receipt.gas_used >= entry.gas * 0.98:
            return Reverted(
                f"{what} ran out of gas: {receipt.gas_used} of {entry.gas}",
                name="OutOfGas",
                remedy="try again",
            )
        call = Call(to=entry.to, data=entry.data, value=entry.value, decode=lambda _: None)
        try:
            await self.rpc.call("eth_call", call.fields(self.address), hex(receipt.block))
        except RpcRefused as error:
            if is_revert(error):
                return self.registry.reverts.explain(what, revert_data(error), error.reason)
        return Reverted(f"{what} reverted, though it would not now", remedy="try again")
