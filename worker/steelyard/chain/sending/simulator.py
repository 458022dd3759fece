"""Simulates a call before it is paid for: its gas, or the decoded reason if it would revert."""

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

_MARGIN_PERCENT = 130  # of the estimate: another transaction mined first may cause a costlier branch
_MARGIN_GAS = 20_000
_TRANSFER_GAS = 21_000  # the least of any transaction
_SLOW_S = 1.0  # seconds before an unanswered estimate of a development chain is also searched for by calls


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """Estimates gas for one account, on the pending state."""

    rpc: Rpc
    network: Network
    address: str
    decoder: LogDecoder
    clock: ChainClock
    heads: Heads

    async def gas(self, call: Call[object], *, not_before: int | None, until: float) -> int:
        """The gas that the call needs.

        not_before: unix seconds to wait for.  until: time.monotonic() of the caller's deadline.
        Raises Reverted, InsufficientFunds, Unreachable; TransactionTimeout if `not_before` is after `until`.
        """
        if not_before is None:
            return await self._estimate(call)
        reached = await self.clock.wait_until(not_before, until)
        while True:
            try:
                return await self._estimate(call)
            except Reverted:
                # The window is open by the local clock, perhaps not yet by the next block's.
                if reached or time.monotonic() + self.network.poll_s > until:
                    raise
            await asyncio.sleep(self.network.poll_s)
            reached = (await self.heads.latest(fresh=True)).timestamp >= not_before

    async def gas_limit(
        self, call: Call[object], *, given: int | None, not_before: int | None, until: float
    ) -> int:
        """`given`, or the estimate with a margin, below the block gas limit.  Raises as `gas`."""
        if given is not None:
            if not_before is not None:
                await self.clock.wait_until(not_before, until)
            return given
        gas = await self.gas(call, not_before=not_before, until=until)
        return self.limit(gas, (await self.heads.latest(max_age_s=60.0)).gas_limit)

    def limit(self, gas: int, block_limit: int) -> int:
        """`gas` with a margin, below `block_limit`; plain transfers need no margin."""
        if gas == _TRANSFER_GAS:
            return gas
        return min(gas * _MARGIN_PERCENT // 100 + _MARGIN_GAS, max(block_limit - 1, gas))

    async def _estimate_or_search(self, call: Call[object]) -> int:
        """The node's estimate or, if a development chain is slow, the first of it and a search by calls.

        Ganache 7.9.2 never answers some estimates that it works on while it mines (one in thirty with five
        senders), and takes seconds to estimate ten claims, which a call executes in 0.1 s.
        """
        estimate = self.rpc.number("eth_estimateGas", call.fields(self.address), "pending")
        tasks = {asyncio.create_task(estimate)}
        try:
            wait_s = _SLOW_S if self.network.is_development else None
            done, _ = await asyncio.wait(tasks, timeout=wait_s)
            if not done:
                tasks.add(asyncio.create_task(self._sufficient_gas(call)))
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return await done.pop()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _sufficient_gas(self, call: Call[object]) -> int:
        """A limit below twice the gas needed: a block's gas, halved while the call still succeeds."""
        limit = (await self.heads.latest(max_age_s=60.0)).gas_limit - 1
        await self._call_with(call, limit)
        while limit // 2 > _TRANSFER_GAS:
            try:
                await self._call_with(call, limit // 2)
            except RpcRefused:
                break
            limit //= 2
        return limit

    async def _call_with(self, call: Call[object], gas: int) -> None:
        await self.rpc.call("eth_call", {**call.fields(self.address), "gas": hex(gas)}, "pending")

    async def _estimate(self, call: Call[object]) -> int:
        try:
            return await self._estimate_or_search(call)
        except RpcRefused as error:
            if is_revert(error):
                raise self.decoder.reverts.explain(
                    call.describe(), revert_data(error), error.reason
                ) from error
            if "insufficient funds" in error.reason.lower():
                raise InsufficientFunds(
                    f"{self.address} cannot pay for {call.describe()}: {error.reason}",
                    remedy="send it some ether",
                ) from error
            raise
