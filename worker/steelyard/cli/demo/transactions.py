"""Every transaction of a development chain: sender, function, gas and round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from steelyard.chain.client import ChainClient
from steelyard.chain.codec import Interface
from steelyard.chain.networks import Deployment

ROUND_OF = {  # the event with the round of a transaction
    "submit": "Submitted",
    "attest": "Attested",
    "post": "Posted",
    "hold": "Held",
    "convict": "Convicted",
    "openRound": "RoundOpened",
    "retry": "Retried",
    "reopen": "Reopened",
}
BATCH = 50  # requests in one round trip


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """One mined transaction."""

    hash: str
    block: int
    sender: str
    what: str  # function name, or "deploy"
    round: int | None
    gas_used: int
    cost_wei: int
    succeeded: bool


async def transactions(
    client: ChainClient, deployment: Deployment, rounds: Mapping[int, int], head: int
) -> list[Transaction]:
    """All of them up to block `head`, in order.  rounds: round numbers by serial."""
    blocks = await _many(client, [("eth_getBlockByNumber", [hex(n), True]) for n in range(head + 1)])
    raw = [tx for block in blocks for tx in block["transactions"]]
    receipts = await _many(client, [("eth_getTransactionReceipt", [tx["hash"]]) for tx in raw])
    functions = _functions(deployment)
    return [_read(client, tx, receipt, functions, rounds) for tx, receipt in zip(raw, receipts, strict=True)]


async def _many(client: ChainClient, requests: list[tuple[str, list[Any]]]) -> list[Any]:
    found: list[Any] = []
    for first in range(0, len(requests), BATCH):
        found += await client.rpc.batch(requests[first : first + BATCH])
    return found


def _functions(deployment: Deployment) -> dict[tuple[str, bytes], str]:
    """Function names by address and selector."""
    return {
        (address.lower(), signature.selector): name
        for contract, address in deployment.contracts.items()
        for name, signature in Interface.load(contract).functions.items()
    }


def _read(
    client: ChainClient,
    tx: Mapping[str, Any],
    receipt: Mapping[str, Any],
    functions: Mapping[tuple[str, bytes], str],
    rounds: Mapping[int, int],
) -> Transaction:
    gas = int(receipt["gasUsed"], 16)
    price = int(receipt.get("effectiveGasPrice") or tx["gasPrice"], 16)
    data = bytes.fromhex(str(tx["input"]).removeprefix("0x"))
    target = str(tx["to"] or "").lower()
    what = functions.get((target, data[:4]), "transfer") if target else "deploy"
    serials = [
        (type(event).__name__, getattr(event, "serial", 0))
        for event in client.decoder.events(receipt["logs"])
    ]
    known = [rounds[serial] for name, serial in serials if serial in rounds and name == ROUND_OF.get(what)]
    return Transaction(
        hash=str(tx["hash"]),
        block=int(tx["blockNumber"], 16),
        sender=to_checksum_address(tx["from"]),
        what=what,
        round=known[0] if known else None,
        gas_used=gas,
        cost_wei=gas * price,
        succeeded=int(receipt["status"], 16) == 1,
    )
