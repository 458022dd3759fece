"""An identity's registration, collateral, credits and reputation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steelyard.chain.generated.structs import Account, Balance, Collateral
from steelyard.cli.units import format_time

if TYPE_CHECKING:
    from steelyard.operations.chain_session import ChainSession, Token


async def statement(session: ChainSession, identity: str) -> tuple[dict[str, Any], list[tuple[str, object]]]:
    """The JSON document, and the lines for people."""
    vault, token = session.contracts.vault, await session.deployment_token()
    account = await session.client.read(session.contracts.registry.account_of(identity))
    stake = await session.client.read(vault.balance_of(identity, Collateral.STAKE))
    bond = await session.client.read(vault.balance_of(identity, Collateral.BOND))
    credit = await session.client.read(vault.credit_of(token.address, identity))
    document = {
        "identity": identity,
        "registered": account.registered,
        "operator": account.operator,
        "payout": account.payout,
        "encryption_key": account.encryption_key,
        "token": token.address,
        "stake": stake,
        "bond": bond,
        "credit_units": credit,
        "reputation": {
            "submitted": account.submitted,
            "included": account.included,
            "slashed": account.slashed,
        },
    }
    return document, [
        ("identity", identity),
        *_registration(account),
        ("stake", _collateral(token, stake)),
        ("bond", _collateral(token, bond)),
        ("credits", token.format(credit)),
        ("rounds", _reputation(account)),
    ]


def _registration(account: Account) -> list[tuple[str, object]]:
    if not account.registered:
        return [("registered", "no: `steelyard worker register`")]
    return [("registered", "yes"), ("operator", account.operator), ("payout", account.payout)]


def _reputation(account: Account) -> str:
    counts = f"{account.submitted} submitted, {account.included} included"
    return f"{counts}, {account.slashed} convictions"


def _collateral(token: Token, balance: Balance) -> str:
    text = f"{token.format(balance.free)} free, {token.format(balance.locked)} locked"
    if balance.unbonding:
        text += f", {token.format(balance.unbonding)} unbonding until {format_time(balance.withdrawable_at)}"
    return text
