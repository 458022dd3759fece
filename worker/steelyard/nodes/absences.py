"""Members and aggregators that stay away: anyone may free their places. Pure."""

from __future__ import annotations

from steelyard.nodes.actions import Action, Upkeep
from steelyard.nodes.deciding import Situation
from steelyard.nodes.view import Seat

ABSENCES = 3  # rounds in a row, or turns, after which the contract lets anyone remove the absent one


def removals(s: Situation) -> list[Action]:
    """Who is to be removed now: at most one aggregator and one member."""
    wanted: list[Action] = []
    for seat, account in s.view.aggregators.items():
        if s.view.missed[account] >= ABSENCES and not _has_unsettled(s, account):
            mark = s.view.retirements[account]
            wanted.append(Upkeep(act="removeAggregator", serial=seat, mark=mark, account=account))
            break
    absent = next((seat for seat in s.view.seats.values() if _is_absent(s, seat)), None)
    if absent is not None:
        mark = s.view.settled_serial
        wanted.append(Upkeep(act="removeMember", serial=absent.slot, mark=mark, account=absent.worker))
    return wanted


def _has_unsettled(s: Situation, account: str) -> bool:
    return any(post.result.poster == account for post in s.view.unsettled())


def _is_absent(s: Situation, seat: Seat) -> bool:
    """Whether it was a member in the last three rounds that came to a result, and submitted to none."""
    head = s.head
    if head is None or seat.leaving:
        return False
    way = [head, *s.view.ancestors(head.serial)]
    last = [opening for opening in way if opening.post is not None][:ABSENCES]
    return len(last) == ABSENCES and all(
        opening.members >> seat.slot & 1
        and opening.block > seat.block
        and seat.slot not in opening.submissions
        for opening in last
    )
