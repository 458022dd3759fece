"""Registering an identity, and changing its keys."""

from __future__ import annotations

from steelyard.chain.generated.structs import Collateral
from steelyard.chain.permits import sign_permit
from steelyard.operations.chain_session import ChainSession
from steelyard.operations.collateral import deposit

NO_KEY = bytes(32)


async def register_worker(
    session: ChainSession,
    *,
    operator: str | None = None,
    payout: str | None = None,
    encryption_key: bytes = NO_KEY,
    stake_units: int = 0,
    approve: bool = False,
) -> None:
    """Register the account as an identity, and stake in the same transaction.

    operator, payout: addresses; the account's own if left out.  encryption_key: X25519 public key, 32 bytes.
    stake_units: in the token's smallest unit.  approve: send an approval instead of a signed permit.
    Raises InsufficientFunds, Reverted.
    """
    own = session.client.address
    operator, payout = operator or own, payout or own
    token, registry = await session.deployment_token(), session.contracts.registry
    await session.require_balance(token, stake_units)
    what = f"register {own}" + (f" with a stake of {token.format(stake_units)}" if stake_units else "")
    if stake_units == 0 or (approve and await session.approve(token, stake_units)):
        await session.send(registry.register(operator, payout, encryption_key, stake_units), what)
    elif not approve:
        permit = await sign_permit(session.client, stake_units)
        call = registry.register_with_permit(operator, payout, encryption_key, stake_units, permit)
        await session.send(call, what)


async def register_aggregator(session: ChainSession, bond_units: int, *, job: int | None = None) -> str:
    """Add to the bond; register the account if it is not, and enlist in a job.  Returns the identity.

    bond_units: in the token's smallest unit.  job: not in a dry run.  Raises InsufficientFunds, Reverted.
    """
    registry, own = session.contracts.registry, session.client.address
    await session.require_balance(await session.deployment_token(), bond_units)  # before anything is sent
    identity = await session.identity()
    if identity == own and not (await session.client.read(registry.account_of(own))).registered:
        await session.send(registry.register(own, own, NO_KEY, 0), f"register {own}")
    await deposit(session, identity, Collateral.BOND, bond_units)
    if job is not None and not session.dry_run:
        call = session.contracts.coordinator.enlist(job)
        await session.send(call, f"join the aggregator rotation of job {job}")
    return identity


async def update_identity(
    session: ChainSession,
    *,
    operator: str | None = None,
    payout: str | None = None,
    encryption_key: bytes | None = None,
) -> None:
    """Change what is given; only the identity's own account can.  Raises Reverted."""
    registry = session.contracts.registry
    if operator is not None:
        await session.send(registry.set_operator(operator), f"set the operator to {operator}")
    if payout is not None:
        await session.send(registry.set_payout(payout), f"send money to {payout}")
    if encryption_key is not None:
        await session.send(registry.set_encryption_key(encryption_key), "change the encryption key")
