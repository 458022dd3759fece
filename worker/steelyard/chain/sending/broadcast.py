"""Handing signed bytes to a node, and what its answer means."""

from __future__ import annotations

from enum import Enum, auto

from steelyard.chain.rpc import Rpc, RpcRefused


class BroadcastAnswer(Enum):
    """What became of a broadcast."""

    TAKEN = auto()  # in the pool, now or already
    NONCE_USED = auto()  # a mined transaction has this nonce: ours, or another
    UNDERPRICED = auto()  # the pool holds a better paid one with this nonce, or the fee is too low for now
    NO_FUNDS = auto()
    REFUSED = auto()  # never valid: it was not kept


_SIGNS: tuple[tuple[BroadcastAnswer, tuple[str, ...]], ...] = (
    (BroadcastAnswer.TAKEN, ("already known", "known transaction", "already imported", "already exists")),
    (BroadcastAnswer.NONCE_USED, ("nonce too low", "nonce is too low", "correct nonce", "old nonce", "already used")),
    (BroadcastAnswer.UNDERPRICED, ("underpriced", "less than block base fee", "fee too low", "below the base fee",
                          "less than the current block's base", "gas price too low")),
    (BroadcastAnswer.NO_FUNDS, ("insufficient funds", "doesn't have enough funds", "insufficient balance")),
)  # fmt: skip


async def broadcast(rpc: Rpc, raw: bytes) -> tuple[BroadcastAnswer, str]:
    """Send the bytes; the answer and the node's words. Sending the same bytes twice does no harm.

    Raises Unreachable.
    """
    try:
        await rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
    except RpcRefused as error:
        return classify(error.reason), error.reason
    return BroadcastAnswer.TAKEN, ""


def classify(reason: str) -> BroadcastAnswer:
    """The meaning of a node's refusal; anvil, Ganache, geth and the big RPC services agree on little."""
    said = reason.lower()
    for answer, words in _SIGNS:
        if any(word in said for word in words):
            return answer
    return BroadcastAnswer.REFUSED
