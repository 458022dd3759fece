"""What the chain layer hands out: blocks, receipts, simulations, events and where they stand. All frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from steelyard.errors import ChainError

ZERO_ADDRESS = "0x" + "00" * 20
"""The address that stands for nobody."""

E = TypeVar("E", bound="Event")


@dataclass(frozen=True, kw_only=True)
class BlockHeader:
    """A block's header. `timestamp` in unix seconds, `base_fee` in wei (None on chains without EIP-1559)."""

    number: int
    hash: str
    parent: str
    timestamp: int
    base_fee: int | None
    gas_limit: int

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> BlockHeader:
        """A header as the node gives it.  Raises ChainError where it is malformed."""
        try:
            base_fee = raw.get("baseFeePerGas")
            return cls(
                number=int(raw["number"], 16),
                hash=str(raw["hash"]),
                parent=str(raw["parentHash"]),
                timestamp=int(raw["timestamp"], 16),
                base_fee=None if base_fee is None else int(base_fee, 16),
                gas_limit=int(raw["gasLimit"], 16),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ChainError(
                f"the node gave a malformed block: {error!r}", remedy="use another RPC"
            ) from error


@dataclass(frozen=True, kw_only=True)
class LogPosition:
    """Where an event stands. Events are ordered by (block, index)."""

    block: int
    block_hash: str
    transaction: str
    index: int
    address: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """Root of the typed events in `events`."""

    at: LogPosition = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class RawEvent(Event):
    """An event that has no dataclass of its own: its name and fields by name."""

    contract: str
    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A transaction that was mined and did not revert. Money in wei."""

    intent: str
    hash: str
    block: int
    block_hash: str
    to: str
    nonce: int
    gas_used: int
    gas_price: int
    data_fee: int = 0  # wei, what a rollup charges beside the gas
    created: str | None = None  # the contract that the transaction deployed
    events: tuple[Event, ...] = ()
    what: str = ""

    @property
    def cost_wei(self) -> int:
        """Everything that the sender paid, beside the value."""
        return self.gas_used * self.gas_price + self.data_fee

    def all(self, kind: type[E]) -> list[E]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[E]) -> E:
        """The only event of its kind.  Raises LookupError where there is none, or more than one."""
        found = self.all(kind)
        if len(found) != 1:
            raise LookupError(f"{self.hash} emitted {len(found)} {kind.__name__}, not one")
        return found[0]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What a transaction would do and cost now.

    `cost_wei` is at the present base fee, `most_wei` at the fee ceiling.
    """

    gas: int
    gas_limit: int
    base_fee: int
    max_fee: int
    tip: int
    value: int

    @property
    def cost_wei(self) -> int:
        """At the present base fee, with the value."""
        return self.gas * min(self.base_fee + self.tip, self.max_fee) + self.value

    @property
    def most_wei(self) -> int:
        """At the fee ceiling, with the value."""
        return self.gas_limit * self.max_fee + self.value
