"""An identity's standing: registration, purses, credits, reputation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steelyard.chain.generated.structs import Balance, Purse
from steelyard.cli.times import when

if TYPE_CHECKING:
    from steelyard.cli.context import ChainSession, Token


async def statement(at: ChainSession, identity: str) -> tuple[dict[str, Any], list[tuple[str, object]]]:
    """The same for programs and for people."""
    registry, vault, token = at.contracts.registry, at.contracts.vault, await at.own_token()
    account = await at.client.read(registry.account_of(identity))
    stake = await at.client.read(vault.balance_of(identity, Purse.STAKE))
    bond = await at.client.read(vault.balance_of(identity, Purse.BOND))
    credit = await at.client.read(vault.credit_of(token.address, identity))
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
    pairs: list[tuple[str, object]] = [
        ("identity", identity),
        ("registered", "yes" if account.registered else "no: `steelyard worker register`"),
        *([("operator", account.operator), ("payout", account.payout)] if account.registered else []),
        ("stake", _purse(token, stake)),
        ("bond", _purse(token, bond)),
        ("credits", token.show(credit)),
        (
            "rounds",
            f"{account.submitted} submitted, {account.included} included, {account.slashed} convictions",
        ),
    ]
    return document, pairs


def _purse(token: Token, balance: Balance) -> str:
    text = f"{token.show(balance.free)} free, {token.show(balance.locked)} locked"
    if balance.unbonding:
        text += f", {token.show(balance.unbonding)} unbonding until {when(balance.withdrawable_at)}"
    return text
