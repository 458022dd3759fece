"""Folds a job's events into a `View`, one function per event. After a rollback the log is folded again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from steelyard.chain.generated import events as ev
from steelyard.chain.generated.structs import Submission
from steelyard.chain.types import Event
from steelyard.nodes.state import committee
from steelyard.nodes.state.view import (
    CONVICTED,
    NOT_HELD,
    PARENT_VOID,
    MemberSeat,
    Opening,
    Post,
    View,
    cid_on_chain,
)


def fold(job: int, events: Iterable[Event]) -> View:
    """The view that a complete log gives."""
    view = View(job)
    for event in events:
        apply(view, event)
    return view


def concerns(job: int, event: Event) -> bool:
    """True if an event belongs to the job."""
    return getattr(event, "job", None) == job


def apply(view: View, event: Event) -> None:
    """Apply one event, in the chain's order. Events of other jobs or without effect change nothing."""
    handler = _HANDLERS.get(type(event).__name__)
    if handler is not None and concerns(view.job, event):
        handler(view, event)


def _access_changed(view: View, event: ev.AccessGranted | ev.AccessWithdrawn) -> None:
    view.access.entries.append(event)


def _enlisted(view: View, event: ev.AggregatorEnlisted) -> None:
    view.aggregators[event.index] = event.account
    view.enlisted_after[event.account] = max(view.openings, default=0)
    view.retired_by_owner.discard(event.account)


def _retired(view: View, event: ev.AggregatorRetired) -> None:
    view.aggregators.pop(event.index, None)
    view.retirements[event.account] += 1
    if not event.removed:
        view.retired_by_owner.add(event.account)


def _skipped(view: View, opening: Opening, poster: str) -> str | None:
    """The elected aggregator, if another one posted."""
    first = committee.elected(opening, sum(1 << seat for seat in view.aggregators))
    elected = view.aggregators.get(first) if first is not None else None
    return None if elected == poster else elected


def _joined(view: View, event: ev.Joined) -> None:
    data = None if event.digest == bytes(32) else cid_on_chain(event.codec, event.digest)
    view.seats[event.worker] = MemberSeat(
        worker=event.worker,
        operator=event.operator,
        slot=event.slot,
        weight=event.weight,
        shard=event.shard - 1 if event.shard else None,
        cid=data,
        block=event.position.block,
    )


def _left(view: View, event: ev.Left) -> None:
    if event.worker in view.seats:
        view.seats[event.worker].leaving = True
        view.seats[event.worker].removed = event.removed


def _released(view: View, event: ev.Released) -> None:
    view.seats.pop(event.worker, None)


def _reseated(view: View, event: ev.Reseated) -> None:
    if event.account in view.seats:
        view.seats[event.account].operator = event.operator


def _opened(view: View, event: ev.RoundOpened) -> None:
    if event.parent_serial == 0:
        view.initial = event.parent
    parent = view.posts.get(event.parent)
    view.openings[event.serial] = Opening(
        serial=event.serial,
        number=event.number,
        parent=event.parent,
        parent_serial=event.parent_serial,
        members=event.members,
        submit_by=event.submit_by,
        block=event.position.block,
        clock=event.submit_by,
        opened_by_post=parent is not None and parent.transaction == event.position.transaction,
    )


def _submitted(view: View, event: ev.Submitted) -> None:
    opening = view.openings[event.serial]
    opening.submissions[event.slot] = Submission(
        job=event.job,
        serial=event.serial,
        slot=event.slot,
        worker=event.worker,
        weight=event.weight,
        sealed_root=event.sealed_root,
        codec=event.codec,
        digest=event.digest,
    )
    opening.seed_recorded = (
        opening.seed_recorded or 0 < event.position.block - opening.block <= committee.BLOCKHASHES
    )


def _closed(view: View, event: ev.SubmissionsClosed) -> None:
    opening = view.openings[event.serial]
    opening.closed, opening.clock, opening.closing_block = True, None, event.position.block


def _drawn(view: View, event: ev.CommitteeDrawn) -> None:
    view.openings[event.serial].drawn = event.committee


def _attested(view: View, event: ev.Attested) -> None:
    opening = view.openings[event.serial]
    opening.closed = True
    if event.tries == opening.tries:
        opening.attestations[event.slot] = event.bitmap


def _posted(view: View, event: ev.Posted) -> None:
    opening = view.openings[event.serial]
    post = Post(
        id=event.id,
        result=event.result,
        number=opening.number,
        committee=committee.of(opening) or 0,
        committee_size=event.committee_size,
        hold_by=event.hold_by,
        block=event.position.block,
        transaction=event.position.transaction,
        skipped=_skipped(view, opening, event.result.poster),
    )
    opening.closed, opening.post = True, post
    opening.posts += 1
    view.posts[event.id] = post
    if opening.has_unreleased_bond:
        view.unreleased_bonds -= Counter([(opening.number, event.result.poster)])


def _ready(view: View, event: ev.Ready) -> None:
    view.openings[event.serial].ready |= 1 << event.slot


def _held(view: View, event: ev.Held) -> None:
    if event.id in view.posts:
        view.posts[event.id].hold_calls |= 1 << event.slot


def _threshold_held(view: View, event: ev.ThresholdHeld) -> None:
    view.posts[event.id].final_at = event.final_at


def _result_void(view: View, event: ev.ResultVoid) -> None:
    opening = view.openings[event.serial]
    if event.id in view.posts:
        view.posts[event.id].void = event.cause
    opening.post = None
    if event.cause == PARENT_VOID:
        opening.void = True
    else:
        opening.clock, opening.closing_block = None, 0
        for seat, account in view.aggregators.items():
            opening.demoted |= (account == event.poster) << seat
    opening.has_unreleased_bond = opening.has_unreleased_bond or event.cause == NOT_HELD
    if event.cause != CONVICTED:
        view.unreleased_bonds[opening.number, event.poster] += 1


def _opening_void(view: View, event: ev.OpeningVoid) -> None:
    view.openings[event.serial].void = True


def _retried(view: View, event: ev.Retried) -> None:
    opening = view.openings[event.serial]
    opening.closed, opening.clock = True, None
    opening.tries, opening.drawn, opening.closing_block = event.tries, event.committee, 0
    opening.attestations = {}


def _reopened(view: View, event: ev.Reopened) -> None:
    view.failures = event.failures


def _final(view: View, event: ev.Final) -> None:
    view.settled_serial, view.settled_number = event.serial, event.number
    if event.id in view.posts:
        view.posts[event.id].final = True


def _malformed(view: View, event: ev.UpdateMalformed) -> None:
    view.openings[event.serial].malformed |= 1 << event.slot


def _claimed(view: View, event: ev.Claimed) -> None:
    view.claimed.add((event.serial, event.slot))


def _aggregator_paid(view: View, event: ev.AggregatorPaid) -> None:
    view.paid_posts.add(event.serial)


def _bond_released(view: View, event: ev.BondReleased) -> None:
    view.unreleased_bonds.pop((event.number, event.account), None)


def _stopped(view: View, _event: ev.JobStopped) -> None:
    view.stopped = True


def _ended(view: View, event: ev.JobEnded) -> None:
    view.ended = event


_HANDLERS: dict[str, Callable[[View, Any], None]] = {
    "AccessGranted": _access_changed,
    "AccessWithdrawn": _access_changed,
    "Joined": _joined,
    "Left": _left,
    "Released": _released,
    "Reseated": _reseated,
    "AggregatorEnlisted": _enlisted,
    "AggregatorRetired": _retired,
    "RoundOpened": _opened,
    "Submitted": _submitted,
    "SubmissionsClosed": _closed,
    "CommitteeDrawn": _drawn,
    "Attested": _attested,
    "Posted": _posted,
    "Ready": _ready,
    "Held": _held,
    "ThresholdHeld": _threshold_held,
    "ResultVoid": _result_void,
    "OpeningVoid": _opening_void,
    "Retried": _retried,
    "Reopened": _reopened,
    "Final": _final,
    "UpdateMalformed": _malformed,
    "Claimed": _claimed,
    "AggregatorPaid": _aggregator_paid,
    "BondReleased": _bond_released,
    "JobStopped": _stopped,
    "JobEnded": _ended,
}
