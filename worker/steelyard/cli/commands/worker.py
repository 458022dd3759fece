"""`steelyard worker`: registration and stake."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import facts
from steelyard.cli.session import current, do
from steelyard.errors import ConfigError

app = typer.Typer(name="worker", help="Registration, stake and reputation.", no_args_is_help=True)

Operator = Annotated[str | None, typer.Option(help="Hot key for jobs: account name or address.")]
Payout = Annotated[str | None, typer.Option(help="Address that receives money: account name or address.")]
EncryptionKey = Annotated[
    str,
    typer.Option(
        help="X25519 public key for private shards, 64 hex digits; `new` makes one and stores it.",
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
    """Register the account as an identity that can work, aggregate and be paid."""
    do(_register(stake, operator, payout, encryption_key, approve=approve))


async def _register(
    stake: str, operator: str | None, payout: str | None, encryption_key: str, *, approve: bool
) -> None:
    from steelyard.cli.context import chain_session, emit_result
    from steelyard.cli.encryption import chosen_key
    from steelyard.operations.registration import register_worker

    command = current()
    async with chain_session(signing=True) as session:
        own = session.client.address
        acting = command.address_of(operator) if operator else own
        paid = command.address_of(payout) if payout else own
        token = await session.deployment_token()
        units = token.parse(stake)
        await session.require_balance(token, units)  # before a key is made
        key = chosen_key(command, encryption_key, acting)
        await register_worker(
            session, operator=acting, payout=paid, encryption_key=key, stake_units=units, approve=approve
        )
        document = {"identity": own, "operator": acting, "payout": paid, "stake_units": units}
        emit_result(session, document | ({"encryption_key": key} if any(key) else {}))


@app.command()
def update(operator: Operator = None, payout: Payout = None, encryption_key: EncryptionKey = "") -> None:
    """Change the operator key, payout address or encryption key; only the identity's own account can."""
    if operator is None and payout is None and not encryption_key:
        raise ConfigError("nothing to change", remedy="give --operator, --payout or --encryption-key")
    do(_update(operator, payout, encryption_key))


async def _update(operator: str | None, payout: str | None, encryption_key: str) -> None:
    from steelyard.cli.context import chain_session, emit_result
    from steelyard.cli.encryption import chosen_key
    from steelyard.operations.registration import update_identity

    command = current()
    async with chain_session(signing=True) as session:
        own = session.client.address
        known = await session.client.read(session.contracts.registry.account_of(own))
        acting = command.address_of(operator) if operator is not None else None
        paid = command.address_of(payout) if payout is not None else None
        key = chosen_key(command, encryption_key, acting or known.operator) if encryption_key else None
        await update_identity(session, operator=acting, payout=paid, encryption_key=key)
        if acting is not None:
            command.out.say("seats in jobs keep the old key until `steelyard job reseat JOB`")
        document = {"identity": own}
        emit_result(session, document | ({"encryption_key": f"0x{key.hex()}"} if key is not None else {}))


@app.command()
def stake(amount: Annotated[str, typer.Argument(help="Tokens to add.")]) -> None:
    """Add to the stake; joining a job locks a part of it."""
    from steelyard.chain.generated.structs import Collateral
    from steelyard.cli.collateral import deposit

    do(deposit(amount, Collateral.STAKE))


@app.command()
def unstake(amount: Annotated[str, typer.Argument(help="Tokens, or `all` that is free.")] = "all") -> None:
    """Start unbonding stake that no job locks; `rewards claim` moves it after the delay."""
    from steelyard.chain.generated.structs import Collateral
    from steelyard.cli.collateral import unbond

    do(unbond(amount, Collateral.STAKE))


@app.command()
def status(who: Annotated[str | None, typer.Argument(help="Account name or address.")] = None) -> None:
    """Registration, stake, bond and reputation."""
    do(_status(who))


async def _status(who: str | None) -> None:
    from steelyard.cli.context import chain_session
    from steelyard.cli.identity import statement

    command = current()
    async with chain_session() as session:
        identity = await session.identity(command.address_of(who))
        document, pairs = await statement(session, identity)
    command.out.emit(document, facts(pairs))
