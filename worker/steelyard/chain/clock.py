"""The chain's time: the later of the latest block and the local clock, as an idle chain's time stands still.

On an idle anvil `eth_call` after a deadline still sees the last block's time, on Ganache even at `pending`:
before a call that needs a deadline to have passed, a development chain is asked to mine a block.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from steelyard.chain.networks import Network
from steelyard.chain.rpc import Rpc, RpcRefused
from steelyard.chain.types import BlockHeader
from steelyard.errors import TransactionTimeout


class Heads:
    """The latest block, read at most every `max_age_s`; a follower's poll refreshes it too."""

    def __init__(self, rpc: Rpc, *, max_age_s: float) -> None:
        self._rpc = rpc
        self._max_age_s = max_age_s
        self._head: BlockHeader | None = None
        self._updated = float("-inf")

    async def latest(self, *, fresh: bool = False, max_age_s: float | None = None) -> BlockHeader:
        """The head, at most `max_age_s` old; `fresh` always asks the node.  Raises Unreachable."""
        age = self._max_age_s if max_age_s is None else max_age_s
        if not fresh and self._head and time.monotonic() - self._updated <= age:
            return self._head
        head = BlockHeader.parse(await self._rpc.call("eth_getBlockByNumber", "latest", False))
        self.update(head)
        return head

    def update(self, head: BlockHeader) -> None:
        """Store a head that was read elsewhere."""
        self._head = head
        self._updated = time.monotonic()


class ChainClock:
    """`now()` for phases; `wait_until()` before calls that need a deadline to have passed."""

    def __init__(self, rpc: Rpc, heads: Heads, network: Network, *, development: bool) -> None:
        self._rpc = rpc
        self._heads = heads
        self._skew_s = network.skew_s
        self._poll_s = network.poll_s
        self._mines = development  # until the node refuses evm_mine

    async def now(self) -> int:
        """Unix seconds: the later of the latest block and the local clock less the skew."""
        return self._later((await self._heads.latest()).timestamp)

    def _later(self, timestamp: int) -> int:
        return max(timestamp, int(time.time() - self._skew_s))

    async def wait_until(self, timestamp: int, until: float) -> bool:
        """Wait for `now() >= timestamp` (unix seconds); a development chain then mines a block of that time.

        until: time.monotonic() of the caller's deadline.  Returns whether the latest block has reached the
        timestamp; if not, the next one soon will.  Raises TransactionTimeout.
        """
        while True:
            head = await self._heads.latest(fresh=True)
            wait = timestamp - max(head.timestamp, time.time() - self._skew_s)
            if wait <= 0:
                break
            if time.monotonic() + wait > until:
                raise _too_early(timestamp, wait)
            await asyncio.sleep(min(wait, max(self._poll_s, 0.05)))
        if head.timestamp < timestamp and self._mines:
            await self._mine()
            head = await self._heads.latest(fresh=True)
        return head.timestamp >= timestamp

    async def _mine(self) -> None:
        try:
            await self._rpc.call("evm_mine")
        except RpcRefused:
            self._mines = False  # geth --dev: its pending block has the right time


def _too_early(timestamp: int, wait: float) -> TransactionTimeout:
    when = datetime.fromtimestamp(timestamp, UTC).strftime("%H:%M:%S UTC")
    return TransactionTimeout(
        f"this call is possible from {when} on, in {wait:.0f} s", remedy="try again then, or wait longer"
    )
