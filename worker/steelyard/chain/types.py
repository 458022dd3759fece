"""Frozen types that the chain layer returns: blocks, receipts, simulations, events and their positions."""

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
        """Parse a header from JSON-RPC.  Raises ChainError if it is malformed."""
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
    """The position of a log. Events are ordered by (block, index)."""

    block: int
    block_hash: str
    transaction: str  # hash
    index: int  # in the block
    address: str  # of the contract


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base class of the typed events in `events`."""

    position: LogPosition = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class RawEvent(Event):
    """An event without a dataclass: its name, and its fields by name."""

    contract: str
    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A transaction that was mined and did not revert. Amounts in wei."""

    intent: str
    hash: str
    block: int
    block_hash: str
    to: str
    nonce: int
    gas_used: int
    gas_price: int
    data_fee: int = 0  # wei; charged by rollups for L1 data
    created: str | None = None  # the contract that the transaction deployed
    events: tuple[Event, ...] = ()
    description: str = ""  # `Contract.function`

    @property
    def cost_wei(self) -> int:
        """The fees that the sender paid, without the value."""
        return self.gas_used * self.gas_price + self.data_fee

    def all(self, kind: type[E]) -> list[E]:
        """The events of one class, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[E]) -> E:
        """The only event of its class.  Raises LookupError if there is none, or more than one."""
        found = self.all(kind)
        if len(found) != 1:
            raise LookupError(f"{self.hash} emitted {len(found)} {kind.__name__}, not one")
        return found[0]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The estimated gas and cost of a transaction. Fees in wei per gas, `value` in wei."""

    gas: int
    gas_limit: int
    base_fee: int
    max_fee: int
    tip: int
    value: int

    @property
    def cost_wei(self) -> int:
        """Cost in wei at the current base fee, with the value."""
        return self.gas * min(self.base_fee + self.tip, self.max_fee) + self.value

    @property
    def most_wei(self) -> int:
        """Cost in wei at the gas limit and the highest fee, with the value."""
        return self.gas_limit * self.max_fee + self.value
