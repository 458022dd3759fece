"""Decodes logs to events and revert data to errors, by the interface at each address."""

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
    """Interfaces by address, and the dataclasses of typed events."""

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
        self.reverts.add(interface.errors.values())

    def events(self, logs: Iterable[Mapping[str, Any]]) -> tuple[Event, ...]:
        """Decoded logs in order of (block, index), without those of unknown contracts or events."""
        found = [event for raw in logs if (event := self.event(raw)) is not None]
        return tuple(sorted(found, key=lambda event: (event.position.block, event.position.index)))

    def event(self, raw: Mapping[str, Any]) -> Event | None:
        """One log of JSON-RPC, or None if its contract or event is unknown.  Raises ChainError."""
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
        position = LogPosition(
            block=int(raw["blockNumber"], 16),
            block_hash=str(raw["blockHash"]),
            transaction=str(raw["transactionHash"]),
            index=int(raw["logIndex"], 16),
            address=address,
        )
        fields = signature.decode_log(topics, bytes.fromhex(raw["data"][2:]))
        kind = self._kinds.get((interface.name, signature.name))
        if kind is None:
            return RawEvent(position=position, contract=interface.name, name=signature.name, fields=fields)
        return kind(position=position, **{snake(name): value for name, value in fields.items()})
