"""Decisions about the calls that anyone may make to keep a job running: retry, reopen, settle, draw, close.

Pure. Every node decides them and waits by its rank, so that usually one node sends the transaction. A second
attempt reverts in the simulation and costs nothing.
"""

from __future__ import annotations

from steelyard.nodes.decisions.actions import Action, Upkeep
from steelyard.nodes.decisions.common import Snapshot
from steelyard.nodes.decisions.removals import removal_actions
from steelyard.nodes.state import committee
from steelyard.nodes.state.committee import BLOCKHASHES, MAX_UNSETTLED, SEED_AGE
from steelyard.nodes.state.view import Opening, Post


def upkeep_actions(s: Snapshot) -> list[Action]:
    """The call that is due now, usually one: each changes what is due next."""
    if s.view.ended is not None:
        return []
    head = s.head
    if head is None:
        return _close_or_abort(s)
    if deadline_passed(s):
        return _settle_holds(s) or _close_or_abort(s)
    stale = next((post for post in s.view.unsettled() if s.expired(post)), None)
    if stale is not None:
        return [_retry(s.view.openings[stale.serial], not_before=stale.hold_by)]
    if head.post is None:
        running = _retry_or_reopen(s, head) or _settle_holds(s) or _make_room(s, head)
        return running or _record_seed(s, head) or _close_or_abort(s) or removal_actions(s)
    return _open_next(s) or _settle_holds(s) or _close_or_abort(s)


def deadline_passed(s: Snapshot) -> bool:
    """True if the job's deadline is past; no result can be posted then."""
    return s.now >= s.terms.deadline


def _retry(opening: Opening, not_before: int) -> Upkeep:
    occasion = opening.tries << 8 | opening.posts
    return Upkeep(function="retry", serial=opening.serial, occasion=occasion, not_before=not_before)


def _retry_or_reopen(s: Snapshot, head: Opening) -> list[Action]:
    """Retry the attestation of an opening that failed, or reopen its submissions."""
    windows = s.windows(head)
    if windows is None or not committee.submissions_over(head, s.now):
        return []
    if not committee.enough_submitted(head, s.terms):
        return _reopen(s, head, not_before=head.submit_by)
    if committee.of(head) is None:
        return _draw(s, head)
    post_by = windows.attest_by + s.terms.post_window
    too_few = committee.included(head).bit_count() < s.terms.min_updates
    due = windows.attest_by if too_few else post_by
    if s.now < due:
        return []
    if head.tries < s.terms.max_tries:
        return [_retry(head, not_before=due)]
    return _reopen(s, head, not_before=due)


def _reopen(s: Snapshot, head: Opening, not_before: int) -> list[Action]:
    parent = s.view.posts.get(head.parent)
    if parent is not None and not s.held(parent):
        return []  # its parent must be held or void first
    return [Upkeep(function="reopen", serial=head.serial, occasion=0, not_before=not_before)]


def _draw(s: Snapshot, head: Opening) -> list[Action]:
    if head.seed_recorded:
        return [Upkeep(function="drawCommittee", serial=head.serial, occasion=0, not_before=head.clock)]
    if s.block - head.block < BLOCKHASHES:
        return [Upkeep(function="recordSeed", serial=head.serial, occasion=0)]
    return _reopen(s, head, not_before=head.submit_by)


def _record_seed(s: Snapshot, head: Opening) -> list[Action]:
    """Record the seed of a committee draw before its block hash is out of reach, if no submission did."""
    if not committee.lacks_seed(head) or not SEED_AGE <= s.block - head.block < BLOCKHASHES:
        return []
    return [Upkeep(function="recordSeed", serial=head.serial, occasion=0)]


def ready_to_settle(s: Snapshot) -> list[Post]:
    """Results that `settle` would make final now, oldest first."""
    found: list[Post] = []
    for post in s.view.unsettled():
        if post.final_at is None or s.now < post.final_at:
            break
        found.append(post)
    return found


def _settle_holds(s: Snapshot) -> list[Action]:
    """Let the chain count holds that were recorded by submissions, which starts the challenge window.

    Opening or closing a round counts them too, but a job can close only after the challenge window.
    """
    due = next((post for post in s.view.unsettled() if post.final_at is None and s.held(post)), None)
    if due is None:
        return []
    return [Upkeep(function="settle", serial=due.serial, occasion=s.view.openings[due.serial].posts)]


def _make_room(s: Snapshot, head: Opening) -> list[Action]:
    """Finalize results if a post could not open the next round otherwise."""
    ready = ready_to_settle(s)
    if not ready or head.number + 1 - s.view.settled_number < MAX_UNSETTLED:
        return []
    last = ready[-1]
    return [Upkeep(function="settle", serial=last.serial, occasion=0, not_before=last.final_at)]


def reason_not_to_open(s: Snapshot, number: int, settled: int) -> str | None:
    """Why round `number` cannot be opened if `settled` rounds are final; None if it can.

    Checked in the contract's order, so that a lack of members, which may be temporary, does not close a job.
    """
    members = sum(1 for seat in s.view.seats.values() if not seat.leaving)
    reasons = {
        "stopped": s.view.stopped,
        "rounds": number > s.terms.rounds,
        "failures": s.view.failures > s.terms.max_failures,
        "unsettled": number - settled > MAX_UNSETTLED,
        "members": members < s.terms.min_updates,
        "deadline": s.now + _longest_round_s(s) > s.terms.deadline,
    }
    return next((why for why, applies in reasons.items() if applies), None)


def _longest_round_s(s: Snapshot) -> int:
    """Greatest duration of a round, in seconds."""
    t = s.terms
    return t.submit_window + (t.max_tries + 1) * (t.attest_window + t.post_window + t.submit_window)


def _open_next(s: Snapshot) -> list[Action]:
    head = s.head
    if head is None or head.post is None or not s.terms.auto_open or not s.held(head.post):
        return []
    ready = ready_to_settle(s)
    settled = max([s.view.settled_number, *(post.number for post in ready)])
    if reason_not_to_open(s, head.number + 1, settled) is not None:
        return []
    not_before = ready[-1].final_at if ready else None  # `openRound` settles these first
    return [Upkeep(function="openRound", serial=head.serial, occasion=head.posts, not_before=not_before)]


def _close_or_abort(s: Snapshot) -> list[Action]:
    """Close a job if all results are final and no round can open; abort it if it cannot continue."""
    head = s.head
    serial, number = (head.serial, head.number) if head is not None else (0, 0)
    ready = ready_to_settle(s)
    left = s.view.unsettled()[len(ready) :]
    times = [post.final_at or 0 for post in ready]
    if not left and (head is None or head.post is not None):
        why = reason_not_to_open(s, number + 1, number)
        if why == "deadline":
            times.append(s.terms.deadline - _longest_round_s(s) + 1)
        if why in ("stopped", "rounds", "deadline"):
            return [
                Upkeep(function="close", serial=serial, occasion=number, not_before=max(times, default=None))
            ]
    if left and not s.expired(left[0]):
        return []
    if s.view.failures <= s.terms.max_failures:
        if not deadline_passed(s):
            return []
        times.append(s.terms.deadline)
    times += [post.hold_by for post in left[:1]]
    occasion = s.view.failures
    return [Upkeep(function="abort", serial=serial, occasion=occasion, not_before=max(times, default=None))]
