"""`stake`, `unstake` and `unbond`: moving tokens into and out of collateral."""

from __future__ import annotations

from steelyard.chain.generated.structs import Collateral
from steelyard.cli.context import chain_session, emit_result
from steelyard.cli.session import current
from steelyard.operations import collateral


async def deposit(amount: str, kind: Collateral) -> None:
    """Add to the stake or bond of the account's identity."""
    async with chain_session(signing=True) as session:
        units = (await session.deployment_token()).parse(amount)
        identity = await session.identity()
        await collateral.deposit(session, identity, kind, units)
        emit_result(session, {"identity": identity, "collateral": kind.name.lower(), "units": units})


async def unbond(amount: str, kind: Collateral, *, retire_from: int | None = None) -> None:
    """Start unbonding an amount, or `all` that is free."""
    async with chain_session(signing=True) as session:
        units = None if amount == "all" else (await session.deployment_token()).parse(amount)
        done = await collateral.unbond(session, kind, units, retire_from=retire_from)
        current().out.say(f"after {done.delay_s} s `steelyard rewards claim` sends it to the payout address")
        emit_result(
            session, {"identity": session.client.address, "units": done.units, "delay_s": done.delay_s}
        )
