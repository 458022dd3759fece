"""Which contract stands at which address: logs become events, revert bytes become errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from steelyard.chain.codec import Interface, snake
from steelyard.chain.reverts import Reverts
from steelyard.chain.types import Event, LogPosition, RawEvent
from steelyard.errors import ChainError


class LogDecoder:
    """Interfaces by address, and the dataclass of each event that has one."""

    def __init__(self, kinds: Mapping[tuple[str, str], type[Event]] | None = None) -> None:
        self.reverts = Reverts()
        self._interfaces: dict[str, Interface] = {}
        self._kinds = dict(kinds or {})

    @property
    def addresses(self) -> list[str]:
        """Every address whose logs can be decoded."""
        return list(self._interfaces)

    def add(self, address: str, interface: Interface) -> None:
        """Decode logs of `address`, and errors from anywhere, by `interface`."""
        self._interfaces[to_checksum_address(address)] = interface
        self.reverts.learn(interface.errors.values())

    def learn(self, interface: Interface) -> None:
        """Know the errors of a contract that has no known address."""
        self.reverts.learn(interface.errors.values())

    def events(self, logs: Iterable[Mapping[str, Any]]) -> tuple[Event, ...]:
        """Decoded logs in order of (block, index); those of unknown contracts or events are left out."""
        found = [event for raw in logs if (event := self.event(raw)) is not None]
        return tuple(sorted(found, key=lambda event: (event.at.block, event.at.index)))

    def event(self, raw: Mapping[str, Any]) -> Event | None:
        """One log as the node gives it, or None where it is not known.  Raises ChainError."""
        try:
            return self._decode(raw)
        except (AttributeError, KeyError, TypeError, ValueError, DecodingError) as error:
            raise ChainError(
                f"a log of {raw.get('address')} in block {raw.get('blockNumber')} does not decode: {error!r}",
                remedy="update Steelyard, or check the deployment's addresses",
            ) from error

    def _decode(self, raw: Mapping[str, Any]) -> Event | None:
        address = to_checksum_address(str(raw["address"]))
        interface = self._interfaces.get(address)
        topics = [bytes.fromhex(topic[2:]) for topic in raw["topics"]]
        signature = interface.events.get(topics[0]) if interface and topics else None
        if interface is None or signature is None:
            return None
        at = LogPosition(
            block=int(raw["blockNumber"], 16),
            block_hash=str(raw["blockHash"]),
            transaction=str(raw["transactionHash"]),
            index=int(raw["logIndex"], 16),
            address=address,
        )
        fields = signature.decode_log(topics, bytes.fromhex(raw["data"][2:]))
        kind = self._kinds.get((interface.name, signature.name))
        if kind is None:
            return RawEvent(at=at, contract=interface.name, name=signature.name, fields=fields)
        return kind(at=at, **{snake(name): value for name, value in fields.items()})
