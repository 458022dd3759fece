"""Moving tokens into and out of the two purses: stake backs work, bond backs posted results."""

from __future__ import annotations

from steelyard.chain.generated.structs import Purse
from steelyard.chain.permits import sign_permit
from steelyard.cli.context import ChainSession, work
from steelyard.errors import ConfigError


async def put_in(amount: str, purse: Purse) -> None:
    """`worker stake` and `aggregator bond`: add to the purse of the account's identity."""
    async with work(signing=True) as at:
        token = await at.own_token()
        units = token.parse(amount)
        identity = await at.identity()
        await deposit(at, identity, purse, units)
        at.finish({"identity": identity, "purse": purse.name.lower(), "units": units})


async def deposit(at: ChainSession, identity: str, purse: Purse, units: int) -> None:
    """Move tokens into a purse, allowed by a signed permit.  Raises InsufficientFunds."""
    token = await at.own_token()
    await at.afford(token, units)
    permit = await sign_permit(at.client, units)
    call = at.contracts.vault.deposit_with_permit(
        identity, purse, units, permit.deadline, permit.v, permit.r, permit.s
    )
    await at.send(call, f"{purse.name.lower()} {token.show(units)} for {identity}")


async def take_out(amount: str, purse: Purse, *, retiring: int | None = None) -> None:
    """`worker unstake` and `aggregator unbond`: start unbonding what nothing locks.

    retiring: a job whose turns an aggregator gives up first.
    """
    async with work(signing=True) as at:
        if retiring is not None:
            call = at.contracts.coordinator.retire(retiring)
            await at.send(call, f"give up the turns of job {retiring}")
        vault, token = at.contracts.vault, await at.own_token()
        balance = await at.client.read(vault.balance_of(at.client.address, purse))
        units = balance.free if amount == "all" else token.parse(amount)
        if units == 0 or units > balance.free:
            held = f"{token.show(balance.free)} free, {token.show(balance.locked)} locked"
            remedy = "take no more than is free; leaving a job frees its part once its rounds are settled"
            raise ConfigError(
                f"the {purse.name.lower()} has {held}; {token.show(units)} cannot leave", remedy=remedy
            )
        delay = await at.client.read(vault.unbonding_delay())
        await at.send(vault.unbond(purse, units), f"start unbonding {token.show(units)}")
        at.session.out.say(f"after {delay} s `steelyard rewards claim` sends it to the payout address")
        at.finish({"identity": at.client.address, "units": units, "delay_s": delay})
