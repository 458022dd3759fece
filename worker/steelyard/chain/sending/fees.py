"""EIP-1559 fees within the configured ceilings. Amounts in wei, per gas unless stated."""

from __future__ import annotations

import time
from dataclasses import dataclass

from steelyard.chain.clock import Heads
from steelyard.chain.networks import Network
from steelyard.chain.rpc import Rpc, RpcRefused
from steelyard.chain.types import BlockHeader
from steelyard.chain.units import GWEI, format_ether, format_gwei
from steelyard.errors import SpendLimit

_TIP_AGE_S = 30.0
_HEAD_AGE_S = 1.0  # a quote has room for the base fee to double, which takes six blocks
_BUMP_PERMILLE = 1125  # a replacement pays at least 12.5 % more; nodes require 10 %


@dataclass(frozen=True, kw_only=True)
class Fees:
    """The fees of a transaction per gas. On a chain without base fee `max_fee` is the gas price."""

    max_fee: int
    tip: int


def quote(base_fee: int, tip: int, ceiling: int) -> Fees:
    """Fees with room for the base fee to double, within `ceiling`.

    Raises SpendLimit if the ceiling is below the current base fee: such a transaction would not be mined.
    """
    if base_fee > ceiling:
        raise SpendLimit(
            f"the base fee is {format_gwei(base_fee)}, above your ceiling of {format_gwei(ceiling)}",
            remedy="wait for a lower fee, or raise `max_fee_gwei`",
        )
    max_fee = min(2 * base_fee + tip, ceiling)
    return Fees(max_fee=max_fee, tip=min(tip, max_fee))


def bumped(last: Fees, now: Fees, ceiling: int) -> Fees | None:
    """Fees of a replacement: 12.5 % above `last`, at least `now`; None if above the ceiling."""
    raised = Fees(
        max_fee=max(-(-last.max_fee * _BUMP_PERMILLE // 1000), now.max_fee),
        tip=max(-(-last.tip * _BUMP_PERMILLE // 1000), now.tip),
    )
    return None if raised.max_fee > ceiling else raised


def check_spend(spent: int, cost: int, limit: int) -> None:
    """Raises SpendLimit if `cost` exceeds the rest of the day's limit. All in wei; a limit of 0 is none."""
    if limit and spent + cost > limit:
        raise SpendLimit(
            f"this transaction may cost {format_ether(cost)}, and {format_ether(spent)} of the "
            f"{format_ether(limit)} for 24 h are spent or reserved",
            remedy="wait, or raise `max_spend_per_day`",
        )


class FeeSource:
    """Cached fee estimates: the base fee comes with the cached head, the tip is read every 30 s."""

    def __init__(self, rpc: Rpc, heads: Heads, network: Network) -> None:
        self._rpc = rpc
        self._heads = heads
        self._fixed_tip = network.is_development
        self.ceiling = round(network.max_fee_gwei * GWEI)
        self._tip = GWEI
        self._fetched = float("-inf")

    async def quote(self) -> tuple[Fees, BlockHeader]:
        """Current fees, and the head that they are computed from.  Raises SpendLimit, Unreachable."""
        head = await self._heads.latest(max_age_s=_HEAD_AGE_S)
        if head.base_fee is None:
            price = await self._rpc.number("eth_gasPrice")
            return quote(price, 0, self.ceiling), head
        return quote(head.base_fee, await self._current_tip(head.base_fee), self.ceiling), head

    async def _current_tip(self, base_fee: int) -> int:
        if not self._fixed_tip and time.monotonic() - self._fetched > _TIP_AGE_S:
            self._tip = await self._fetch_tip(base_fee)
            self._fetched = time.monotonic()
        return self._tip

    async def _fetch_tip(self, base_fee: int) -> int:
        try:
            return await self._rpc.number("eth_maxPriorityFeePerGas")
        except RpcRefused:  # not every node has it
            return max(0, await self._rpc.number("eth_gasPrice") - base_fee)
