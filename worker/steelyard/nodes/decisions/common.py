"""Decisions common to all roles. Pure: a view, the local state and the time in, actions out."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.chain.generated.structs import JobTerms
from steelyard.nodes.decisions.actions import Action, Adopt, Compute, Fetch, Prefetch, Rebuild
from steelyard.nodes.state import committee
from steelyard.nodes.state.committee import CommitteeWindows
from steelyard.nodes.state.local import LocalState, ResultVerdict
from steelyard.nodes.state.view import Opening, Post, View


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The complete input of a decision."""

    view: View
    local: LocalState
    terms: JobTerms
    now: int  # chain time, unix seconds
    block: int  # number of the last applied block
    attest_wait: float = 0.5  # fraction of the attest window that an attestor waits for missing files
    train_on_held: bool = False
    evaluate: bool = False

    @property
    def head(self) -> Opening | None:
        """The latest opening that is not void."""
        return self.view.head

    def windows(self, opening: Opening) -> CommitteeWindows | None:
        """Deadlines of an opening without a result; None if its clock has to be read first."""
        return CommitteeWindows.of(opening, self.terms)

    def attesting(self) -> Opening | None:
        """The opening whose submissions are over and that has no result; None if there is none."""
        head = self.head
        if head is None or head.post is not None:
            return None
        over = committee.submissions_over(head, self.now)
        return head if over and committee.enough_submitted(head, self.terms) else None

    def submitting(self) -> Opening | None:
        """The opening that accepts submissions; None if there is none."""
        head = self.head
        if head is None or head.post is not None or committee.submissions_over(head, self.now):
            return None
        return head

    def usable(self, parent: bytes) -> bool:
        """True if a result may be built on: it is right, or final although it is wrong."""
        rebuilt = self.local.rebuilt.get(parent)
        if rebuilt is None or rebuilt.state is None:
            return False
        post = self.view.posts.get(parent)
        if rebuilt.verdict is ResultVerdict.RIGHT or post is None or post.final:
            return True
        return post.final_at is not None and self.now >= post.final_at

    def expired(self, post: Post) -> bool:
        """True if the hold window of a result is over and too few members hold it."""
        return self.now >= post.hold_by and not self.held(post)

    def held(self, post: Post) -> bool:
        """True if the threshold of members holds a result, whether or not the chain has counted them."""
        enough = committee.threshold(post.committee_size)
        return post.final_at is not None or self.view.holders(post).bit_count() >= enough


def common_actions(s: Snapshot) -> list[Action]:
    """Rebuild standing results, fetch submitted updates, compute the next result."""
    wanted: list[Action] = [
        Rebuild(id=post.id) for post in s.view.unsettled() if post.id not in s.local.rebuilt
    ]
    head = s.head
    if head is not None and head.post is None and head.parent not in s.local.rebuilt:
        wanted.append(Rebuild(id=head.parent))
    opening = s.attesting()
    if opening is not None:
        wanted += [
            Fetch(serial=opening.serial, slot=slot)
            for slot in opening.submissions
            if (opening.serial, slot) not in s.local.checked
        ]
        wanted += _compute(s, opening)
    return list(dict.fromkeys(wanted + _prefetch(s)))


def _prefetch(s: Snapshot) -> list[Action]:
    """Fetch the file of the newest result if an included update is missing here.

    It is then available for training on held results, and if it becomes final before the update is served.
    """
    head = s.head
    newest = None if head is None else head.post or s.view.posts.get(head.parent)
    if newest is None or newest.id in s.local.rebuilt:
        return []
    fetched = s.local.prefetched.get(newest.id)
    if fetched is not None:
        final = newest.final or (newest.final_at is not None and s.now >= newest.final_at)
        return [Adopt(id=newest.id)] if final and fetched.state is not None else []
    missing = newest.result.included & ~s.local.held_updates(newest.serial)
    return [Prefetch(id=newest.id)] if missing else []


def _compute(s: Snapshot, opening: Opening) -> list[Action]:
    """Compute the result as soon as its inputs are likely final: all are held, or attestation is over."""
    windows = s.windows(opening)
    sound = opening.submitted & ~opening.malformed
    held = s.local.held_updates(opening.serial)
    likely = committee.included(opening) if windows and s.now >= windows.attest_by else held & sound
    enough = likely.bit_count() >= s.terms.min_updates
    complete = likely & held == likely and (likely == sound or bool(windows and s.now >= windows.attest_by))
    if not (enough and complete and s.usable(opening.parent)):
        return []
    done = (opening.serial, likely) in s.local.computed
    return [] if done else [Compute(serial=opening.serial, included=likely)]
