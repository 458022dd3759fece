"""Acts that are anyone's and keep a job going: retry, open again, settle, draw, close. Pure.

Every node may do them; each waits by its rank, so that a late one finds it done. What is tried twice reverts
in the simulation, for free.
"""

from __future__ import annotations

from steelyard.nodes.actions.types import Action, Upkeep
from steelyard.nodes.decisions.common import Snapshot
from steelyard.nodes.decisions.removals import removals
from steelyard.nodes.state import committee
from steelyard.nodes.state.committee import BLOCKHASHES, MAX_UNSETTLED, SEED_AGE
from steelyard.nodes.state.view import Opening, Post


def upkeep(s: Snapshot) -> list[Action]:
    """What is due now, at most one act: each changes what is due next."""
    if s.view.ended is not None:
        return []
    head = s.head
    if head is None:
        return _end(s)
    if over(s):
        return _count(s) or _end(s)
    stale = next((post for post in s.view.unsettled() if s.expired(post)), None)
    if stale is not None:
        return [_retry(s.view.openings[stale.serial], not_before=stale.hold_by)]
    if head.post is None:
        running = _mend(s, head) or _count(s) or _make_room(s, head)
        return running or _record_seed(s, head) or _end(s) or removals(s)
    return _open_next(s) or _count(s) or _end(s)


def over(s: Snapshot) -> bool:
    """Whether the job's deadline is past: nothing is posted from then on."""
    return s.now >= s.terms.deadline


def _retry(opening: Opening, not_before: int) -> Upkeep:
    mark = opening.tries << 8 | opening.posts
    return Upkeep(act="retry", serial=opening.serial, mark=mark, not_before=not_before)


def _mend(s: Snapshot, head: Opening) -> list[Action]:
    """An opening that came to nothing is attested again, or opened again."""
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
        return []  # it must be held first, or struck
    return [Upkeep(act="reopen", serial=head.serial, mark=0, not_before=not_before)]


def _draw(s: Snapshot, head: Opening) -> list[Action]:
    if head.seeded:
        return [Upkeep(act="drawCommittee", serial=head.serial, mark=0, not_before=head.clock)]
    if s.block - head.block < BLOCKHASHES:
        return [Upkeep(act="recordSeed", serial=head.serial, mark=0)]
    return _reopen(s, head, not_before=head.submit_by)


def _record_seed(s: Snapshot, head: Opening) -> list[Action]:
    """Record what a committee may be drawn with, before the chain forgets it: nobody submitted for long."""
    if not committee.lacks_seed(head) or not SEED_AGE <= s.block - head.block < BLOCKHASHES:
        return []
    return [Upkeep(act="recordSeed", serial=head.serial, mark=0)]


def finalable(s: Snapshot) -> list[Post]:
    """Results that `settle` would make final now, oldest first."""
    found: list[Post] = []
    for post in s.view.unsettled():
        if post.final_at is None or s.now < post.final_at:
            break
        found.append(post)
    return found


def _count(s: Snapshot) -> list[Action]:
    """Have holds that came by submissions counted, so that the challenge window starts.

    What opens or closes without a post counts them too, but without a window that ends a job is never closed.
    """
    due = next((post for post in s.view.unsettled() if post.final_at is None and s.held(post)), None)
    if due is None:
        return []
    return [Upkeep(act="settle", serial=due.serial, mark=s.view.openings[due.serial].posts)]


def _make_room(s: Snapshot, head: Opening) -> list[Action]:
    """Make final what can be, where a post could not open the next round otherwise."""
    ready = finalable(s)
    if not ready or head.number + 1 - s.view.settled_number < MAX_UNSETTLED:
        return []
    last = ready[-1]
    return [Upkeep(act="settle", serial=last.serial, mark=0, not_before=last.final_at)]


def why_not_open(s: Snapshot, number: int, settled: int) -> str | None:
    """Why no round of this number can be opened on results that stand, with `settled` of them final.

    None where it can. In the contract's order, for a lack of members, which may pass, closes no job.
    """
    members = sum(1 for seat in s.view.seats.values() if not seat.leaving)
    reasons = {
        "stopped": s.view.stopped,
        "rounds": number > s.terms.rounds,
        "failures": s.view.failures > s.terms.max_failures,
        "unsettled": number - settled > MAX_UNSETTLED,
        "members": members < s.terms.min_updates,
        "deadline": s.now + _course(s) > s.terms.deadline,
    }
    return next((why for why, holds in reasons.items() if holds), None)


def _course(s: Snapshot) -> int:
    """Seconds that a round takes at the longest."""
    t = s.terms
    return t.submit_window + (t.max_tries + 1) * (t.attest_window + t.post_window + t.submit_window)


def _open_next(s: Snapshot) -> list[Action]:
    head = s.head
    if head is None or head.post is None or not s.terms.auto_open or not s.held(head.post):
        return []
    ready = finalable(s)
    settled = max([s.view.settled_number, *(post.number for post in ready)])
    if why_not_open(s, head.number + 1, settled) is not None:
        return []
    not_before = ready[-1].final_at if ready else None  # it settles first, which may make room
    return [Upkeep(act="openRound", serial=head.serial, mark=head.posts, not_before=not_before)]


def _end(s: Snapshot) -> list[Action]:
    """Close a job whose results are all final and in which no round can open; abort one that cannot go on."""
    head = s.head
    serial, number = (head.serial, head.number) if head is not None else (0, 0)
    ready = finalable(s)
    left = s.view.unsettled()[len(ready) :]
    moments = [post.final_at or 0 for post in ready]
    if not left and (head is None or head.post is not None):
        why = why_not_open(s, number + 1, number)
        if why == "deadline":
            moments.append(s.terms.deadline - _course(s) + 1)
        if why in ("stopped", "rounds", "deadline"):
            return [Upkeep(act="close", serial=serial, mark=number, not_before=max(moments, default=None))]
    if left and not s.expired(left[0]):
        return []
    if s.view.failures <= s.terms.max_failures:
        if not over(s):
            return []
        moments.append(s.terms.deadline)
    moments += [post.hold_by for post in left[:1]]
    mark = s.view.failures
    return [Upkeep(act="abort", serial=serial, mark=mark, not_before=max(moments, default=None))]
