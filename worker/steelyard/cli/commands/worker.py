"""`steelyard worker`: registration and stake."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import facts
from steelyard.cli.session import current, do
from steelyard.errors import ConfigError

app = typer.Typer(name="worker", help="Registration, stake and reputation.", no_args_is_help=True)

Operator = Annotated[str | None, typer.Option(help="Hot key that acts in jobs: account name or address.")]
Payout = Annotated[str | None, typer.Option(help="Where money goes: account name or address.")]
EncryptionKey = Annotated[
    str,
    typer.Option(
        help="X25519 public key for private shards, 64 hex digits; `new` makes one and keeps it.",
        metavar="HEX|new",
    ),
]


@app.command()
def register(
    stake: Annotated[str, typer.Option(help="Tokens to stake in the same transaction.")] = "0",
    operator: Operator = None,
    payout: Payout = None,
    encryption_key: EncryptionKey = "",
    approve: Annotated[
        bool, typer.Option(help="Approve in a transaction instead of a signed permit.")
    ] = False,
) -> None:
    """Register the account as an identity that may work, aggregate and be paid."""
    do(_register(stake, operator, payout, encryption_key, approve=approve))


async def _register(
    stake: str, operator: str | None, payout: str | None, encryption_key: str, *, approve: bool
) -> None:
    from steelyard.chain.permits import sign_permit
    from steelyard.cli.context import work
    from steelyard.cli.encryption import chosen_key

    session = current()
    async with work(signing=True) as at:
        acting = session.address_of(operator) if operator else at.client.address
        paid = session.address_of(payout) if payout else at.client.address
        token = await at.own_token()
        amount = token.parse(stake)
        await at.afford(token, amount)
        key = chosen_key(session, encryption_key, acting)
        what = f"register {at.client.address}" + (f" with a stake of {token.show(amount)}" if amount else "")
        registry = at.contracts.registry
        if amount == 0 or (approve and await at.approve(token, amount)):
            await at.send(registry.register(acting, paid, key, amount), what)
        elif not approve:
            permit = await sign_permit(at.client, amount)
            await at.send(registry.register_with_permit(acting, paid, key, amount, permit), what)
        done = {"identity": at.client.address, "operator": acting, "payout": paid, "stake_units": amount}
        at.finish(done | ({"encryption_key": key} if any(key) else {}))


@app.command()
def update(operator: Operator = None, payout: Payout = None, encryption_key: EncryptionKey = "") -> None:
    """Name another operator key, payout address or encryption key; only the identity itself can."""
    if operator is None and payout is None and not encryption_key:
        raise ConfigError("nothing to change", remedy="give --operator, --payout or --encryption-key")
    do(_update(operator, payout, encryption_key))


async def _update(operator: str | None, payout: str | None, encryption_key: str) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.encryption import chosen_key

    session = current()
    async with work(signing=True) as at:
        registry, done = at.contracts.registry, {"identity": at.client.address}
        known = await at.client.read(registry.account_of(at.client.address))
        key = chosen_key(
            session, encryption_key, session.address_of(operator) if operator else known.operator
        )
        if operator is not None:
            acting = session.address_of(operator)
            await at.send(registry.set_operator(acting), f"name {acting} as operator")
            session.out.say("seats in jobs keep the old key until `steelyard job reseat JOB`")
        if payout is not None:
            paid = session.address_of(payout)
            await at.send(registry.set_payout(paid), f"send money to {paid}")
        if encryption_key:
            await at.send(registry.set_encryption_key(key), "change the encryption key")
            done["encryption_key"] = f"0x{key.hex()}"
        at.finish(done)


@app.command()
def stake(amount: Annotated[str, typer.Argument(help="Tokens to add.")]) -> None:
    """Add to the stake; a job locks its part of it when you join."""
    from steelyard.chain.generated.structs import Purse
    from steelyard.cli.collateral import put_in

    do(put_in(amount, Purse.STAKE))


@app.command()
def unstake(amount: Annotated[str, typer.Argument(help="Tokens, or `all` that is free.")] = "all") -> None:
    """Start unbonding stake that no job locks; `rewards claim` moves it once the delay has passed."""
    from steelyard.chain.generated.structs import Purse
    from steelyard.cli.collateral import take_out

    do(take_out(amount, Purse.STAKE))


@app.command()
def status(who: Annotated[str | None, typer.Argument(help="Account name or address.")] = None) -> None:
    """Registration, purses and reputation."""
    do(_status(who))


async def _status(who: str | None) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.identity import statement

    session = current()
    async with work() as at:
        identity = await at.identity(session.address_of(who))
        document, pairs = await statement(at, identity)
    session.out.emit(document, facts(pairs))
