"""The event stream of a node, for logs (`--log-json`), live tables and programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Json = str | int | float | bool | None | list[int] | list[str]


@dataclass(frozen=True, kw_only=True)
class NodeEvent:
    """An event of a node or of its job.

    Hashes and ids are 0x-hex, CIDs strings, bitmaps lists of slots, amounts wei as text.
    """

    kind: str
    at: float = field(default_factory=time.time)  # unix seconds
    account: str  # identity of the reporting node
    job: int
    serial: int | None = None
    round: int | None = None
    fields: Mapping[str, Json] = field(default_factory=dict)

    def json(self) -> dict[str, Json]:
        """A flat object for one line of JSON."""
        flat: dict[str, Json] = {"kind": self.kind, "at": round(self.at, 3), "account": self.account}
        flat["job"] = self.job
        if self.serial is not None:
            flat["serial"] = self.serial
        if self.round is not None:
            flat["round"] = self.round
        return {**flat, **self.fields}


Listener = Callable[[NodeEvent], None]


class Reporter:
    """Passes the events of one node to its listener."""

    def __init__(self, account: str, job: int, listener: Listener | None) -> None:
        self._account, self._job, self._listener = account, job, listener

    def emit(
        self, kind: str, *, serial: int | None = None, round_: int | None = None, **fields: Json
    ) -> None:
        """Report an event. An exception of the listener ends the node."""
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
    """Slots of a bitmap, lowest first."""
    return [slot for slot in range(bitmap.bit_length()) if bitmap >> slot & 1]
