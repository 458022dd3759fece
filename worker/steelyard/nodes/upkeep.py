"""Acts that are anyone's and keep a job going: retry, open again, settle, draw, close. Pure.

Every node may do them; each waits by its rank, so that a late one finds it done. What is tried twice reverts
in the simulation, for free.
"""

from __future__ import annotations

from steelyard.nodes import committee
from steelyard.nodes.absences import removals
from steelyard.nodes.actions import Action, Upkeep
from steelyard.nodes.committee import MAX_UNSETTLED
from steelyard.nodes.deciding import Situation
from steelyard.nodes.view import Opening, Post

BLOCKHASHES = 256  # how far back the chain knows them


def upkeep(s: Situation) -> list[Action]:
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
        return _mend(s, head) or _count(s) or _make_room(s, head) or removals(s) or _end(s)
    return _open_next(s) or _count(s) or _end(s)


def over(s: Situation) -> bool:
    """Whether the job's deadline is past: nothing is posted from then on."""
    return s.now >= s.terms.deadline


def _retry(opening: Opening, not_before: int) -> Upkeep:
    mark = opening.tries << 8 | opening.posts
    return Upkeep(act="retry", serial=opening.serial, mark=mark, not_before=not_before)


def _mend(s: Situation, head: Opening) -> list[Action]:
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


def _reopen(s: Situation, head: Opening, not_before: int) -> list[Action]:
    parent = s.view.posts.get(head.parent)
    if parent is not None and not s.held(parent):
        return []  # it must be held first, or struck
    return [Upkeep(act="reopen", serial=head.serial, mark=0, not_before=not_before)]


def _draw(s: Situation, head: Opening) -> list[Action]:
    if head.seeded:
        return [Upkeep(act="drawCommittee", serial=head.serial, mark=0, not_before=head.clock)]
    if s.block - head.block < BLOCKHASHES:
        return [Upkeep(act="recordSeed", serial=head.serial, mark=0)]
    return _reopen(s, head, not_before=head.submit_by)


def finalable(s: Situation) -> list[Post]:
    """Results that `settle` would make final now, oldest first."""
    found: list[Post] = []
    for post in s.view.unsettled():
        if post.final_at is None or s.now < post.final_at:
            break
        found.append(post)
    return found


def _count(s: Situation) -> list[Action]:
    """Have holds that came by submissions counted, so that the challenge window starts.

    What opens or closes without a post counts them too, but without a window that ends a job is never closed.
    """
    due = next((post for post in s.view.unsettled() if post.final_at is None and s.held(post)), None)
    if due is None:
        return []
    return [Upkeep(act="settle", serial=due.serial, mark=s.view.openings[due.serial].posts)]


def _make_room(s: Situation, head: Opening) -> list[Action]:
    """Make final what can be, where a post could not open the next round otherwise."""
    ready = finalable(s)
    if not ready or head.number + 1 - s.view.settled_number < MAX_UNSETTLED:
        return []
    last = ready[-1]
    return [Upkeep(act="settle", serial=last.serial, mark=0, not_before=last.final_at)]


def can_open(s: Situation) -> bool:
    """Whether a round could open on the head's result, once what can be final is."""
    head = s.head
    if head is None or head.post is None or s.view.stopped or head.number >= s.terms.rounds:
        return False
    settled = max([s.view.settled_number, *(post.number for post in finalable(s))])
    members = sum(1 for seat in s.view.seats.values() if not seat.leaving)
    return head.number + 1 - settled <= MAX_UNSETTLED and members >= s.terms.min_updates and fits(s)


def fits(s: Situation) -> bool:
    """Whether a round's longest course from now on ends before the job's deadline."""
    t = s.terms
    course = t.submit_window + (t.max_tries + 1) * (t.attest_window + t.post_window + t.submit_window)
    return s.now + course <= t.deadline


def _open_next(s: Situation) -> list[Action]:
    head = s.head
    if head is None or head.post is None or not s.terms.auto_open or not can_open(s):
        return []
    return [Upkeep(act="openRound", serial=head.serial, mark=head.posts)]


def _end(s: Situation) -> list[Action]:
    """Close a job whose results are all final and in which no round can open; abort one that cannot go on."""
    head = s.head
    open_now = head is not None and head.post is None
    left = s.view.unsettled()[len(finalable(s)) :]
    serial = head.serial if head is not None else 0
    failed = s.view.failures > s.terms.max_failures
    if not open_now and not left:
        number = head.number if head is not None else 0
        if s.view.stopped or number >= s.terms.rounds or not fits(s):
            last = max((post.final_at or 0 for post in s.view.unsettled()), default=0)
            return [Upkeep(act="close", serial=serial, mark=number, not_before=last or None)]
    stuck = not left or s.expired(left[0])
    if stuck and (failed or over(s)):
        return [Upkeep(act="abort", serial=serial, mark=s.view.failures)]
    return []
