"""Prefetching the file of a posted result, and building on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steelyard.chain.generated import events as ev
from steelyard.nodes.decisions.actions import Action, Adopt, Prefetch, Train
from steelyard.nodes.decisions.common import Snapshot, common_actions
from steelyard.nodes.decisions.worker import worker_actions
from steelyard.nodes.state.folding import fold
from steelyard.nodes.state.local import LocalState, RebuiltResult, ResultVerdict, UpdateCheck
from support.job_log import START, WINDOW, JobLog, id_of, terms, two_at_work, who

PLACE = Path("nowhere")
INITIAL = {id_of(0): RebuiltResult(id=id_of(0), verdict=ResultVerdict.RIGHT, state=PLACE)}


def posted() -> JobLog:
    """Round 1's result is posted and round 2 takes submissions on it."""
    log = two_at_work()
    log.submitted(1, 0, 1, close=True)
    log.attested(1, 0, 3)
    log.posted(1, id_of(1), poster=10, included=3, size=2, hold_by=START + 2 * WINDOW)
    log.opened(2, 2, 2, parent=id_of(1), above=1, at=START + 20, opened_by_post=True)
    return log


def seen(log: JobLog, held: tuple[int, ...], **changes: Any) -> Snapshot:
    checked = {(1, slot): UpdateCheck(path=PLACE, held=True) for slot in held}
    on_held = bool(changes.pop("train_on_held", False))
    local = LocalState(identity=who(0), checked=checked, rebuilt={**INITIAL}, **changes)
    return Snapshot(
        view=fold(1, log.events),
        local=local,
        terms=terms(),
        now=START + 30,
        block=log.block,
        train_on_held=on_held,
    )


def prefetches(wanted: list[Action]) -> list[Action]:
    return [action for action in wanted if isinstance(action, (Prefetch, Adopt))]


def fetched(state: Path | None = PLACE) -> dict[bytes, RebuiltResult]:
    return {id_of(1): RebuiltResult(id=id_of(1), verdict=ResultVerdict.RIGHT, state=state)}


def test_a_result_is_prefetched_if_an_included_update_is_missing() -> None:
    assert prefetches(common_actions(seen(posted(), held=(0,)))) == [Prefetch(id=id_of(1))]
    assert prefetches(common_actions(seen(posted(), held=(0,), prefetched=fetched()))) == []


def test_a_result_that_follows_from_held_updates_is_not_fetched() -> None:
    assert prefetches(common_actions(seen(posted(), held=(0, 1)))) == []


def test_a_prefetched_held_result_is_trained_on_if_the_settings_allow_it() -> None:
    log = posted()
    for slot in (0, 1):
        log.append(ev.Held, serial=1, id=id_of(1), worker=who(slot), slot=slot)
    assert Train(serial=2) in worker_actions(seen(log, held=(0,), prefetched=fetched(), train_on_held=True))
    assert Train(serial=2) not in worker_actions(seen(log, held=(0,), prefetched=fetched()))
    assert Train(serial=2) not in worker_actions(
        seen(log, held=(0,), prefetched=fetched(None), train_on_held=True)
    )


def test_a_prefetched_final_result_is_adopted_although_its_updates_are_gone() -> None:
    log = posted()
    log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 25)
    log.append(ev.Final, serial=1, number=1, id=id_of(1))
    assert prefetches(common_actions(seen(log, held=(0,)))) == [Prefetch(id=id_of(1))]
    assert prefetches(common_actions(seen(log, held=(0,), prefetched=fetched()))) == [Adopt(id=id_of(1))]
    assert prefetches(common_actions(seen(log, held=(0,), prefetched=fetched(None)))) == []
