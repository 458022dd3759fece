"""Runs a node's actions: starts the wanted ones, cancels the others, retries failed ones after a pause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from steelyard.errors import (
    DiskFull,
    InsufficientFunds,
    JournalError,
    Reverted,
    SpendLimit,
    SteelyardError,
    WalletError,
    WrongNetwork,
)
from steelyard.nodes.decisions.actions import (
    Action,
    Attest,
    Collect,
    Convict,
    ConvictUpdate,
    Enlist,
    Hold,
    Prefetch,
    Publish,
    Submit,
    Upkeep,
)

Perform = Callable[[Action], Awaitable[None]]
ON_CHAIN = (Attest, Collect, Convict, ConvictUpdate, Enlist, Hold, Publish, Submit, Upkeep)
FATAL = (DiskFull, JournalError, WalletError, WrongNetwork)
LOST_RACE = {
    "AlreadyPosted",
    "AlreadyHeld",
    "AlreadyClaimed",
    "WrongSerial",
    "WrongParent",
    "WrongResult",
    "JobOver",
}
"""Custom errors that mean that another node was faster. Reported only if they happen again."""
FIRST_PAUSE_S, LONGEST_PAUSE_S, NO_FUNDS_PAUSE_S = 0.1, 10.0, 30.0
EXHAUSTED = 5  # consecutive failures after which an action does not delay the end of the node
REPEAT_S = 0.5  # seconds before an action that is not a transaction and is still wanted is repeated


@dataclass(kw_only=True)
class RetryState:
    """Consecutive failures of an action, and when it may be tried again."""

    times: int
    retry_at: float  # monotonic seconds


class Tasks:
    """The running actions of one node.

    on_failure: called with each error and the number of consecutive ones. An error that must end the node is
    stored in `fatal` instead.
    """

    def __init__(self, perform: Perform, on_failure: Callable[[Action, SteelyardError, int], None]) -> None:
        self._perform, self._on_failure = perform, on_failure
        self._running: dict[Action, asyncio.Task[None]] = {}
        self._failed: dict[Action, RetryState] = {}
        self._done: set[Action] = set()  # mined transactions that the view may not show yet
        self.mined = False  # a transaction was mined since the last poll
        self.fatal: BaseException | None = None
        self.wake = asyncio.Event()

    @property
    def busy(self) -> bool:
        """True if an action runs."""
        return bool(self._running)

    def exhausted(self, wanted: Iterable[Action]) -> bool:
        """True if each of these failed repeatedly; one failure is enough for a prefetch."""
        return all(
            (failed := self._failed.get(action)) is not None
            and failed.times >= (1 if isinstance(action, Prefetch) else EXHAUSTED)
            for action in wanted
        )

    def reconcile(self, wanted: Iterable[Action]) -> None:
        """Start the new actions, cancel those that are no longer wanted and have not sent a transaction."""
        now, listed = time.monotonic(), set()
        for action in wanted:
            listed.add(action)
            failed = self._failed.get(action)
            if action in self._running or action in self._done or (failed and now < failed.retry_at):
                continue
            self._running[action] = asyncio.create_task(self._run(action), name=type(action).__name__)
        for action, task in self._running.items():
            if action not in listed and (not isinstance(action, ON_CHAIN) or isinstance(action, Upkeep)):
                task.cancel()
        self._done &= listed  # no longer wanted: the view shows it, and the next time is a new occasion
        for action in [action for action in self._failed if action not in listed]:
            del self._failed[action]

    def roll_back(self) -> None:
        """Forget which transactions were mined. If wanted again, the client finds those that still are."""
        self._done.clear()

    async def stop(self) -> None:
        """Cancel all actions and wait for their end."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, action: Action) -> None:
        try:
            await self._perform(action)
        except SteelyardError as error:
            self._record_failure(action, error)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # a bug: it ends the node
            self.fatal = error
        else:
            self._failed.pop(action, None)
            if isinstance(action, ON_CHAIN):
                self._done.add(action)
                self.mined = True
            else:
                self._failed[action] = RetryState(times=0, retry_at=time.monotonic() + REPEAT_S)
        finally:
            self._running.pop(action, None)
            self.wake.set()

    def _record_failure(self, action: Action, error: SteelyardError) -> None:
        if isinstance(error, FATAL):
            self.fatal = error
            return
        before = self._failed.get(action)
        times = before.times + 1 if before else 1
        pause = min(FIRST_PAUSE_S * 2 ** (times - 1), LONGEST_PAUSE_S)
        if isinstance(error, InsufficientFunds | SpendLimit):
            pause = NO_FUNDS_PAUSE_S
        self._failed[action] = RetryState(times=times, retry_at=time.monotonic() + pause)
        lost_race = isinstance(error, Reverted) and (error.name in LOST_RACE or isinstance(action, Upkeep))
        if not (lost_race and times == 1):
            self._on_failure(action, error, times)
