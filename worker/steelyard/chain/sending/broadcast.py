"""Broadcasts signed transactions and classifies the node's answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from steelyard.chain.rpc import Rpc, RpcRefused
from steelyard.chain.sending.outbox import Outbox, PendingTx, State
from steelyard.chain.units import format_ether
from steelyard.errors import ChainError, InsufficientFunds

log = logging.getLogger(__name__)


class BroadcastAnswer(Enum):
    """The result of a broadcast."""

    ACCEPTED = auto()  # in the pool, now or already
    NONCE_USED = auto()  # a mined transaction has this nonce: this one, or another
    UNDERPRICED = auto()  # the pool has a better paid one with this nonce, or the fee is too low for now
    NO_FUNDS = auto()
    REFUSED = auto()  # invalid: the node did not keep it


_PHRASES: tuple[tuple[BroadcastAnswer, tuple[str, ...]], ...] = (
    (BroadcastAnswer.ACCEPTED, ("already known", "known transaction", "already imported", "already exists")),
    (
        BroadcastAnswer.NONCE_USED,
        ("nonce too low", "nonce is too low", "correct nonce", "old nonce", "already used"),
    ),
    (
        BroadcastAnswer.UNDERPRICED,
        (
            "underpriced",
            "less than block base fee",
            "fee too low",
            "below the base fee",
            "less than the current block's base",
            "gas price too low",
        ),
    ),
    (BroadcastAnswer.NO_FUNDS, ("insufficient funds", "doesn't have enough funds", "insufficient balance")),
)


async def broadcast(rpc: Rpc, raw: bytes) -> tuple[BroadcastAnswer, str]:
    """Send the bytes; returns the answer's meaning and text. Sending the same bytes twice is harmless.

    Raises Unreachable.
    """
    try:
        await rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
    except RpcRefused as error:
        return classify(error.reason), error.reason
    return BroadcastAnswer.ACCEPTED, ""


def classify(reason: str) -> BroadcastAnswer:
    """The meaning of a refusal, whose wording differs between anvil, Ganache, geth and the RPC services."""
    text = reason.lower()
    for answer, phrases in _PHRASES:
        if any(phrase in text for phrase in phrases):
            return answer
    return BroadcastAnswer.REFUSED


@dataclass(frozen=True, kw_only=True)
class Broadcaster:
    """Broadcasts the outbox's transactions of one key. The caller holds the key's lock."""

    rpc: Rpc
    address: str
    outbox: Outbox
    on_step: Callable[[str], None]

    async def send(self, tx: PendingTx) -> None:
        """Broadcast the latest attempt and record that it was sent.

        Raises InsufficientFunds or ChainError if the first broadcast of a transaction is refused; it is void
        then. Raises Unreachable.
        """
        answer, reason = await broadcast(self.rpc, tx.attempts[-1].raw)
        if answer is BroadcastAnswer.ACCEPTED:
            self.on_step("tx.broadcast")
            if tx.state is not State.SENT:
                self.outbox.settle(tx.name, State.SENT)
                self.on_step("tx.sent")
        elif answer in (BroadcastAnswer.NONCE_USED, BroadcastAnswer.UNDERPRICED):
            log.info("%s: %s", tx.description, reason)  # the watcher finds out which
        elif tx.state is State.SIGNED and len(tx.attempts) == 1:
            self.outbox.settle(tx.name, State.VOID)
            raise await self._refusal(tx, answer, reason)
        else:
            log.warning("%s, sent before, is now refused: %s", tx.description, reason)

    async def _refusal(self, tx: PendingTx, answer: BroadcastAnswer, reason: str) -> ChainError:
        if answer is not BroadcastAnswer.NO_FUNDS:
            return ChainError(f"the node refused the transaction {tx.description}: {reason}")
        balance = await self.rpc.number("eth_getBalance", self.address, "latest")
        return InsufficientFunds(
            f"{tx.description} may cost {format_ether(tx.cost)}, and {self.address} has "
            f"{format_ether(balance)}",
            remedy="send it some ether",
        )
