"""Decisions of every role, from a view, the local state and the time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from steelyard.chain.generated import events as ev
from steelyard.nodes.decisions.actions import (
    Action,
    Attest,
    Collect,
    Compute,
    Convict,
    ConvictUpdate,
    Enlist,
    Fetch,
    Hold,
    Provide,
    Publish,
    Rebuild,
    Submit,
    Train,
    Upkeep,
)
from steelyard.nodes.decisions.aggregator import aggregator_actions
from steelyard.nodes.decisions.challenger import challenger_actions
from steelyard.nodes.decisions.common import Snapshot, common_actions
from steelyard.nodes.decisions.upkeep import upkeep_actions
from steelyard.nodes.decisions.worker import worker_actions
from steelyard.nodes.state import committee
from steelyard.nodes.state.folding import fold
from steelyard.nodes.state.local import LocalState, RebuiltResult, ResultVerdict, UpdateCheck
from steelyard.nodes.state.view import CONVICTED, NOT_HELD, PARENT_VOID
from support.job_log import START, WINDOW, JobLog, id_of, terms, two_at_work, who

PLACE = Path("nowhere")


def right(*numbers: int, verdict: ResultVerdict = ResultVerdict.RIGHT) -> dict[bytes, RebuiltResult]:
    """Results that were rebuilt."""
    return {id_of(n): RebuiltResult(id=id_of(n), verdict=verdict, state=PLACE) for n in numbers}


def snapshot(
    log: JobLog, now: int, me: int = 0, *, clock: int | None = None, job: Any = None, **local: Any
) -> Snapshot:
    """The snapshot of account `me` at START + now. clock: of the head, if no event carries it."""
    view = fold(1, log.events)
    if clock is not None and view.head is not None:
        view.head.clock = START + clock
    return Snapshot(
        view=view,
        local=LocalState(identity=who(me), **local),
        terms=job or terms(),
        now=START + now,
        block=log.block,
    )


def held(serial: int, *slots: int) -> dict[tuple[int, int], UpdateCheck]:
    """Held updates."""
    return {(serial, slot): UpdateCheck(path=PLACE, held=True) for slot in slots}


def due(wanted: list[Action]) -> list[tuple[str, int]]:
    """Upkeep calls by function and serial."""
    return [(action.function, action.serial) for action in wanted if isinstance(action, Upkeep)]


def closed() -> JobLog:
    """Round 1 with both updates submitted."""
    log = two_at_work()
    log.submitted(1, 0, 1, close=True)
    return log


def attested() -> JobLog:
    """And attested by both."""
    log = closed()
    log.attested(1, 0, 3)
    log.attested(1, 1, 3)
    return log


def posted(*, opens: bool = True) -> JobLog:
    """And posted, with round 2 opened."""
    log = attested()
    log.posted(1, id_of(1), poster=10, included=3, size=2, hold_by=START + 200, parent=id_of(0))
    if opens:
        log.opened(2, 2, 2, parent=id_of(1), above=1, at=START + 100, opened_by_post=True)
    return log


class TestWorker:
    def test_it_rebuilds_the_parent_first_then_trains_then_submits(self) -> None:
        log = two_at_work()
        assert common_actions(snapshot(log, 1)) == [Rebuild(id=id_of(0))]
        assert not worker_actions(snapshot(log, 1))
        assert worker_actions(snapshot(log, 1, rebuilt=right(0))) == [Train(serial=1)]
        assert worker_actions(snapshot(log, 1, rebuilt=right(0), prepared={1})) == [Submit(serial=1)]

    def test_it_does_not_train_when_submissions_are_over(self) -> None:
        assert not worker_actions(snapshot(two_at_work(), WINDOW, rebuilt=right(0), prepared={1}))

    def test_it_provides_its_update_only_once_submissions_are_over_and_enough(self) -> None:
        log = two_at_work()
        log.submitted(1, 0)
        assert not worker_actions(snapshot(log, 50, rebuilt=right(0)))
        assert not worker_actions(snapshot(log, WINDOW, rebuilt=right(0)))  # one of two that a round needs
        assert Provide(serial=1, not_before=0) in worker_actions(snapshot(closed(), 50, clock=10))

    def test_it_attests_when_every_file_is_known(self) -> None:
        log = closed()
        waiting = snapshot(log, 12, clock=10, checked=held(1, 0), provided={1})
        assert not worker_actions(waiting)
        (wanted,) = worker_actions(snapshot(log, 12, clock=10, checked=held(1, 0, 1), provided={1}))
        assert isinstance(wanted, Attest)
        assert wanted.bitmap == 3

    def test_it_attests_what_it_holds_when_half_of_the_window_is_over(self) -> None:
        (wanted,) = worker_actions(snapshot(closed(), 60, clock=10, checked=held(1, 0), provided={1}))
        assert isinstance(wanted, Attest)
        assert wanted.bitmap == 1

    def test_a_bad_file_is_known_and_not_attested(self) -> None:
        checked = {**held(1, 0), (1, 1): UpdateCheck(path=PLACE, held=False)}
        (wanted,) = worker_actions(snapshot(closed(), 12, clock=10, checked=checked, provided={1}))
        assert isinstance(wanted, Attest)
        assert wanted.bitmap == 1

    def test_it_attests_once_a_try(self) -> None:
        log = closed()
        log.attested(1, 0, 3)
        assert not worker_actions(snapshot(log, 12, clock=10, checked=held(1, 0, 1), provided={1}))
        log.append(ev.Retried, serial=1, tries=1, committee=3)
        (wanted,) = worker_actions(snapshot(log, 120, clock=110, checked=held(1, 0, 1), provided={1}))
        assert wanted == Attest(serial=1, tries=1, bitmap=3, not_before=0)

    def test_its_submission_counts_as_a_hold_of_the_parent(self) -> None:
        assert worker_actions(snapshot(posted(), 110, rebuilt=right(0, 1))) == [Train(serial=2)]

    def test_it_calls_hold_if_no_round_opens(self) -> None:
        wanted = worker_actions(snapshot(posted(opens=False), 110, rebuilt=right(0, 1)))
        assert wanted == [Hold(serial=1, id=id_of(1))]

    def test_it_calls_hold_if_its_submission_may_come_too_late(self) -> None:
        wanted = worker_actions(snapshot(posted(), 180, rebuilt=right(0, 1)))
        assert wanted == [Train(serial=2), Hold(serial=1, id=id_of(1))]

    def test_it_holds_a_wrong_result_and_does_not_train_on_it(self) -> None:
        wrong = {**right(0), **right(1, verdict=ResultVerdict.WRONG)}
        assert worker_actions(snapshot(posted(), 110, rebuilt=wrong)) == [Hold(serial=1, id=id_of(1))]

    def test_it_never_holds_what_it_cannot_rebuild(self) -> None:
        cannot = {**right(0), **right(1, verdict=ResultVerdict.UNBUILDABLE)}
        for now in (110, 180, 199):
            assert not worker_actions(snapshot(posted(opens=False), now, rebuilt=cannot))

    def test_it_trains_on_a_wrong_result_that_nobody_convicted(self) -> None:
        log = posted()
        log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 150)
        wrong = {**right(0), **right(1, verdict=ResultVerdict.WRONG)}
        assert not worker_actions(snapshot(log, 149, rebuilt=wrong))
        assert worker_actions(snapshot(log, 150, rebuilt=wrong)) == [Train(serial=2)]

    def test_one_who_was_away_asks_the_round_to_wait(self) -> None:
        log = JobLog()
        log.members(3)
        log.opened(1, 1, 3, parent=id_of(0), above=0, at=START)
        log.submitted(1, 0, 1)
        log.posted(1, id_of(1), poster=10, included=3, size=2, hold_by=START + 400)
        log.opened(2, 2, 3, parent=id_of(1), above=1, at=START + 300, opened_by_post=True)
        back = Hold(serial=1, id=id_of(1), awaiting=2)
        assert back in worker_actions(snapshot(log, 310, me=2, rebuilt=right(0, 1)))
        assert back not in worker_actions(snapshot(log, 310, me=1, rebuilt=right(0, 1)))
        log.append(ev.Final, serial=1, number=1, id=id_of(1))
        assert back in worker_actions(snapshot(log, 310, me=2, rebuilt=right(0, 1)))
        log.append(ev.Ready, serial=2, worker=who(2), slot=2)
        assert back not in worker_actions(snapshot(log, 310, me=2, rebuilt=right(0, 1)))

    def test_a_stranger_wants_nothing(self) -> None:
        assert not worker_actions(snapshot(closed(), 20, me=7, clock=10))


class TestCommon:
    def test_files_are_fetched_once_submissions_are_over(self) -> None:
        log = two_at_work()
        log.submitted(1, 0)
        assert not [a for a in common_actions(snapshot(log, 50)) if isinstance(a, Fetch)]
        wanted = common_actions(snapshot(closed(), 50, clock=10, rebuilt=right(0)))
        assert wanted == [Fetch(serial=1, slot=0), Fetch(serial=1, slot=1)]

    def test_the_result_is_computed_before_it_is_posted(self) -> None:
        wanted = common_actions(snapshot(closed(), 50, clock=10, rebuilt=right(0), checked=held(1, 0, 1)))
        assert wanted == [Compute(serial=1, included=3)]

    def test_nothing_is_computed_on_a_parent_that_was_not_rebuilt(self) -> None:
        wanted = common_actions(snapshot(closed(), 50, clock=10, checked=held(1, 0, 1)))
        assert wanted == [Rebuild(id=id_of(0))]


class TestAggregator:
    def test_it_enlists_first(self) -> None:
        assert aggregator_actions(snapshot(two_at_work(), 1, me=12)) == [Enlist()]
        assert not aggregator_actions(snapshot(two_at_work(), 1, me=12), enlist=False)

    @pytest.mark.parametrize(("me", "posts"), [(10, False), (11, True)])
    def test_the_elected_one_posts_when_all_have_attested(self, me: int, posts: bool) -> None:
        s = snapshot(attested(), 20, me=me, clock=10, rebuilt=right(0), checked=held(1, 0, 1))
        assert [type(action) for action in aggregator_actions(s)] == ([Publish] if posts else [])

    def test_the_others_post_after_the_turn(self) -> None:
        facts: dict[str, Any] = {"rebuilt": right(0), "checked": held(1, 0, 1)}
        assert not aggregator_actions(snapshot(attested(), 129, me=10, clock=10, **facts))
        (wanted,) = aggregator_actions(snapshot(attested(), 130, me=10, clock=10, **facts))
        assert isinstance(wanted, Publish)
        assert (wanted.rank, wanted.not_before) == (1, START + 130)

    def test_it_posts_nothing_after_the_post_window(self) -> None:
        facts: dict[str, Any] = {"rebuilt": right(0), "checked": held(1, 0, 1)}
        assert aggregator_actions(snapshot(attested(), 159, me=11, clock=10, **facts))
        assert not aggregator_actions(snapshot(attested(), 160, me=11, clock=10, **facts))

    def test_it_does_not_post_what_it_does_not_hold(self) -> None:
        assert not aggregator_actions(
            snapshot(attested(), 20, me=11, clock=10, rebuilt=right(0), checked=held(1, 0))
        )

    def test_it_waits_a_little_for_attestors_that_it_does_not_need(self) -> None:
        log = JobLog()
        log.members(3)
        log.aggregators(10)
        log.opened(1, 1, 3, parent=id_of(0), above=0, at=START)
        log.submitted(1, 0, 1, 2, close=True)
        log.attested(1, 0, 7)
        log.attested(1, 1, 7)
        facts: dict[str, Any] = {"rebuilt": right(0), "checked": held(1, 0, 1, 2)}
        assert not aggregator_actions(snapshot(log, 19, me=10, clock=10, **facts))
        assert aggregator_actions(snapshot(log, 20, me=10, clock=10, **facts))

    def test_one_whose_result_became_void_goes_last(self) -> None:
        log = posted()
        log.append(ev.OpeningVoid, serial=2)
        log.append(ev.ResultVoid, same_block=True, serial=1, id=id_of(1), poster=who(11), cause=CONVICTED)
        facts: dict[str, Any] = {"rebuilt": right(0), "checked": held(1, 0, 1), "clock": 20}
        assert not aggregator_actions(snapshot(log, 125, me=11, **facts))
        (wanted,) = aggregator_actions(snapshot(log, 125, me=10, **facts))
        assert isinstance(wanted, Publish)
        assert (wanted.attempt, wanted.rank) == (1, 0)

    def test_without_a_bond_it_does_not_post(self) -> None:
        facts: dict[str, Any] = {"rebuilt": right(0), "checked": held(1, 0, 1), "clock": 10}
        assert not aggregator_actions(snapshot(attested(), 20, me=11, free_bond=9, **facts))
        assert aggregator_actions(snapshot(attested(), 20, me=11, free_bond=10, **facts))

    def test_it_waits_with_a_post_until_the_parents_holds_are_counted(self) -> None:
        log = posted()
        log.submitted(2, 0, 1, close=True)
        log.attested(2, 0, 3)
        log.attested(2, 1, 3)
        facts: dict[str, Any] = {"rebuilt": right(0, 1), "checked": held(2, 0, 1), "clock": 190}
        assert aggregator_actions(snapshot(log, 199, me=10, **facts))
        assert not aggregator_actions(snapshot(log, 200, me=10, **facts))
        log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 301)
        assert aggregator_actions(snapshot(log, 200, me=10, **facts))

    def test_a_lost_seat_is_taken_again_but_not_one_that_its_owner_retired(self) -> None:
        log = two_at_work()
        log.append(ev.AggregatorRetired, account=who(10), index=0, removed=True)
        assert aggregator_actions(snapshot(log, 1, me=10, was_enlisted=True)) == [Enlist(occasion=1)]
        log.append(ev.AggregatorEnlisted, account=who(10), index=0)
        log.append(ev.AggregatorRetired, account=who(10), index=0, removed=False)
        assert not aggregator_actions(snapshot(log, 1, me=10, was_enlisted=True))
        assert aggregator_actions(snapshot(log, 1, me=10)) == [
            Enlist(occasion=2)
        ]  # a start asks for one again

    def test_it_claims_posts_when_bonds_run_short_or_the_job_is_over(self) -> None:
        log = posted()
        log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 150)
        claims = [Collect(function="claimPosts", number=1, serials=(1,))]
        assert not aggregator_actions(snapshot(log, 150, me=10, free_bond=50))
        assert not aggregator_actions(snapshot(log, 149, me=10, free_bond=19))
        assert aggregator_actions(snapshot(log, 150, me=10, free_bond=19)) == claims
        log.append(ev.Final, serial=1, number=1, id=id_of(1))
        log.append(ev.JobEnded, aborted=True, final_rounds=1, returned=0)
        assert aggregator_actions(snapshot(log, 150, me=10, free_bond=50)) == claims
        log.append(ev.AggregatorPaid, serial=1, account=who(10), amount=1)
        assert not aggregator_actions(snapshot(log, 150, me=10, free_bond=50))

    def test_an_unreleased_bond_is_released_once_its_round_is_final(self) -> None:
        log = posted()
        log.append(ev.ResultVoid, serial=1, id=id_of(1), poster=who(10), cause=NOT_HELD)
        assert not aggregator_actions(snapshot(log, 300, me=10, clock=290))
        log.append(ev.JobEnded, aborted=True, final_rounds=0, returned=0)
        wanted = aggregator_actions(snapshot(log, 300, me=10, clock=290))
        assert wanted == [Collect(function="releaseBond", number=1)]

    def test_an_unreleased_bond_backs_the_next_post_in_the_same_opening(self) -> None:
        log = posted()
        log.append(ev.OpeningVoid, serial=2)
        log.append(ev.ResultVoid, serial=1, id=id_of(1), poster=who(10), cause=NOT_HELD)
        log.append(ev.Retried, same_block=True, serial=1, tries=1, committee=3)
        log.attested(1, 0, 3, tries=1)
        log.attested(1, 1, 3, tries=1)
        facts: dict[str, Any] = {"rebuilt": right(0), "checked": held(1, 0, 1), "clock": 200}
        assert aggregator_actions(snapshot(log, 340, me=10, free_bond=0, **facts))
        assert not aggregator_actions(snapshot(log, 340, me=11, free_bond=0, **facts))

    def test_an_unreleased_bond_of_an_earlier_opening_backs_nothing_and_is_released(self) -> None:
        log = posted()
        log.posted(2, id_of(2), poster=11, included=3, size=2, hold_by=START + 300, parent=id_of(1))
        log.append(ev.ResultVoid, serial=2, id=id_of(2), poster=who(11), cause=PARENT_VOID)
        log.append(ev.ResultVoid, serial=1, id=id_of(1), poster=who(10), cause=CONVICTED)
        log.posted(1, id_of(3), poster=11, included=3, size=2, hold_by=START + 300, attempt=1)
        log.opened(3, 2, 2, parent=id_of(3), above=1, at=START + 200, opened_by_post=True)
        log.submitted(3, 0, 1, close=True)
        log.attested(3, 0, 3)
        log.attested(3, 1, 3)
        facts: dict[str, Any] = {"rebuilt": right(0, 3), "checked": held(3, 0, 1), "clock": 210}
        assert not aggregator_actions(snapshot(log, 330, me=11, free_bond=9, **facts))
        log.posted(3, id_of(4), poster=11, included=3, size=2, hold_by=START + 400, parent=id_of(3))
        for serial, number, id_ in ((1, 1, 3), (3, 2, 4)):
            log.append(ev.Final, serial=serial, number=number, id=id_of(id_))
        assert aggregator_actions(snapshot(log, 500, me=11)) == [Collect(function="releaseBond", number=2)]
        log.append(ev.BondReleased, number=2, account=who(11))
        assert not aggregator_actions(snapshot(log, 500, me=11))


class TestChallenger:
    def test_it_convicts_what_is_wrong_until_it_is_final(self) -> None:
        log = posted()
        wrong = {**right(0), **right(1, verdict=ResultVerdict.WRONG)}
        assert challenger_actions(snapshot(log, 110, me=20, rebuilt=wrong)) == [Convict(id=id_of(1))]
        assert not challenger_actions(snapshot(log, 110, me=20, rebuilt=right(0, 1)))
        log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 150)
        assert challenger_actions(snapshot(log, 149, me=20, rebuilt=wrong))
        assert not challenger_actions(snapshot(log, 150, me=20, rebuilt=wrong))

    def test_it_cannot_convict_what_cannot_be_rebuilt(self) -> None:
        cannot = {**right(0), **right(1, verdict=ResultVerdict.UNBUILDABLE)}
        assert not challenger_actions(snapshot(posted(), 110, me=20, rebuilt=cannot))

    def test_it_convicts_a_malformed_update_until_its_round_is_final(self) -> None:
        proof: Any = object()
        checked = {(1, 0): UpdateCheck(path=PLACE, held=False, proof=proof)}
        log = posted()
        wanted = [ConvictUpdate(serial=1, slot=0)]
        assert challenger_actions(snapshot(log, 110, me=20, rebuilt=right(0, 1), checked=checked)) == wanted
        log.append(ev.Final, serial=1, number=1, id=id_of(1))
        assert not challenger_actions(snapshot(log, 110, me=20, rebuilt=right(0, 1), checked=checked))


class TestUpkeep:
    def test_nothing_is_due_while_a_round_runs(self) -> None:
        for log, now, clock in ((two_at_work(), 50, None), (closed(), 50, 10), (attested(), 150, 10)):
            assert not upkeep_actions(snapshot(log, now, clock=clock))

    def test_too_few_submissions_open_again(self) -> None:
        log = two_at_work()
        log.submitted(1, 0)
        assert due(upkeep_actions(snapshot(log, WINDOW))) == [("reopen", 1)]

    def test_too_few_included_are_attested_again_at_the_deadline(self) -> None:
        log = closed()
        log.attested(1, 0, 1)
        assert not upkeep_actions(snapshot(log, 109, clock=10))
        assert due(upkeep_actions(snapshot(log, 110, clock=10))) == [("retry", 1)]

    def test_no_post_in_time_is_attested_again(self) -> None:
        assert not upkeep_actions(snapshot(attested(), 159, clock=10))
        assert due(upkeep_actions(snapshot(attested(), 160, clock=10))) == [("retry", 1)]

    def test_after_the_last_try_it_is_opened_again(self) -> None:
        log = closed()
        log.append(ev.Retried, serial=1, tries=2, committee=3)
        assert due(upkeep_actions(snapshot(log, 300, clock=200))) == [("reopen", 1)]

    def test_a_result_that_is_not_held_is_retried(self) -> None:
        log = posted()
        assert not upkeep_actions(snapshot(log, 199))
        assert due(upkeep_actions(snapshot(log, 200))) == [("retry", 1)]
        log.submitted(2, 0, 1, close=True)  # both hold the parent by submitting
        assert due(upkeep_actions(snapshot(log, 200, clock=190))) == [("settle", 1)]  # which counts them

    def test_holds_that_came_by_submissions_are_counted_after_the_last_post_too(self) -> None:
        log, job = posted(), terms(rounds=2)
        log.submitted(2, 0, 1, close=True)
        log.attested(2, 0, 3)
        log.attested(2, 1, 3)
        log.posted(2, id_of(2), poster=11, included=3, size=2, hold_by=START + 300, parent=id_of(1))
        log.append(ev.ThresholdHeld, serial=2, id=id_of(2), final_at=START + 150)
        assert due(upkeep_actions(snapshot(log, 250, job=job))) == [("settle", 1)]
        late = terms(rounds=2, deadline=START + 240)
        assert due(upkeep_actions(snapshot(log, 250, job=late))) == [("settle", 1)]
        log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 350)
        assert not upkeep_actions(snapshot(log, 349, job=job))
        for terms_ in (job, late):
            assert due(upkeep_actions(snapshot(log, 350, job=terms_))) == [("close", 2)]

    def test_settling_the_next_result_of_an_opening_is_another_action(self) -> None:
        log = posted()
        log.submitted(2, 0, 1, close=True)
        first = upkeep_actions(snapshot(log, 120, clock=119))
        log.append(ev.OpeningVoid, serial=2)
        log.append(ev.ResultVoid, same_block=True, serial=1, id=id_of(1), poster=who(10), cause=CONVICTED)
        log.posted(
            1, id_of(3), poster=11, included=3, size=2, hold_by=START + 300, attempt=1, parent=id_of(0)
        )
        log.opened(3, 2, 2, parent=id_of(3), above=1, at=START + 130, opened_by_post=True)
        log.submitted(3, 0, 1, close=True)
        again = upkeep_actions(snapshot(log, 140, clock=139))
        assert due(first) == due(again) == [("settle", 1)]
        assert first != again

    def test_more_than_sixteen_submitters_need_a_draw(self) -> None:
        log = JobLog()
        log.members(17)
        log.opened(1, 1, 17, parent=id_of(0), above=0, at=START)
        log.submitted(1, *range(17), close=True)
        assert due(upkeep_actions(snapshot(log, 20, clock=10))) == [("drawCommittee", 1)]
        log.append(ev.CommitteeDrawn, serial=1, committee=0xFFFF)
        assert not upkeep_actions(snapshot(log, 20, clock=10))

    def test_a_round_that_could_not_open_with_the_post_opens_later(self) -> None:
        log = posted(opens=False)
        assert not upkeep_actions(snapshot(log, 110))  # not before the threshold holds its parent
        log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 210)
        assert due(upkeep_actions(snapshot(log, 110))) == [("openRound", 1)]
        log.append(ev.JobStopped)
        assert not due(upkeep_actions(snapshot(log, 110)))

    def test_the_last_round_closes_the_job_once_it_is_final(self) -> None:
        log = posted(opens=False)
        job = terms(rounds=1)
        assert not upkeep_actions(snapshot(log, 110, job=job))
        log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 150)
        assert not upkeep_actions(snapshot(log, 149, job=job))
        assert due(upkeep_actions(snapshot(log, 150, job=job))) == [("close", 1)]

    def test_a_job_past_its_deadline_is_aborted(self) -> None:
        job = terms(deadline=START + 50)
        assert due(upkeep_actions(snapshot(two_at_work(), 50, job=job))) == [("abort", 1)]

    def test_too_many_failures_end_the_job(self) -> None:
        log = two_at_work()
        for failures in (1, 2):
            log.append(ev.OpeningVoid, serial=1)
            log.append(ev.Reopened, same_block=True, serial=1, failures=failures)
        assert due(upkeep_actions(snapshot(log, 100))) == [("abort", 0)]

    def test_too_many_failures_of_a_later_round_end_the_job_once_what_stands_is_final(self) -> None:
        log = posted()
        log.append(ev.OpeningVoid, serial=2)
        log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 310)
        log.append(ev.Reopened, serial=2, failures=2)
        assert not upkeep_actions(snapshot(log, 309))  # opens no round: the contract refuses
        (wanted,) = upkeep_actions(snapshot(log, 310))
        assert wanted == Upkeep(function="abort", serial=1, occasion=2)
        assert isinstance(wanted, Upkeep)
        assert wanted.not_before == START + 310

    @pytest.mark.parametrize("rounds", [0, 1])
    def test_a_job_without_enough_members_waits_for_some_and_is_aborted_at_its_deadline(
        self, rounds: int
    ) -> None:
        log = posted(opens=False) if rounds else JobLog()
        if rounds:
            log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 210)
            log.append(ev.Left, worker=who(0), slot=0, until=1, removed=False)
        job = terms(deadline=START + 900)
        assert not upkeep_actions(snapshot(log, 899, job=job))  # too late for a round, and no reason to close
        (wanted,) = upkeep_actions(snapshot(log, 900, job=job))
        assert wanted == Upkeep(function="abort", serial=rounds, occasion=0)
        assert isinstance(wanted, Upkeep)
        assert wanted.not_before == START + 900  # so that a chain that stands still gets a block of that time

    def test_a_job_that_has_no_time_for_another_round_is_closed_at_that_very_second(self) -> None:
        log = posted(opens=False)
        log.append(ev.ThresholdHeld, serial=1, id=id_of(1), final_at=START + 210)
        job = terms(deadline=START + 1850)  # a round takes 850 s at the longest
        assert due(upkeep_actions(snapshot(log, 1000, job=job))) == [("openRound", 1)]
        (wanted,) = upkeep_actions(snapshot(log, 1001, job=job))
        assert wanted == Upkeep(function="close", serial=1, occasion=1)
        assert isinstance(wanted, Upkeep)
        assert wanted.not_before == START + 1001

    def test_the_seed_of_a_draw_is_recorded_before_the_chain_forgets_its_block(self) -> None:
        log = JobLog()
        log.members(17)
        log.opened(1, 1, 17, parent=id_of(0), above=0, at=START)
        opened = log.block
        for block, wanted in ((127, []), (128, [("recordSeed", 1)]), (255, [("recordSeed", 1)]), (256, [])):
            log.block = opened + block
            assert due(upkeep_actions(snapshot(log, 20))) == wanted
        log.submitted(1, 0)  # the 257th block: the chain has forgotten
        assert not fold(1, log.events).openings[1].seed_recorded
        log.submitted(1, *range(1, 17), close=True)
        assert due(upkeep_actions(snapshot(log, 20, clock=10))) == [("reopen", 1)]

    def test_a_submission_in_time_records_the_seed(self) -> None:
        log = JobLog()
        log.members(17)
        log.opened(1, 1, 17, parent=id_of(0), above=0, at=START)
        log.block += 255
        log.submitted(1, 0)
        assert not upkeep_actions(snapshot(log, 20))
        log.submitted(1, *range(1, 17), close=True)
        assert due(upkeep_actions(snapshot(log, 20, clock=10))) == [("drawCommittee", 1)]

    def test_nothing_is_kept_up_after_the_end(self) -> None:
        log = two_at_work()
        log.append(ev.JobEnded, aborted=True, final_rounds=0, returned=0)
        assert not upkeep_actions(snapshot(log, 10_000))


def rounds_without(slot: int, count: int, poster: int = 10) -> JobLog:
    """Rounds of three members in which one of them does nothing, all posted by the same aggregator."""
    log = JobLog()
    log.members(3)
    log.aggregators(10, 11)
    for serial in range(1, count + 1):
        log.opened(
            serial, serial, 3, parent=id_of(serial - 1), above=serial - 1, at=START, opened_by_post=serial > 1
        )
        log.submitted(serial, *({0, 1, 2} - {slot}), close=True)
        log.posted(serial, id_of(serial), poster=poster, included=3, size=2, hold_by=START + 10**6)
        log.append(ev.Final, serial=serial, number=serial, id=id_of(serial))
    log.opened(count + 1, count + 1, 3, parent=id_of(count), above=count, at=START, opened_by_post=True)
    return log


class TestAbsences:
    def test_a_member_that_missed_three_rounds_is_removed(self) -> None:
        job = terms(rounds=9)
        assert not due(upkeep_actions(snapshot(rounds_without(2, 2), 10, job=job)))
        wanted = upkeep_actions(snapshot(rounds_without(2, 3), 10, job=job))
        assert wanted == [Upkeep(function="removeMember", serial=2, occasion=3, account=who(2))]

    def test_a_leaving_member_is_not_removed(self) -> None:
        log = rounds_without(2, 3)
        log.append(ev.Left, worker=who(2), slot=2, until=4, removed=False)
        assert not upkeep_actions(snapshot(log, 10, job=terms(rounds=9)))

    def test_an_aggregator_that_was_skipped_three_times_is_removed(self) -> None:
        job = terms(rounds=9)
        assert not due(upkeep_actions(snapshot(rounds_without(9, 4), 10, job=job)))
        wanted = upkeep_actions(snapshot(rounds_without(9, 5), 10, job=job))
        assert wanted == [Upkeep(function="removeAggregator", serial=1, occasion=0, account=who(11))]

    def test_skips_in_void_results_do_not_count(self) -> None:
        log = rounds_without(9, 5)
        log.append(ev.OpeningVoid, serial=6)
        log.append(ev.ResultVoid, serial=5, id=id_of(5), poster=who(10), cause=0)
        assert "removeAggregator" not in dict(due(upkeep_actions(snapshot(log, 10, job=terms(rounds=9)))))

    def test_skips_before_it_came_back_do_not_count(self) -> None:
        log = rounds_without(9, 5)
        log.append(ev.AggregatorRetired, account=who(11), index=1, removed=False)
        log.append(ev.AggregatorEnlisted, account=who(11), index=1)
        assert "removeAggregator" not in dict(due(upkeep_actions(snapshot(log, 10, job=terms(rounds=9)))))


def test_included_needs_k_of_the_committee_and_no_proof_against_it() -> None:
    log = JobLog()
    log.members(4)
    log.opened(1, 1, 4, parent=id_of(0), above=0, at=START)
    log.submitted(1, 0, 1, 2, 3, close=True)
    for slot, bitmap in ((0, 0b0111), (1, 0b1011), (2, 0b1111)):
        log.attested(1, slot, bitmap)
    opening = fold(1, log.events).openings[1]
    assert committee.threshold(4) == 3
    assert committee.included(opening) == 0b0011
    opening.malformed = 0b0001
    assert committee.included(opening) == 0b0010


@pytest.mark.parametrize(("number", "demoted", "seat"), [(1, 0, 2), (2, 0, 0), (1, 0b100, 0), (2, 0b101, 0)])
def test_the_rotation_goes_by_number_among_seats_without_a_void_result(
    number: int, demoted: int, seat: int
) -> None:
    opening = dataclasses.replace(fold(1, two_at_work().events).openings[1], number=number, demoted=demoted)
    assert committee.elected(opening, 0b101) == seat
