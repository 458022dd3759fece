"""A hook for tests: kill the process with SIGKILL at a named point.

STEELYARD_CRASH="point:count" kills the process when `point` is passed for the count-th time, "*:count" at the
count-th point of any name. Points: journal.before, journal.after (around each write of an intent),
send.before (the intent is on disk, but not yet with the client), the client's tx.signed, tx.broadcast,
tx.sent, tx.mined and tx.settled, send.after (the receipt is known, but not yet in the journal),
train.after, aggregate.after, fetch.after, batch.before and batch.after (around each write of events).
Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "STEELYARD_CRASH"


class _Plan:
    """The point at which to die, and the number of passes left."""

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
    """Set the plan "point:count" in place of the environment's; the empty string disarms it."""
    _plan.set(plan)


def crashpoint(point: str) -> None:
    """Pass `point`; kills the process if the plan says so."""
    if _plan.point is not None:
        _plan.passed(point)
