"""What is known of the demo's job from its nodes' events. No I/O.

Every node tells what it sees on the chain, so most things are heard several times and count once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ONCE = frozenset(
    {
        "opened",
        "submission",
        "closed",
        "attestation",
        "post",
        "held_by_all",
        "final",
        "void",
        "convicted",
        "ended",
    }
)  # kinds that all nodes tell


@dataclass(kw_only=True)
class RoundProgress:
    """One round, in whichever of its openings."""

    number: int
    opened_at: float | None = None  # unix seconds
    posted_at: float | None = None
    submitted: int = 0
    attested: int = 0
    poster: str = ""
    state: str = "open"
    result: str = ""  # id of the result that stands
    cid: str = ""
    final_at: int | None = None
    accuracy: float | None = None


@dataclass(kw_only=True)
class DemoProgress:
    """The whole job."""

    names: Mapping[str, str]  # by address
    rounds: dict[int, RoundProgress] = field(default_factory=dict)
    activity: dict[str, str] = field(default_factory=dict)  # what each node does, by name
    convictions: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    updates: dict[int, list[str]] = field(default_factory=dict)  # CIDs by serial
    ended: bool = False
    _heard: set[tuple[object, ...]] = field(default_factory=set)

    def take(self, who: str, event: Mapping[str, Any]) -> str | None:
        """Note an event; returns a line where it is news."""
        kind = str(event["kind"])
        if kind in ONCE:
            key = (kind, event.get("serial"), event.get("id"), event.get("slot"), event.get("try"))
            if key in self._heard:
                return None
            self._heard.add(key)
        handler = _HANDLERS.get(kind)
        return handler(self, who, event) if handler else None

    def name(self, address: object) -> str:
        """An account's name, or its address."""
        return self.names.get(str(address).lower(), str(address))

    def round(self, event: Mapping[str, Any]) -> RoundProgress:
        """The round that an event is of."""
        number = int(event.get("round") or 0)
        return self.rounds.setdefault(number, RoundProgress(number=number))

    @property
    def last_final(self) -> int:
        """How many rounds are final."""
        return sum(1 for each in self.rounds.values() if each.state == "final")


def _opened(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    at = p.round(e)
    at.opened_at = at.opened_at if at.opened_at is not None and at.state == "void" else float(e["at"])
    at.submitted = at.attested = 0
    at.state = "training"
    return f"round {at.number} is open"


def _submission(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> None:
    p.round(e).submitted += 1
    p.updates.setdefault(int(e["serial"]), []).append(str(e["cid"]))


def _closed(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> None:
    p.round(e).state = "attesting"


def _attestation(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> None:
    p.round(e).attested += 1


def _post(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    at = p.round(e)
    at.poster, at.state = p.name(e["poster"]), "posted"
    at.result, at.cid, at.posted_at = str(e["id"]), str(e["cid"]), float(e["at"])
    return f"round {at.number}: {at.poster} posts a model of {len(e['included'])} updates"


def _held_by_all(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> None:
    at = p.round(e)
    at.final_at = int(e["final_at"])
    at.state = "held" if at.state != "final" else at.state


def _final(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    at = p.round(e)
    at.state = "final"
    return f"round {at.number} is final"


def _void(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    at = p.round(e)
    at.state, at.result, at.cid, at.final_at, at.accuracy = "void", "", "", None, None
    return f"round {at.number}: the result of {p.name(e['poster'])} is void: {e['cause']}"


def _convicted(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    at = p.round(e)
    p.convictions.append({**e, "round": at.number})
    return f"round {at.number}: {p.name(e['prover'])} convicts {p.name(e['poster'])} in transaction {e['tx']}"


def _training(p: DemoProgress, who: str, e: Mapping[str, Any]) -> None:
    p.activity[who] = f"trains for round {e.get('round')}"


def _progress(p: DemoProgress, who: str, e: Mapping[str, Any]) -> None:
    p.activity[who] = (
        f"trains for round {e.get('round')}: step {e['step']} of {e['steps']}, loss {e['loss']:.3f}"
    )


def _trained(p: DemoProgress, who: str, e: Mapping[str, Any]) -> None:
    p.activity[who] = f"trained for round {e.get('round')} in {e['seconds']:.1f} s, loss {e['loss']:.3f}"


def _rebuilt(p: DemoProgress, who: str, e: Mapping[str, Any]) -> str | None:
    p.activity[who] = f"rebuilt round {e.get('round')}: {e['verdict']}"
    if e["verdict"] == "right":
        return None
    return f"round {e.get('round')}: {who} finds the result {e['verdict']}: {e.get('why')}"


def _tx(p: DemoProgress, who: str, e: Mapping[str, Any]) -> None:
    p.activity[who] = f"{e['what']}, {int(e['gas_used']):,} gas"


def _problem(p: DemoProgress, who: str, e: Mapping[str, Any]) -> None:
    p.problems.append(f"{who}: {e.get('what')}: {e.get('message')}")


def _started(p: DemoProgress, who: str, _e: Mapping[str, Any]) -> str:
    p.activity[who] = "is up"
    return f"{who} is up"


def _ended(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    p.ended = True
    return f"the job is {'aborted' if e.get('aborted') else 'closed'}"


_HANDLERS = {
    "started": _started,
    "opened": _opened,
    "submission": _submission,
    "closed": _closed,
    "attestation": _attestation,
    "post": _post,
    "held_by_all": _held_by_all,
    "final": _final,
    "void": _void,
    "convicted": _convicted,
    "training": _training,
    "progress": _progress,
    "trained": _trained,
    "rebuilt": _rebuilt,
    "tx": _tx,
    "problem": _problem,
    "ended": _ended,
}
