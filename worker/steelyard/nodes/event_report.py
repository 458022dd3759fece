"""Reports chain events of a job in a node's event stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from steelyard.chain.generated import events as ev
from steelyard.chain.types import Event
from steelyard.nodes.reporting import Json, Reporter, slots_of
from steelyard.nodes.state.view import View, cid_on_chain

CAUSES = ("not held", "convicted", "parent void")


def report_event(report: Reporter, view: View, event: Event) -> None:
    """Report an event of the node's job. It is already applied to `view`."""
    formatter = _FORMATTERS.get(type(event).__name__)
    if formatter is None:
        return
    kind, format_fields = formatter
    serial = getattr(event, "serial", None)
    opening = view.openings.get(serial) if serial is not None else None
    number = opening.number if opening else None
    fields = format_fields(event)
    if isinstance(event, ev.Attested) and opening is not None and event.slot in opening.submissions:
        fields["worker"] = opening.submissions[event.slot].worker
    report.emit(kind, serial=serial, round_=number, block=event.position.block, **fields)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _opened(event: ev.RoundOpened) -> dict[str, Json]:
    return {
        "parent": _hex(event.parent),
        "members": slots_of(event.members),
        "awaited": event.awaited,
        "submit_by": event.submit_by,
    }


def _submitted(event: ev.Submitted) -> dict[str, Json]:
    return {
        "worker": event.worker,
        "slot": event.slot,
        "weight": event.weight,
        "cid": str(cid_on_chain(event.codec, event.digest)),
    }


def _attested(event: ev.Attested) -> dict[str, Json]:
    return {
        "slot": event.slot,
        "holds": slots_of(event.bitmap),
        "try": event.tries,
    }


def _posted(event: ev.Posted) -> dict[str, Json]:
    return {
        "id": _hex(event.id),
        "poster": event.result.poster,
        "included": slots_of(event.result.included),
        "state_root": _hex(event.result.state_root),
        "cid": str(cid_on_chain(event.result.codec, event.result.digest)),
        "hold_by": event.hold_by,
    }


def _void(event: ev.ResultVoid) -> dict[str, Json]:
    return {"id": _hex(event.id), "poster": event.poster, "cause": CAUSES[event.cause]}


def _convicted(event: ev.Convicted) -> dict[str, Json]:
    return {
        "id": _hex(event.id),
        "poster": event.poster,
        "prover": event.prover,
        "rewarded": event.rewarded,
        "tx": event.position.transaction,
    }


def _malformed(event: ev.UpdateMalformed) -> dict[str, Json]:
    return {
        "worker": event.worker,
        "slot": event.slot,
        "prover": event.prover,
        "tx": event.position.transaction,
    }


_Fields = Callable[[Any], dict[str, Json]]
_FORMATTERS: dict[str, tuple[str, _Fields]] = {
    "RoundOpened": ("opened", _opened),
    "Submitted": ("submission", _submitted),
    "SubmissionsClosed": ("closed", lambda _: {}),
    "Attested": ("attestation", _attested),
    "Posted": ("post", _posted),
    "Held": ("held", lambda e: {"id": _hex(e.id), "worker": e.worker, "slot": e.slot}),
    "ThresholdHeld": ("threshold_held", lambda e: {"id": _hex(e.id), "final_at": e.final_at}),
    "Final": ("final", lambda e: {"id": _hex(e.id)}),
    "ResultVoid": ("void", _void),
    "OpeningVoid": ("opening_void", lambda _: {}),
    "Convicted": ("convicted", _convicted),
    "UpdateMalformed": ("malformed", _malformed),
    "Retried": ("retried", lambda e: {"try": e.tries, "committee": slots_of(e.committee)}),
    "Reopened": ("reopened", lambda e: {"failures": e.failures}),
    "JobStopped": ("stopped", lambda _: {}),
    "JobEnded": ("ended", lambda e: {"aborted": e.aborted, "rounds": e.final_rounds}),
}
