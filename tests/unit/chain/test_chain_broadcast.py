"""The answers of nodes to a broadcast."""

from __future__ import annotations

import pytest

from steelyard.chain.sending.broadcast import BroadcastAnswer, classify


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("already known", BroadcastAnswer.ACCEPTED),
        ("transaction already imported", BroadcastAnswer.ACCEPTED),
        ("nonce too low: next nonce 5, tx nonce 4", BroadcastAnswer.NONCE_USED),
        (
            "the tx doesn't have the correct nonce. account has nonce of: 5 tx has nonce of: 4",
            BroadcastAnswer.NONCE_USED,
        ),
        ("replacement transaction underpriced", BroadcastAnswer.UNDERPRICED),
        ("max fee per gas less than block base fee", BroadcastAnswer.UNDERPRICED),
        ("insufficient funds for gas * price + value: balance 0", BroadcastAnswer.NO_FUNDS),
        ("Insufficient funds for gas * price + value", BroadcastAnswer.NO_FUNDS),
        ("intrinsic gas too low", BroadcastAnswer.REFUSED),
        ("invalid sender", BroadcastAnswer.REFUSED),
    ],
)
def test_what_nodes_say_of_a_broadcast_is_understood(said: str, answer: BroadcastAnswer) -> None:
    assert classify(said) is answer
