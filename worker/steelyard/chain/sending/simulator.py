"""Trying a call on the node before paying for it: gas, and the decoded reason where it would revert."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from steelyard.chain.calls import Call
from steelyard.chain.clock import ChainClock, Heads
from steelyard.chain.decoder import LogDecoder
from steelyard.chain.networks import Network
from steelyard.chain.reverts import is_revert, revert_data
from steelyard.chain.rpc import Rpc, RpcRefused
from steelyard.errors import InsufficientFunds, Reverted

_MARGIN = 130  # per cent of the estimate: another's transaction in between may make ours the dearer branch
_SPARE = 20_000
_LEAST = 21_000  # of any transaction
_SLOW_S = 1.0  # seconds without an answer before a development chain's estimate is looked for by calls too


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """Estimates for one account, on the state that the next block will see."""

    rpc: Rpc
    network: Network
    address: str
    registry: LogDecoder
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
        return gas if gas == _LEAST else min(gas * _MARGIN // 100 + _SPARE, max(block_limit - 1, gas))

    async def _answer(self, call: Call[object]) -> int:
        """The node's estimate; where a development chain is slow with it, what calls find out first.

        Ganache 7.9.2 never answers some estimates that it works on while it mines (one in thirty with five
        senders), and takes seconds for that of ten claims, a call of which takes it a tenth of one.
        """
        question = self.rpc.number("eth_estimateGas", call.fields(self.address), "pending")
        asked = {asyncio.create_task(question)}
        try:
            wait_s = _SLOW_S if self.network.is_development else None
            done, _ = await asyncio.wait(asked, timeout=wait_s)
            if not done:
                asked.add(asyncio.create_task(self._enough(call)))
                done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            return await done.pop()
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _enough(self, call: Call[object]) -> int:
        """Less than twice what is needed: a block's gas, halved for as long as it suffices."""
        enough = (await self.heads.latest(max_age_s=60.0)).gas_limit - 1
        await self._call_with(call, enough)
        while enough // 2 > _LEAST:
            try:
                await self._call_with(call, enough // 2)
            except RpcRefused:
                break
            enough //= 2
        return enough

    async def _call_with(self, call: Call[object], gas: int) -> None:
        await self.rpc.call("eth_call", {**call.fields(self.address), "gas": hex(gas)}, "pending")

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
