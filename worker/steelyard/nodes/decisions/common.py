"""What every role wants: files, rebuilt results. Pure: a view, own facts and the time in, actions out."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.chain.generated.structs import JobTerms
from steelyard.nodes.actions.types import Action, Adopt, Compute, Fetch, Prefetch, Rebuild
from steelyard.nodes.state import committee
from steelyard.nodes.state.committee import CommitteeWindows
from steelyard.nodes.state.local import LocalState, ResultVerdict
from steelyard.nodes.state.view import Opening, Post, View


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that a decision follows from."""

    view: View
    local: LocalState
    terms: JobTerms
    now: int  # chain time, unix seconds
    block: int  # the last handled
    attest_wait: float = 0.5
    train_on_held: bool = False
    evaluate: bool = False

    @property
    def head(self) -> Opening | None:
        """The latest opening that stands."""
        return self.view.head

    def windows(self, opening: Opening) -> CommitteeWindows | None:
        """Deadlines of an opening that has no result."""
        return CommitteeWindows.of(opening, self.terms)

    def attesting(self) -> Opening | None:
        """The opening whose files are public and that has no result yet."""
        head = self.head
        if head is None or head.post is not None:
            return None
        over = committee.submissions_over(head, self.now)
        return head if over and committee.enough_submitted(head, self.terms) else None

    def submitting(self) -> Opening | None:
        """The opening that takes submissions."""
        head = self.head
        if head is None or head.post is not None or committee.submissions_over(head, self.now):
            return None
        return head

    def usable(self, parent: bytes) -> bool:
        """Whether a result may be trained on and built on: right, or wrong and final all the same."""
        rebuilt = self.local.rebuilt.get(parent)
        if rebuilt is None or rebuilt.state is None:
            return False
        post = self.view.posts.get(parent)
        if rebuilt.verdict is ResultVerdict.RIGHT or post is None or post.final:
            return True
        return post.final_at is not None and self.now >= post.final_at

    def expired(self, post: Post) -> bool:
        """Whether too few hold a result, with its time over."""
        return self.now >= post.hold_by and not self.held(post)

    def held(self, post: Post) -> bool:
        """Whether enough hold a result, counted on chain or not yet."""
        enough = committee.threshold(post.committee_size)
        return post.final_at is not None or self.view.holders(post).bit_count() >= enough


def common(s: Snapshot) -> list[Action]:
    """Rebuild what stands, fetch what is public, compute what is certain."""
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
    return list(dict.fromkeys(wanted + _ahead(s)))


def _ahead(s: Snapshot) -> list[Action]:
    """The newest result, where an update in it is not held here: its file is fetched while others work.

    It is there then when somebody trains on held results, or when it is final and nobody has the update.
    """
    head = s.head
    newest = None if head is None else head.post or s.view.posts.get(head.parent)
    if newest is None or newest.id in s.local.rebuilt:
        return []
    fetched = s.local.ahead.get(newest.id)
    if fetched is not None:
        final = newest.final or (newest.final_at is not None and s.now >= newest.final_at)
        return [Adopt(id=newest.id)] if final and fetched.state is not None else []
    lacking = newest.result.included & ~s.local.holds(newest.serial)
    return [Prefetch(id=newest.id)] if lacking else []


def _compute(s: Snapshot, opening: Opening) -> list[Action]:
    """The result, as soon as its inputs can hardly change: all is held, or what is included is fixed."""
    windows = s.windows(opening)
    sound = opening.submitted & ~opening.malformed
    held = s.local.holds(opening.serial)
    likely = committee.included(opening) if windows and s.now >= windows.attest_by else held & sound
    enough = likely.bit_count() >= s.terms.min_updates
    complete = likely & held == likely and (likely == sound or bool(windows and s.now >= windows.attest_by))
    if not (enough and complete and s.usable(opening.parent)):
        return []
    done = (opening.serial, likely) in s.local.computed
    return [] if done else [Compute(serial=opening.serial, included=likely)]
