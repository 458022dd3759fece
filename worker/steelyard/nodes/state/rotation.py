"""Who takes turns at posting, as the log tells it: the part of the fold that is about aggregators. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.chain.generated import events as ev
from steelyard.nodes.state import committee

if TYPE_CHECKING:
    from steelyard.nodes.state.view import Opening, View


def note_enlisted(view: View, event: ev.AggregatorEnlisted) -> None:
    """A seat in the turns is taken."""
    view.aggregators[event.index] = event.account
    view.enlisted[event.account] = max(view.openings, default=0)
    view.gave_up.discard(event.account)


def note_retired(view: View, event: ev.AggregatorRetired) -> None:
    """A seat is free again, by its holder's wish or because it stayed away."""
    view.aggregators.pop(event.index, None)
    view.retirements[event.account] += 1
    if not event.removed:
        view.gave_up.add(event.account)


def skipped(view: View, opening: Opening, poster: str) -> str | None:
    """The aggregator whose turn it was, where that is another than the poster."""
    first = committee.elected(opening, sum(1 << seat for seat in view.aggregators))
    elected = view.aggregators.get(first) if first is not None else None
    return None if elected == poster else elected
