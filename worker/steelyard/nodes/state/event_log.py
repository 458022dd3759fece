"""Serialisation of chain events for the journal."""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from typing import Any

import steelyard.chain.generated.events as chain_events
from steelyard.chain.types import Event
from steelyard.errors import JournalError

_KEYS = {"position": "at"}  # fields whose key in the journal is another
_NAMES = {key: name for name, key in _KEYS.items()}


def dump(event: Event) -> tuple[str, str]:
    """Class name and JSON of a typed event."""
    return type(event).__name__, json.dumps(_plain(event), separators=(",", ":"))


def load(name: str, body: str) -> Event:
    """The event that `dump` wrote. Raises JournalError for an event that this version does not know."""
    kind = getattr(chain_events, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Event)):
        raise JournalError(
            f"the journal contains an unknown event {name!r}",
            remedy="another version wrote it; delete the journal, the chain is read again",
        )
    event = _typed(kind, json.loads(body))
    if not isinstance(event, Event):
        raise TypeError(name)
    return event


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        names = [item.name for item in dataclasses.fields(value)]
        return {_KEYS.get(name, name): _plain(getattr(value, name)) for name in names}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _typed(kind: Any, value: Any) -> Any:
    if kind is bytes:
        return bytes.fromhex(value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        named = {_NAMES.get(key, key): item for key, item in value.items()}
        return kind(**{name: _typed(hints[name], item) for name, item in named.items()})
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        return tuple(_typed(inner, item) for item in value)
    return value
