"""Decisions of a challenger: convict wrong results and malformed updates. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.nodes.decisions.actions import Action, Convict, ConvictUpdate
from steelyard.nodes.decisions.common import Snapshot
from steelyard.nodes.state.local import ResultVerdict


def challenger_actions(s: Snapshot) -> list[Action]:
    """Convict the oldest wrong result, and every malformed update, of rounds that are not final."""
    return [*_convict_result(s), *_convict_updates(s)]


def _convict_result(s: Snapshot) -> list[Action]:
    for post in s.view.unsettled():
        rebuilt = s.local.rebuilt.get(post.id)
        in_time = post.final_at is None or s.now < post.final_at
        if rebuilt is not None and rebuilt.verdict is ResultVerdict.WRONG and in_time:
            return [Convict(id=post.id)]  # results that build on it become void with it
    return []


def _convict_updates(s: Snapshot) -> Iterator[Action]:
    for (serial, slot), check in s.local.checked.items():
        opening = s.view.openings.get(serial)
        if check.proof is None or opening is None or opening.void:
            continue
        if opening.post is not None and opening.post.final:  # too late
            continue
        if not opening.malformed >> slot & 1 and slot in opening.submissions:
            yield ConvictUpdate(serial=serial, slot=slot)
