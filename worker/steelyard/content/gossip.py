"""The Gossip protocol: short public messages between stores (hints), over HTTP or pub/sub.

A message may arrive late, twice or never; nothing relies on its arrival.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol, TypeAlias

MAX_MESSAGE = 1000  # bytes


class MessageVerdict(Enum):
    """The receiver's verdict on a message."""

    TAKEN = "taken"
    PASSED_OVER = "passed over"  # known, expired, or over the rate handled here: no penalty
    REFUSED = "refused"  # malformed, forged or over the rate limit: the sender is disconnected


Handler: TypeAlias = Callable[[bytes], Awaitable[MessageVerdict]]


class Gossip(Protocol):
    """A channel for messages. No method raises for a failure of the network or of a peer."""

    def subscribe(self, topic: str, handler: Handler) -> None:
        """Call `handler` with every message of a topic from now on."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Send a message to others, within a few seconds; delivery is not guaranteed."""

    async def close(self) -> None:
        """Stop receiving and sending."""
