"""A hook for tests: die by SIGKILL at a named place.

STEELYARD_CRASH="point:count" kills the process the count-th time that `point` is passed, "*:count" at the
count-th point of any name. Points: journal.before, journal.after (around each write of an intent),
send.before (the intent is on disk, the client has not seen it), the client's tx.signed, tx.broadcast,
tx.sent, tx.mined and tx.settled, send.after (the receipt is known, the journal does not say so yet),
train.after, aggregate.after, fetch.after, batch.before and batch.after (around each write of events).
Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "STEELYARD_CRASH"


class _Plan:
    """Where to die, and how often the place was passed."""

    def __init__(self, text: str | None) -> None:
        self.set(text or "")

    def set(self, text: str) -> None:
        point, _, count = text.rpartition(":")
        self.point = point or None
        self.left = int(count) if self.point else 0

    def passed(self, point: str) -> None:
        if self.point not in ("*", point):
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


_plan = _Plan(os.environ.get(VARIABLE))


def arm(plan: str) -> None:
    """Die at "point:count" from now on, whatever the environment said; nowhere for the empty string."""
    _plan.set(plan)


def crashpoint(point: str) -> None:
    """Pass `point`; the last thing this process does, where the test asks for it."""
    if _plan.point is not None:
        _plan.passed(point)
