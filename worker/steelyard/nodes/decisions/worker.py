"""Decisions of a worker: train, submit, provide, attest, hold, evaluate. Pure."""

from __future__ import annotations

from steelyard.nodes.decisions.actions import Action, Attest, Evaluate, Hold, Provide, Submit, Train
from steelyard.nodes.decisions.common import Snapshot
from steelyard.nodes.state import committee
from steelyard.nodes.state.local import ResultVerdict
from steelyard.nodes.state.view import MemberSeat, Opening, Post

HOLD_RESERVE = 0.25  # of the submit window; with less left until `hold_by`, `hold` is called at once


def worker_actions(s: Snapshot) -> list[Action]:
    """Actions of a worker, as member and as attestor; none without a seat."""
    seat = s.view.seats.get(s.local.identity)
    if seat is None:
        return []
    wanted = _submit(s, seat)
    evaluate = _evaluate(s) if s.evaluate and not wanted else []
    return wanted + _attest(s, seat) + _provide(s, seat) + _hold(s, seat) + evaluate


def takes_part(opening: Opening, seat: MemberSeat) -> bool:
    """True if the seat is among an opening's members."""
    return bool(opening.members >> seat.slot & 1)


def has_submitted(opening: Opening, seat: MemberSeat) -> bool:
    """True if this member's own submission is on chain."""
    submission = opening.submissions.get(seat.slot)
    return submission is not None and submission.worker == seat.worker


def _submit(s: Snapshot, seat: MemberSeat) -> list[Action]:
    opening = s.submitting()
    if opening is None or not takes_part(opening, seat) or has_submitted(opening, seat):
        return []
    if opening.serial in s.local.prepared:
        return [Submit(serial=opening.serial)]
    if opening.serial in s.local.untrainable or not _may_train(s, opening):
        return []
    return [Train(serial=opening.serial)]


def _may_train(s: Snapshot, opening: Opening) -> bool:
    if s.usable(opening.parent):
        return True
    post = s.view.posts.get(opening.parent)
    found = s.local.rebuilt.get(opening.parent) or s.local.prefetched.get(opening.parent)
    held = post is not None and s.held(post)
    return s.train_on_held and held and found is not None and found.state is not None


def _provide(s: Snapshot, seat: MemberSeat) -> list[Action]:
    """Serve the own update once submissions are over. If too few submitted, it may be submitted again."""
    opening = s.attesting()
    if opening is None or not has_submitted(opening, seat) or opening.serial in s.local.provided:
        return []
    return [Provide(serial=opening.serial, not_before=0 if opening.closed else opening.submit_by)]


def _attest(s: Snapshot, seat: MemberSeat) -> list[Action]:
    opening = s.attesting()
    windows = s.windows(opening) if opening else None
    if opening is None or windows is None or not windows.clock <= s.now < windows.attest_by:
        return []
    members = committee.of(opening) or 0
    if not members >> seat.slot & 1 or seat.slot in opening.attestations or not has_submitted(opening, seat):
        return []
    complete = s.local.inspected(opening.serial) & opening.submitted == opening.submitted
    wait_until = windows.clock + s.attest_wait * s.terms.attest_window
    if not complete and s.now < wait_until:
        return []
    bitmap = s.local.held_updates(opening.serial) & opening.submitted & ~opening.malformed
    return [
        Attest(
            serial=opening.serial,
            tries=opening.tries,
            bitmap=bitmap | 1 << seat.slot,
            not_before=windows.clock,
        )
    ]


def _hold(s: Snapshot, seat: MemberSeat) -> list[Action]:
    """Results that this member rebuilt and that its next submission will not record as held in time."""
    wanted: list[Action] = []
    opening, standing = s.submitting(), s.view.unsettled()
    parent = s.view.posts.get(opening.parent) if opening is not None else None
    if parent is not None and parent not in standing:
        standing = [parent, *standing]  # final, but a returning member still has to hold it
    for post in standing:
        rebuilt = s.local.rebuilt.get(post.id)
        if rebuilt is None or rebuilt.verdict is ResultVerdict.UNBUILDABLE or s.expired(post):
            continue
        if opening is not None and _has_returned(s, opening, seat, post):
            wanted.append(Hold(serial=post.serial, id=post.id, awaiting=opening.serial))
        elif _must_hold(s, seat, post, wrong=rebuilt.verdict is ResultVerdict.WRONG):
            wanted.append(Hold(serial=post.serial, id=post.id))
    return wanted


def _must_hold(s: Snapshot, seat: MemberSeat, post: Post, *, wrong: bool) -> bool:
    opening = s.view.openings[post.serial]
    attestor = post.committee >> seat.slot & 1 and has_submitted(opening, seat)
    if not attestor or s.view.holders(post) >> seat.slot & 1 or post.final_at is not None:
        return False
    urgent = s.now >= post.hold_by - HOLD_RESERVE * s.terms.submit_window
    return wrong or urgent or not _will_submit_on(s, seat, post)


def _will_submit_on(s: Snapshot, seat: MemberSeat, post: Post) -> bool:
    """True if an opening on top of the result awaits this member's submission, which counts as a hold."""
    opening = s.submitting()
    if opening is None or opening.parent != post.id or not opening.opened_by_post:
        return False
    if opening.serial in s.local.untrainable:
        return False
    return takes_part(opening, seat) and not has_submitted(opening, seat)


def _has_returned(s: Snapshot, opening: Opening, seat: MemberSeat, post: Post) -> bool:
    """True if this member missed the last round and the opening should now wait for its submission."""
    if opening.parent != post.id or not takes_part(opening, seat) or has_submitted(opening, seat):
        return False
    before = s.view.openings[post.serial]
    away = takes_part(before, seat) and seat.slot not in before.submissions
    return away and not opening.ready >> seat.slot & 1


def _evaluate(s: Snapshot) -> list[Action]:
    """Evaluate the newest rebuilt model."""
    head = s.head
    if head is None:
        return []
    newest = head.post.id if head.post is not None else head.parent
    rebuilt = s.local.rebuilt.get(newest)
    if rebuilt is None or rebuilt.verdict is not ResultVerdict.RIGHT or newest in s.local.evaluated:
        return []
    return [Evaluate(id=newest)]
