"""What an aggregator and a challenger want: post in turn, convict, collect. Pure."""

from __future__ import annotations

from steelyard.nodes.actions.types import Action, Collect, Convict, ConvictUpdate, Enlist, Publish
from steelyard.nodes.decisions.common import Snapshot
from steelyard.nodes.decisions.upkeep import finalable
from steelyard.nodes.state import committee
from steelyard.nodes.state.committee import CommitteeWindows
from steelyard.nodes.state.local import ResultVerdict
from steelyard.nodes.state.view import Opening

BATCH = 10  # posts claimed in one transaction
COURTESY = (
    0.1  # of the attest window in which a post waits for attestors that it does not need: they are paid
)


def seat_of(s: Snapshot) -> int | None:
    """This node's seat in the turns of aggregators."""
    mine = (seat for seat, account in s.view.aggregators.items() if account == s.local.identity)
    return next(mine, None)


def aggregator(s: Snapshot, *, enlist: bool = True) -> list[Action]:
    """An aggregator's wishes: a seat, the post when it may, and what it earned."""
    seat = seat_of(s)
    wanted: list[Action] = []
    if seat is None and enlist and s.view.ended is None and not _gave_up(s):
        wanted.append(Enlist(mark=s.view.retirements[s.local.identity]))
    if seat is not None:
        wanted += _publish(s, seat)
    return wanted + _collect(s)


def _gave_up(s: Snapshot) -> bool:
    """Whether its owner gave the place up beside the running node; a start asks for one again."""
    return s.local.had_turns and s.local.identity in s.view.gave_up


def _publish(s: Snapshot, seat: int) -> list[Action]:
    opening = s.attesting()
    windows = s.windows(opening) if opening else None
    if opening is None or windows is None or not committee.may_post(opening, windows, s.terms, s.now):
        return []
    included = committee.included(opening)
    if s.local.holds(opening.serial) & included != included or not s.usable(opening.parent):
        return []
    all_heard = committee.heard(opening) == committee.of(opening)
    if (
        _parent_uncounted(s, opening)
        or not _has_bond(s, opening)
        or not (all_heard or s.now >= _courtesy_ends(s, windows))
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


def _courtesy_ends(s: Snapshot, windows: CommitteeWindows) -> float:
    return windows.clock + COURTESY * s.terms.attest_window


def _parent_uncounted(s: Snapshot, opening: Opening) -> bool:
    """Whether the contract takes no post before `settle` has counted who holds the parent."""
    parent = s.view.posts.get(opening.parent)
    return parent is not None and parent.final_at is None and s.now >= parent.hold_by


def _has_bond(s: Snapshot, opening: Opening) -> bool:
    """Whether a post can be backed: by what is free, or by the bond of an earlier one of the same opening."""
    free = s.local.free_bond
    left = opening.left_bond and s.view.left_bonds[opening.number, s.local.identity]
    return free is None or free >= s.terms.bond or bool(left)


def _rank(s: Snapshot, opening: Opening, seat: int) -> int:
    """0 for the elected seat, then in the order of seats after it."""
    seats = sorted(s.view.aggregators)
    first = committee.elected(opening, sum(1 << each for each in seats))
    if first is None or first not in seats:
        return len(seats)
    return (seats.index(seat) - seats.index(first)) % len(seats)


def _collect(s: Snapshot) -> list[Action]:
    """Claim final posts: many at once, at the end, or when bonds run short; and bonds left behind."""
    final = [*s.view.final_posts(), *finalable(s)]
    mine = [post.serial for post in final if post.result.poster == s.local.identity]
    unpaid = tuple(serial for serial in mine if serial not in s.view.paid_posts)
    short = s.local.free_bond is not None and s.local.free_bond < 2 * s.terms.bond
    due = bool(unpaid) and (short or len(unpaid) >= BATCH or s.view.ended is not None)
    wanted: list[Action] = []
    if due:
        wanted.append(Collect(what="claimPosts", number=unpaid[0], serials=unpaid[:BATCH]))
    for number, account in s.view.left_bonds:
        free = number <= s.view.settled_number or s.view.ended is not None
        if account == s.local.identity and free:
            wanted.append(Collect(what="releaseBond", number=number))
    return wanted


def challenger(s: Snapshot) -> list[Action]:
    """A challenger's wishes: convict what is wrong, result or update."""
    wanted: list[Action] = []
    for post in s.view.unsettled():
        rebuilt = s.local.rebuilt.get(post.id)
        in_time = post.final_at is None or s.now < post.final_at
        if rebuilt is not None and rebuilt.verdict is ResultVerdict.WRONG and in_time:
            wanted.append(Convict(id=post.id))
            break  # what is built on it falls with it
    for (serial, slot), checked in s.local.checked.items():
        opening = s.view.openings.get(serial)
        if checked.proof is None or opening is None or opening.void:
            continue
        if opening.post is not None and opening.post.final:  # paid for as it is
            continue
        if not opening.malformed >> slot & 1 and slot in opening.submissions:
            wanted.append(ConvictUpdate(serial=serial, slot=slot))
    return wanted
