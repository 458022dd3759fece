"""The fold from events to a view of the job."""

from __future__ import annotations

from steelyard.chain.generated import events as ev
from steelyard.nodes.state.folding import fold
from steelyard.nodes.state.view import CONVICTED, NOT_HELD, PARENT_VOID, update_cid
from support.job_log import START, JobLog, id_of, two_at_work, who


def posted_twice() -> JobLog:
    """Round 1 posted with round 2 opened, round 2 posted with round 3 opened."""
    log = two_at_work()
    for serial in (1, 2):
        log.submitted(serial, 0, 1, close=True)
        log.attested(serial, 0, 3)
        log.attested(serial, 1, 3)
        log.posted(serial, id_of(serial), poster=10, included=3, size=2, hold_by=START + 500)
        log.opened(
            serial + 1, serial + 1, 2, parent=id_of(serial), above=serial, at=START + 100, opened_by_post=True
        )
    return log


def test_the_head_is_the_latest_opening_that_is_not_void() -> None:
    view = fold(1, posted_twice().events)
    assert view.head is not None
    assert view.head.serial == 3
    assert [post.serial for post in view.unsettled()] == [1, 2]


def test_a_rollback_is_a_fold_of_the_shorter_log() -> None:
    events = posted_twice().events
    cut = next(i for i, event in enumerate(events) if isinstance(event, ev.Posted) and event.serial == 2)
    view = fold(1, events[:cut])
    assert view.head is not None
    assert view.head.serial == 2
    assert view.head.post is None
    assert view.head.attestations == {0: 3, 1: 3}


def test_a_conviction_voids_what_is_built_on_the_result_and_keeps_the_bitmaps() -> None:
    log = posted_twice()
    log.append(ev.OpeningVoid, serial=3)
    log.append(ev.ResultVoid, same_block=True, serial=2, id=id_of(2), poster=who(10), cause=PARENT_VOID)
    log.append(ev.ResultVoid, same_block=True, serial=1, id=id_of(1), poster=who(10), cause=CONVICTED)
    view = fold(1, log.events)
    head = view.head
    assert head is not None
    assert (head.serial, head.post, head.attestations, head.clock) == (1, None, {0: 3, 1: 3}, None)
    assert head.demoted == 1
    assert not view.unsettled()
    assert view.unreleased_bonds == {(2, who(10)): 1}


def test_a_retry_asks_for_fresh_bitmaps_of_the_committee_that_the_chain_names() -> None:
    log = posted_twice()
    log.append(ev.OpeningVoid, serial=3)
    log.append(ev.ResultVoid, same_block=True, serial=2, id=id_of(2), poster=who(11), cause=NOT_HELD)
    log.append(ev.Retried, same_block=True, serial=2, tries=1, committee=2)
    log.attested(2, 0, 3, tries=0)  # of the previous try: no longer counts
    head = fold(1, log.events).head
    assert head is not None
    assert (head.tries, head.drawn, head.attestations, head.demoted) == (1, 2, {}, 2)


def test_submissions_hold_the_parent_that_their_opening_came_with() -> None:
    log = posted_twice()
    view = fold(1, log.events)
    assert view.holders(view.posts[id_of(1)]) == 3
    assert view.holders(view.posts[id_of(2)]) == 0
    log.submitted(3, 1)
    view = fold(1, log.events)
    assert view.holders(view.posts[id_of(2)]) == 2


def test_submissions_to_an_opening_that_came_without_a_post_hold_nothing() -> None:
    log = two_at_work()
    log.submitted(1, 0, 1, close=True)
    log.posted(1, id_of(1), poster=10, included=3, size=2, hold_by=START + 500)
    log.opened(2, 2, 2, parent=id_of(1), above=1, at=START + 200)
    log.submitted(2, 0)
    view = fold(1, log.events)
    assert view.holders(view.posts[id_of(1)]) == 0


def test_a_value_on_chain_that_is_not_a_cid_is_none() -> None:
    log = two_at_work()
    log.append(
        ev.Submitted, serial=1, worker=who(0), slot=0, weight=1, sealed_root=bytes(32), codec=7,
        digest=bytes(32),
    )  # fmt: skip
    head = fold(1, log.events).head
    assert head is not None
    assert update_cid(head.submissions[0]) is None


def test_events_of_other_jobs_change_nothing() -> None:
    log = two_at_work()
    before = len(log.events)
    log.append(ev.JobEnded, job=2, aborted=True, final_rounds=0, returned=0)
    assert len(log.events) == before + 1
    assert fold(1, log.events).ended is None


def test_ancestors_skip_void_branches() -> None:
    log = posted_twice()
    view = fold(1, log.events)
    assert [opening.serial for opening in view.ancestors(3)] == [2, 1]
