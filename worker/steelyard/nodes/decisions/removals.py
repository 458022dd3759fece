"""Members and aggregators that stay away: anyone may free their places. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from steelyard.nodes.actions.types import Action, Upkeep
from steelyard.nodes.decisions.common import Snapshot
from steelyard.nodes.state.view import MemberSeat, Opening

ABSENCES = 3  # rounds in a row, or turns, after which the contract lets anyone remove the absent one


def removals(s: Snapshot) -> list[Action]:
    """Who is to be removed now: at most one aggregator and one member."""
    wanted: list[Action] = []
    for seat, account in s.view.aggregators.items():
        if _missed(s, account) >= ABSENCES and not _has_unsettled(s, account):
            mark = s.view.retirements[account]
            wanted.append(Upkeep(act="removeAggregator", serial=seat, mark=mark, account=account))
            break
    absent = next((seat for seat in s.view.seats.values() if _is_absent(s, seat)), None)
    if absent is not None:
        mark = s.view.settled_serial
        wanted.append(Upkeep(act="removeMember", serial=absent.slot, mark=mark, account=absent.worker))
    return wanted


def _missed(s: Snapshot, account: str) -> int:
    """Turns that others took since its last result, all of results that stand and since it enlisted."""
    turns = 0
    for opening in _way(s):
        if opening.serial <= s.view.enlisted.get(account, 0):
            break
        if opening.post is not None and opening.post.result.poster == account:
            break
        turns += opening.post is not None and opening.post.skipped == account
    return turns


def _way(s: Snapshot) -> Iterator[Opening]:
    """From the head back to the initial model."""
    if s.head is not None:
        yield s.head
        yield from s.view.ancestors(s.head.serial)


def _has_unsettled(s: Snapshot, account: str) -> bool:
    return any(post.result.poster == account for post in s.view.unsettled())


def _is_absent(s: Snapshot, seat: MemberSeat) -> bool:
    """Whether it was a member in the last three rounds that came to a result, and submitted to none."""
    if seat.leaving:
        return False
    last = list(islice((opening for opening in _way(s) if opening.post is not None), ABSENCES))
    return len(last) == ABSENCES and all(
        opening.members >> seat.slot & 1
        and opening.block > seat.block
        and seat.slot not in opening.submissions
        for opening in last
    )
