"""Short public messages between stores: hints. They may come late, twice or never; nothing relies on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol, TypeAlias

MAX_MESSAGE = 1000  # bytes


class MessageVerdict(Enum):
    """The receiver's verdict on a message."""

    TAKEN = "taken"
    PASSED_OVER = "passed over"  # known, expired, or more than there is time for: nobody's fault
    REFUSED = "refused"  # malformed, forged or one of a flood: its sender loses the connection


Handler: TypeAlias = Callable[[bytes], Awaitable[MessageVerdict]]


class Gossip(Protocol):
    """One way for messages. Nothing here raises for what a network or a peer does."""

    def subscribe(self, topic: str, take: Handler) -> None:
        """Hand every message of a topic to `take` from now on."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Tell others, as far as that goes within a few seconds."""

    async def close(self) -> None:
        """Handler and tell no more."""
