"""Trying a call on the node before paying for it: gas, and the decoded reason where it would revert."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from steelyard.errors import InsufficientFunds, Reverted

from .calls import Call
from .clock import ChainClock, Heads
from .networks import Network
from .registry import Registry
from .reverts import is_revert, revert_data
from .rpc import Rpc, RpcRefused

_MARGIN = 130  # per cent of the estimate: another's transaction in between may make ours the dearer branch
_SPARE = 20_000
_ASK_AGAIN_S = (2.0, 4.0)  # seconds without an answer before the same is asked once more, beside the first


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """Estimates for one account, on the state that the next block will see."""

    rpc: Rpc
    network: Network
    address: str
    registry: Registry
    clock: ChainClock
    heads: Heads

    async def gas(self, call: Call[object], *, not_before: int | None, until: float) -> int:
        """What the call needs.

        Raises Reverted, InsufficientFunds; TransactionTimeout where `not_before` is far off.
        """
        if not_before is None:
            return await self._estimate(call)
        reached = await self.clock.reach(not_before, until)
        while True:
            try:
                return await self._estimate(call)
            except Reverted:
                # The window is open by our clock and perhaps not yet by the next block's.
                if reached or time.monotonic() + self.network.poll_s > until:
                    raise
            await asyncio.sleep(self.network.poll_s)
            reached = (await self.heads.latest(fresh=True)).timestamp >= not_before

    async def gas_limit(
        self, call: Call[object], *, given: int | None, not_before: int | None, until: float
    ) -> int:
        """`given`, or the estimate with a margin, within what a block holds."""
        if given is not None:
            if not_before is not None:
                await self.clock.reach(not_before, until)
            return given
        gas = await self.gas(call, not_before=not_before, until=until)
        return self.limit(gas, (await self.heads.latest(max_age_s=60.0)).gas_limit)

    def limit(self, gas: int, block_limit: int) -> int:
        """`gas` with its margin; plain transfers need none."""
        return gas if gas == 21_000 else min(gas * _MARGIN // 100 + _SPARE, max(block_limit - 1, gas))

    async def _answer(self, call: Call[object]) -> int:
        """The first answer to the question, which is asked up to three times.

        Ganache 7.9.2 never answers some estimates that it works on while it mines (one in thirty with five
        senders), and answers others late: so an earlier question is not given up when another is asked.
        """
        asked: set[asyncio.Task[int]] = set()
        done: set[asyncio.Task[int]] = set()
        try:
            for wait_s in (*_ASK_AGAIN_S, None):
                question = self.rpc.number("eth_estimateGas", call.fields(self.address), "pending")
                asked.add(asyncio.create_task(question))
                done, _ = await asyncio.wait(asked, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                if done:
                    break
            return await done.pop()
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _estimate(self, call: Call[object]) -> int:
        try:
            return await self._answer(call)
        except RpcRefused as error:
            if is_revert(error):
                raise self.registry.reverts.explain(
                    call.describe(), revert_data(error), error.reason
                ) from error
            if "insufficient funds" in error.reason.lower():
                raise InsufficientFunds(
                    f"{self.address} cannot pay for {call.describe()}: {error.reason}",
                    remedy="send it some ether",
                ) from error
            raise
