"""Finds and decodes receipts, and the reason if a mined transaction reverted."""

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
    """Reads the receipts of one key's transactions and records them in the outbox."""

    rpc: Rpc
    decoder: LogDecoder
    outbox: Outbox
    address: str
    on_step: Callable[[str], None]

    async def settled(self, tx: PendingTx) -> Receipt | None:
        """The receipt of the attempt that was mined; None if there is none yet.

        Raises Reverted if the transaction failed, with the reason found by replaying it.
        """
        hashes = [attempt.hash for attempt in reversed(tx.attempts)]
        found = await self.rpc.batch([("eth_getTransactionReceipt", [each]) for each in hashes])
        for raw in found:
            if raw is not None:
                return await self._record(tx, raw)
        return None

    async def _record(self, tx: PendingTx, raw: dict[str, Any]) -> Receipt:
        gas_used, price = int(raw["gasUsed"], 16), int(raw.get("effectiveGasPrice", "0x0"), 16)
        data_fee = int(raw.get("l1Fee") or "0x0", 16)  # rollups charge for their L1 data
        receipt = Receipt(
            intent=tx.name.partition("/")[2],
            hash=str(raw["transactionHash"]),
            block=int(raw["blockNumber"], 16),
            block_hash=str(raw["blockHash"]),
            to=tx.to,
            nonce=tx.nonce,
            gas_used=gas_used,
            gas_price=price,
            data_fee=data_fee,
            created=to_checksum_address(raw["contractAddress"]) if raw.get("contractAddress") else None,
            events=self.decoder.events(raw["logs"]),
            description=tx.description,
        )
        self.on_step("tx.mined")
        failed = int(raw["status"], 16) == 0
        spent = receipt.cost_wei if failed else receipt.cost_wei + tx.value
        self.outbox.settle(tx.name, State.FAILED if failed else State.MINED, spent)
        self.on_step("tx.settled")
        if failed:
            raise await self._revert_reason(tx, receipt)
        return receipt

    async def _revert_reason(self, tx: PendingTx, receipt: Receipt) -> Reverted:
        action = f"{tx.description} (transaction {receipt.hash}, block {receipt.block})"
        if receipt.gas_used >= tx.gas * 0.98:
            return Reverted(
                f"{action} ran out of gas: {receipt.gas_used} of {tx.gas}",
                name="OutOfGas",
                remedy="try again",
            )
        call = Call(to=tx.to, data=tx.data, value=tx.value, decode=lambda _: None)
        try:
            await self.rpc.call("eth_call", call.fields(self.address), hex(receipt.block))
        except RpcRefused as error:
            if is_revert(error):
                return self.decoder.reverts.explain(action, revert_data(error), error.reason)
        return Reverted(f"{action} reverted, but a replay now succeeds", remedy="try again")
