"""Decisions about removing absent members and aggregators, which anyone may do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from steelyard.nodes.decisions.actions import Action, Upkeep
from steelyard.nodes.decisions.common import Snapshot
from steelyard.nodes.state.view import MemberSeat, Opening

ABSENCES = 3  # consecutive rounds or rotation turns after which the contract allows a removal


def removal_actions(s: Snapshot) -> list[Action]:
    """Remove at most one absent aggregator and one absent member."""
    wanted: list[Action] = []
    for seat, account in s.view.aggregators.items():
        if _missed(s, account) >= ABSENCES and not _has_unsettled(s, account):
            occasion = s.view.retirements[account]
            wanted.append(
                Upkeep(function="removeAggregator", serial=seat, occasion=occasion, account=account)
            )
            break
    absent = next((seat for seat in s.view.seats.values() if _is_absent(s, seat)), None)
    if absent is not None:
        occasion = s.view.settled_serial
        wanted.append(
            Upkeep(function="removeMember", serial=absent.slot, occasion=occasion, account=absent.worker)
        )
    return wanted


def _missed(s: Snapshot, account: str) -> int:
    """Number of standing results that others posted in its place since its last one or since it enlisted."""
    missed = 0
    for opening in _lineage(s):
        if opening.serial <= s.view.enlisted_after.get(account, 0):
            break
        if opening.post is not None and opening.post.result.poster == account:
            break
        missed += opening.post is not None and opening.post.skipped == account
    return missed


def _lineage(s: Snapshot) -> Iterator[Opening]:
    """The openings from the head back to the initial model."""
    if s.head is not None:
        yield s.head
        yield from s.view.ancestors(s.head.serial)


def _has_unsettled(s: Snapshot, account: str) -> bool:
    return any(post.result.poster == account for post in s.view.unsettled())


def _is_absent(s: Snapshot, seat: MemberSeat) -> bool:
    """True if it was a member in the last three rounds with a result and submitted in none of them."""
    if seat.leaving:
        return False
    last = list(islice((opening for opening in _lineage(s) if opening.post is not None), ABSENCES))
    return len(last) == ABSENCES and all(
        opening.members >> seat.slot & 1
        and opening.block > seat.block
        and seat.slot not in opening.submissions
        for opening in last
    )
