"""Running actions: once each, cancelled when unwanted, retried after a pause, fatal on a bug."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from steelyard.errors import ContentMissing, DiskFull, Reverted, SteelyardError
from steelyard.nodes import tasks as tasks_module
from steelyard.nodes.decisions.actions import Action, Attest, Collect, Prefetch, Submit, Train, Upkeep
from steelyard.nodes.tasks import Tasks


def made(perform: Callable[[Action], Awaitable[None]]) -> tuple[Tasks, list[tuple[Action, int]]]:
    """Tasks, and the failures that they report."""
    failures: list[tuple[Action, int]] = []

    def failure(action: Action, _error: SteelyardError, times: int) -> None:
        failures.append((action, times))

    return Tasks(perform, failure), failures


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_action_runs_once_however_often_it_is_wanted() -> None:
    done: list[Action] = []

    async def perform(action: Action) -> None:
        done.append(action)

    tasks, _ = made(perform)
    for bitmap in (1, 3, 7):  # the same effect, with what is known by now
        tasks.reconcile([Attest(serial=1, tries=0, bitmap=bitmap, not_before=0)])
        await settle()
    assert len(done) == 1


async def test_an_action_that_was_not_wanted_for_a_while_is_performed_again() -> None:
    done: list[Action] = []

    async def perform(action: Action) -> None:
        done.append(action)

    tasks, _ = made(perform)
    opening = Upkeep(function="openRound", serial=1, occasion=1)
    for wanted in ([opening], [opening], [], [opening]):  # the round that it opened failed, and was dropped
        tasks.reconcile(wanted)
        await settle()
    assert done == [opening, opening]


async def test_at_the_end_a_prefetch_is_tried_once_and_a_payment_repeatedly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks_module, "FIRST_PAUSE_S", 0.0)

    async def perform(_action: Action) -> None:
        raise ContentMissing("nobody has it")

    tasks, _ = made(perform)
    file, payment = Prefetch(id=bytes(32)), Collect(function="claimPosts", number=1)
    assert not tasks.exhausted([file])
    for times in range(1, 6):
        assert not tasks.exhausted([file, payment])
        tasks.reconcile([file, payment])
        await settle()
        assert tasks.exhausted([file])
        assert tasks.exhausted([file, payment]) is (times == 5)


async def test_a_rollback_makes_transactions_wanted_again() -> None:
    done: list[Action] = []

    async def perform(action: Action) -> None:
        done.append(action)

    tasks, _ = made(perform)
    for _time in range(2):
        tasks.reconcile([Submit(serial=1)])
        await settle()
    assert len(done) == 1
    tasks.roll_back()
    tasks.reconcile([Submit(serial=1)])
    await settle()
    assert len(done) == 2


async def test_what_is_no_longer_wanted_stops_but_not_a_transaction() -> None:
    stopped: list[Action] = []

    async def perform(action: Action) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(action)
            raise

    tasks, failures = made(perform)
    waiting = Upkeep(function="retry", serial=1, occasion=0)
    tasks.reconcile([Train(serial=1), Submit(serial=1), waiting])
    await settle()
    tasks.reconcile([])
    await settle()
    assert stopped == [Train(serial=1), waiting]
    assert tasks.busy
    await tasks.stop()
    assert len(stopped) == 3
    assert not failures


async def test_a_failure_is_reported_and_retried_after_a_pause(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(tasks_module, "FIRST_PAUSE_S", 0.01)
    tries = 0

    async def perform(_action: Action) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ContentMissing("nobody has it")

    tasks, failures = made(perform)
    async with asyncio.timeout(60):
        while tries < 3:
            tasks.reconcile([Submit(serial=1)])
            await asyncio.sleep(0.001)
    assert failures == [(Submit(serial=1), 1), (Submit(serial=1), 2)]


async def test_a_lost_race_is_not_reported() -> None:
    async def perform(_action: Action) -> None:
        raise Reverted("too late", name="AlreadyPosted")

    tasks, failures = made(perform)
    tasks.reconcile([Attest(serial=1, tries=0, bitmap=1, not_before=0)])
    await settle()
    assert not failures


async def test_a_full_disk_ends_the_node_and_so_does_a_bug() -> None:
    for error in (DiskFull("no room"), ZeroDivisionError()):

        async def perform(_action: Action, error: Exception = error) -> None:
            raise error

        tasks, failures = made(perform)
        tasks.reconcile([Train(serial=1)])
        await settle()
        assert tasks.fatal is error
        assert not failures
