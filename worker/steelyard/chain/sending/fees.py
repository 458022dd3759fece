"""EIP-1559 fees within an operator's ceilings. All amounts in wei (per gas, unless said otherwise)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from steelyard.chain.clock import Heads
from steelyard.chain.networks import Network
from steelyard.chain.rpc import Rpc, RpcRefused
from steelyard.chain.types import BlockHeader
from steelyard.errors import SpendLimit

GWEI = 10**9
_TIP_AGE_S = 30.0
_HEAD_AGE_S = 1.0  # a quote has room for the base fee to double, which takes six blocks
_STEP = 1125  # a replacement pays at least 12.5 % more; nodes ask for 10 %


@dataclass(frozen=True, kw_only=True)
class Fees:
    """What a transaction offers per gas. On a chain without base fee both are its gas price."""

    max_fee: int
    tip: int


def quote(base_fee: int, tip: int, ceiling: int) -> Fees:
    """Room for the base fee to double, within `ceiling`.

    Raises SpendLimit where the ceiling is below the present base fee: such a transaction would not be mined.
    """
    if base_fee > ceiling:
        raise SpendLimit(
            f"the base fee is {base_fee / GWEI:.6g} gwei, above your ceiling of {ceiling / GWEI:g} gwei",
            remedy="wait for a lower fee, or raise `max_fee_gwei`",
        )
    max_fee = min(2 * base_fee + tip, ceiling)
    return Fees(max_fee=max_fee, tip=min(tip, max_fee))


def bumped(last: Fees, now: Fees, ceiling: int) -> Fees | None:
    """Fees of a replacement: 12.5 % above `last`, no less than `now`; None where the ceiling forbids it."""
    raised = Fees(
        max_fee=max(-(-last.max_fee * _STEP // 1000), now.max_fee),
        tip=max(-(-last.tip * _STEP // 1000), now.tip),
    )
    return None if raised.max_fee > ceiling else raised


def check_spend(spent: int, cost: int, limit: int) -> None:
    """Refuse what would pass the day's ceiling (`limit` wei, 0 = none).  Raises SpendLimit."""
    if limit and spent + cost > limit:
        raise SpendLimit(
            f"this transaction can cost {ether(cost)} ETH, and {ether(spent)} ETH of today's "
            f"{ether(limit)} ETH are spent or promised",
            remedy="wait, or raise `max_spend_per_day`",
        )


def ether(wei: int) -> str:
    """Wei as ETH, without needless zeros: 0.0015."""
    return f"{wei / 10**18:.9f}".rstrip("0").rstrip(".") or "0"


class FeeSource:
    """The going fees, asked for seldom: the base fee comes with the head, the tip is kept for a while."""

    def __init__(self, rpc: Rpc, heads: Heads, network: Network) -> None:
        self._rpc = rpc
        self._heads = heads
        self._fixed_tip = network.is_development
        self.ceiling = round(network.max_fee_gwei * GWEI)
        self._tip = GWEI
        self._asked = float("-inf")

    async def quote(self) -> tuple[Fees, BlockHeader]:
        """Fees for now, and the head they are meant for.  Raises SpendLimit."""
        head = await self._heads.latest(max_age_s=_HEAD_AGE_S)
        if head.base_fee is None:
            price = await self._rpc.number("eth_gasPrice")
            return quote(price, 0, self.ceiling), head
        return quote(head.base_fee, await self._going_tip(head.base_fee), self.ceiling), head

    async def _going_tip(self, base_fee: int) -> int:
        if not self._fixed_tip and time.monotonic() - self._asked > _TIP_AGE_S:
            self._tip = await self._ask_tip(base_fee)
            self._asked = time.monotonic()
        return self._tip

    async def _ask_tip(self, base_fee: int) -> int:
        try:
            return await self._rpc.number("eth_maxPriorityFeePerGas")
        except RpcRefused:  # not every node has it
            return max(0, await self._rpc.number("eth_gasPrice") - base_fee)
