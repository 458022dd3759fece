"""Decisions of an aggregator: enlist, post according to the rotation, claim. Pure."""

from __future__ import annotations

from steelyard.nodes.decisions.actions import Action, Collect, Enlist, Publish
from steelyard.nodes.decisions.common import Snapshot
from steelyard.nodes.decisions.upkeep import ready_to_settle
from steelyard.nodes.state import committee
from steelyard.nodes.state.committee import CommitteeWindows
from steelyard.nodes.state.view import Opening

BATCH = 10  # posts claimed in one transaction
ATTESTOR_GRACE = 0.1  # fraction of the attest window that a post leaves for attestors beyond the threshold


def seat_of(s: Snapshot) -> int | None:
    """This node's seat in the aggregator rotation; None if it has none."""
    mine = (seat for seat, account in s.view.aggregators.items() if account == s.local.identity)
    return next(mine, None)


def aggregator_actions(s: Snapshot, *, enlist: bool = True) -> list[Action]:
    """Take a seat, post when it is this node's turn, claim what it earned.

    enlist: take a seat if it has none.
    """
    seat = seat_of(s)
    wanted: list[Action] = []
    if seat is None and enlist and s.view.ended is None and not _owner_retired(s):
        wanted.append(Enlist(occasion=s.view.retirements[s.local.identity]))
    if seat is not None:
        wanted += _publish(s, seat)
    return wanted + _collect(s)


def _owner_retired(s: Snapshot) -> bool:
    """True if its owner retired it while this process runs; a restarted node enlists again."""
    return s.local.was_enlisted and s.local.identity in s.view.retired_by_owner


def _publish(s: Snapshot, seat: int) -> list[Action]:
    opening = s.attesting()
    windows = s.windows(opening) if opening else None
    if opening is None or windows is None or not committee.may_post(opening, windows, s.terms, s.now):
        return []
    included = committee.included(opening)
    if s.local.held_updates(opening.serial) & included != included or not s.usable(opening.parent):
        return []
    all_attested = committee.attested(opening) == committee.of(opening)
    if (
        _parent_needs_settle(s, opening)
        or not _has_bond(s, opening)
        or not (all_attested or s.now >= _grace_ends(s, windows))
    ):
        return []
    rank = _rank(s, opening, seat)
    if rank and s.now < windows.anyone_from:
        return []
    early = s.now < windows.attest_by
    base = windows.clock if early else windows.attest_by
    return [
        Publish(
            serial=opening.serial,
            attempt=opening.posts,
            included=included,
            not_before=windows.anyone_from if rank else base,
            rank=rank,
        )
    ]


def _grace_ends(s: Snapshot, windows: CommitteeWindows) -> float:
    return windows.clock + ATTESTOR_GRACE * s.terms.attest_window


def _parent_needs_settle(s: Snapshot, opening: Opening) -> bool:
    """True if the contract refuses a post until `settle` has counted the parent's holders."""
    parent = s.view.posts.get(opening.parent)
    return parent is not None and parent.final_at is None and s.now >= parent.hold_by


def _has_bond(s: Snapshot, opening: Opening) -> bool:
    """True if a post can be backed by the free bond, or by the bond of a void result of the same opening."""
    free = s.local.free_bond
    own = opening.has_unreleased_bond and s.view.unreleased_bonds[opening.number, s.local.identity]
    return free is None or free >= s.terms.bond or bool(own)


def _rank(s: Snapshot, opening: Opening, seat: int) -> int:
    """Position in the rotation: 0 for the elected seat, then in the order of the seats after it."""
    seats = sorted(s.view.aggregators)
    first = committee.elected(opening, sum(1 << each for each in seats))
    if first is None or first not in seats:
        return len(seats)
    return (seats.index(seat) - seats.index(first)) % len(seats)


def _collect(s: Snapshot) -> list[Action]:
    """Claim final posts, in batches, at the end of the job or when the free bond is short; release bonds."""
    final = [*s.view.final_posts(), *ready_to_settle(s)]
    mine = [post.serial for post in final if post.result.poster == s.local.identity]
    unpaid = tuple(serial for serial in mine if serial not in s.view.paid_posts)
    short = s.local.free_bond is not None and s.local.free_bond < 2 * s.terms.bond
    due = bool(unpaid) and (short or len(unpaid) >= BATCH or s.view.ended is not None)
    wanted: list[Action] = []
    if due:
        wanted.append(Collect(function="claimPosts", number=unpaid[0], serials=unpaid[:BATCH]))
    for number, account in s.view.unreleased_bonds:
        free = number <= s.view.settled_number or s.view.ended is not None
        if account == s.local.identity and free:
            wanted.append(Collect(function="releaseBond", number=number))
    return wanted
