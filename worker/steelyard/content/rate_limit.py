"""Rate limits for requests and messages of other nodes."""

from __future__ import annotations

import time
from collections import OrderedDict


class TokenBucket:
    """Token buckets, one per caller, for a bounded number of callers.

    burst: most tokens of one caller.  per_second: tokens that come back each second.
    callers: the most recent ones are remembered.
    """

    def __init__(self, *, burst: float = 60.0, per_second: float = 1.0, callers: int = 1024) -> None:
        self._burst = burst
        self._per_second = per_second
        self._callers = callers
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> bool:
        """Spend one token. Returns False if none is left."""
        now = time.monotonic()
        tokens, then = self._buckets.pop(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._per_second)
        self._put(caller, tokens - 1.0 if tokens >= 1.0 else tokens, now)
        return tokens >= 1.0

    def penalize(self, caller: str) -> None:
        """Set the caller's balance to minus one burst: it must wait for one burst to refill."""
        self._put(caller, -self._burst, time.monotonic())

    def _put(self, caller: str, tokens: float, now: float) -> None:
        self._buckets.pop(caller, None)
        self._buckets[caller] = (tokens, now)
        if len(self._buckets) > self._callers:
            self._buckets.popitem(last=False)
