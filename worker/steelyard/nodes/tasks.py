"""The running actions of a node: started when wanted, stopped when not, tried again after a pause."""

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
from steelyard.nodes.actions.types import (
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
LATE = {
    "AlreadyPosted",
    "AlreadyHeld",
    "AlreadyClaimed",
    "WrongSerial",
    "WrongParent",
    "WrongResult",
    "JobOver",
}
"""Custom errors that say that somebody was first: no news, unless it happens again."""
FIRST_PAUSE_S, LONGEST_PAUSE_S, BROKE_PAUSE_S = 0.1, 10.0, 30.0
HOPELESS = 5  # failures in a row after which an ended job is not waited for
AGAIN_S = 0.5  # before an act that is not a transaction and left itself wanted is done again


@dataclass(kw_only=True)
class Failed:
    """An action that failed: how often in a row, and when it may be tried again."""

    times: int
    again_at: float  # monotonic seconds


class Tasks:
    """One node's actions.

    `failure` tells the owner of each error; one that ends the node is kept in `fatal`.
    """

    def __init__(self, perform: Perform, failure: Callable[[Action, SteelyardError, int], None]) -> None:
        self._perform, self._failure = perform, failure
        self._running: dict[Action, asyncio.Task[None]] = {}
        self._failed: dict[Action, Failed] = {}
        self._done: set[Action] = set()  # transactions that were mined and that the view may not show yet
        self.mined = False  # whether one was since the owner last looked at the chain
        self.fatal: BaseException | None = None
        self.wake = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether anything runs."""
        return bool(self._running)

    def hopeless(self, wanted: Iterable[Action]) -> bool:
        """Whether each of these failed again and again, or once where it only spares time later."""
        return all(
            (failed := self._failed.get(action)) is not None
            and failed.times >= (1 if isinstance(action, Prefetch) else HOPELESS)
            for action in wanted
        )

    def want(self, wanted: Iterable[Action]) -> None:
        """Start what is new, stop what is no longer wanted and has sent nothing."""
        now, listed = time.monotonic(), set()
        for action in wanted:
            listed.add(action)
            failed = self._failed.get(action)
            if action in self._running or action in self._done or (failed and now < failed.again_at):
                continue
            self._running[action] = asyncio.create_task(self._run(action), name=type(action).__name__)
        for action, task in self._running.items():
            if action not in listed and (not isinstance(action, ON_CHAIN) or isinstance(action, Upkeep)):
                task.cancel()
        self._done &= listed  # once it is not wanted any more, the chain shows it: the next time is another
        for action in [action for action in self._failed if action not in listed]:
            del self._failed[action]

    def roll_back(self) -> None:
        """Forget which transactions were mined: asked for again, the client finds those that still are."""
        self._done.clear()

    async def stop(self) -> None:
        """Cancel everything and wait for it to end."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, action: Action) -> None:
        try:
            await self._perform(action)
        except SteelyardError as error:
            self._note(action, error)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # a bug: the owner ends the node with it
            self.fatal = error
        else:
            self._failed.pop(action, None)
            if isinstance(action, ON_CHAIN):
                self._done.add(action)
                self.mined = True
            else:
                self._failed[action] = Failed(times=0, again_at=time.monotonic() + AGAIN_S)
        finally:
            self._running.pop(action, None)
            self.wake.set()

    def _note(self, action: Action, error: SteelyardError) -> None:
        if isinstance(error, FATAL):
            self.fatal = error
            return
        before = self._failed.get(action)
        times = before.times + 1 if before else 1
        pause = min(FIRST_PAUSE_S * 2 ** (times - 1), LONGEST_PAUSE_S)
        if isinstance(error, InsufficientFunds | SpendLimit):
            pause = BROKE_PAUSE_S
        self._failed[action] = Failed(times=times, again_at=time.monotonic() + pause)
        late = isinstance(error, Reverted) and (error.name in LATE or isinstance(action, Upkeep))
        if not (late and times == 1):
            self._failure(action, error, times)
