"""Collateral in the Vault: stake backs work, bond backs posted results."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.chain.generated.structs import Collateral
from steelyard.chain.permits import sign_permit
from steelyard.errors import ConfigError
from steelyard.operations.chain_session import ChainSession


@dataclass(frozen=True, kw_only=True)
class Unbonding:
    """Collateral that is on its way out."""

    units: int
    delay_s: int  # until it can be withdrawn


async def deposit(session: ChainSession, identity: str, kind: Collateral, units: int) -> None:
    """Move tokens into an identity's stake or bond, allowed by a signed permit.

    Raises InsufficientFunds, Reverted.
    """
    token = await session.deployment_token()
    await session.require_balance(token, units)
    permit = await sign_permit(session.client, units)
    call = session.contracts.vault.deposit_with_permit(
        identity, kind, units, permit.deadline, permit.v, permit.r, permit.s
    )
    await session.send(call, f"{kind.name.lower()} {token.format(units)} for {identity}")


async def unbond(
    session: ChainSession, kind: Collateral, units: int | None = None, *, retire_from: int | None = None
) -> Unbonding:
    """Start unbonding collateral that nothing locks.

    units: all that is free if None.  retire_from: a job whose aggregator rotation the account leaves first.
    Raises ConfigError if less is free, Reverted.
    """
    if retire_from is not None:
        call = session.contracts.coordinator.retire(retire_from)
        await session.send(call, f"leave the aggregator rotation of job {retire_from}")
    vault, token = session.contracts.vault, await session.deployment_token()
    balance = await session.client.read(vault.balance_of(session.client.address, kind))
    wanted = balance.free if units is None else units
    if wanted == 0 or wanted > balance.free:
        held = f"{token.format(balance.free)} free, {token.format(balance.locked)} locked"
        raise ConfigError(
            f"the {kind.name.lower()} has {held}; {token.format(wanted)} cannot leave",
            remedy="take no more than is free; leaving a job frees its part once its rounds are settled",
        )
    delay_s = await session.client.read(vault.unbonding_delay())
    await session.send(vault.unbond(kind, wanted), f"start unbonding {token.format(wanted)}")
    return Unbonding(units=wanted, delay_s=delay_s)
