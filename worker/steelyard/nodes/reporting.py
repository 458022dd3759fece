"""What a node says of itself and of its job: one stream for logs (`--log-json`) and live tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Json = str | int | float | bool | None | list[int] | list[str]


@dataclass(frozen=True, kw_only=True)
class NodeEvent:
    """Something that happened.

    Hashes and ids are 0x-hex, CIDs strings, bitmaps lists of slots, money wei as text.
    """

    kind: str
    at: float = field(default_factory=time.time)  # unix seconds
    account: str  # identity of the node that says it
    job: int
    serial: int | None = None
    round: int | None = None
    fields: Mapping[str, Json] = field(default_factory=dict)

    def json(self) -> dict[str, Json]:
        """One flat object, ready for a line of JSON."""
        flat: dict[str, Json] = {"kind": self.kind, "at": round(self.at, 3), "account": self.account}
        flat["job"] = self.job
        if self.serial is not None:
            flat["serial"] = self.serial
        if self.round is not None:
            flat["round"] = self.round
        return {**flat, **self.fields}


Listener = Callable[[NodeEvent], None]


class Reporter:
    """Hands events of one node to a listener."""

    def __init__(self, account: str, job: int, listener: Listener | None) -> None:
        self._account, self._job, self._listener = account, job, listener

    def say(self, kind: str, *, serial: int | None = None, round_: int | None = None, **fields: Json) -> None:
        """Report something. A listener that raises ends the node: it is the program's own code."""
        if self._listener is not None:
            self._listener(
                NodeEvent(
                    kind=kind,
                    account=self._account,
                    job=self._job,
                    serial=serial,
                    round=round_,
                    fields=fields,
                )
            )


def slots_of(bitmap: int) -> list[int]:
    """Slots in a bitmap, lowest first."""
    return [slot for slot in range(bitmap.bit_length()) if bitmap >> slot & 1]
