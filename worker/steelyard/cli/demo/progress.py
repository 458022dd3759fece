"""The demo's job as its nodes' events show it. No I/O.

Every node reports what it sees on the chain, so most events arrive several times and count once.
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
        "threshold_held",
        "final",
        "void",
        "convicted",
        "ended",
    }
)  # kinds that all nodes report


@dataclass(kw_only=True)
class RoundProgress:
    """One round, in its latest opening."""

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
    activity: dict[str, str] = field(default_factory=dict)  # of each node, by name
    convictions: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    updates: dict[int, list[str]] = field(default_factory=dict)  # CIDs by serial
    ended: bool = False
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def apply(self, who: str, event: Mapping[str, Any]) -> str | None:
        """Apply an event; returns a line for people if it is new."""
        kind = str(event["kind"])
        if kind in ONCE:
            key = (kind, event.get("serial"), event.get("id"), event.get("slot"), event.get("try"))
            if key in self._seen:
                return None
            self._seen.add(key)
        handler = _HANDLERS.get(kind)
        return handler(self, who, event) if handler else None

    def name(self, address: object) -> str:
        """An account's name, or its address."""
        return self.names.get(str(address).lower(), str(address))

    def round(self, event: Mapping[str, Any]) -> RoundProgress:
        """The round of an event."""
        number = int(event.get("round") or 0)
        return self.rounds.setdefault(number, RoundProgress(number=number))

    @property
    def last_final(self) -> int:
        """Number of final rounds."""
        return sum(1 for each in self.rounds.values() if each.state == "final")


def _opened(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    round_ = p.round(e)
    round_.opened_at = (
        round_.opened_at if round_.opened_at is not None and round_.state == "void" else float(e["at"])
    )
    round_.submitted = round_.attested = 0
    round_.state = "training"
    return f"round {round_.number} is open"


def _submission(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> None:
    p.round(e).submitted += 1
    p.updates.setdefault(int(e["serial"]), []).append(str(e["cid"]))


def _closed(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> None:
    p.round(e).state = "attesting"


def _attestation(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> None:
    p.round(e).attested += 1


def _post(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    round_ = p.round(e)
    round_.poster, round_.state = p.name(e["poster"]), "posted"
    round_.result, round_.cid, round_.posted_at = str(e["id"]), str(e["cid"]), float(e["at"])
    return f"round {round_.number}: {round_.poster} posts a model of {len(e['included'])} updates"


def _threshold_held(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> None:
    round_ = p.round(e)
    round_.final_at = int(e["final_at"])
    round_.state = "held" if round_.state != "final" else round_.state


def _final(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    round_ = p.round(e)
    round_.state = "final"
    return f"round {round_.number} is final"


def _void(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    round_ = p.round(e)
    round_.state, round_.result, round_.cid, round_.final_at, round_.accuracy = "void", "", "", None, None
    return f"round {round_.number}: the result of {p.name(e['poster'])} is void: {e['cause']}"


def _convicted(p: DemoProgress, _who: str, e: Mapping[str, Any]) -> str:
    round_ = p.round(e)
    p.convictions.append({**e, "round": round_.number})
    prover, poster = p.name(e["prover"]), p.name(e["poster"])
    return f"round {round_.number}: {prover} convicts {poster} in transaction {e['tx']}"


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
    p.activity[who] = "is running"
    return f"{who} is running"


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
    "threshold_held": _threshold_held,
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
