"""`steelyard token`: the ERC-20 of stakes, bonds and bounties."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import facts
from steelyard.cli.session import current, do
from steelyard.errors import ConfigError

app = typer.Typer(name="token", help="The deployment's token, or another ERC-20.", no_args_is_help=True)

Other = Annotated[
    str, typer.Option("--token", help="Address of another ERC-20 than the deployment's.", metavar="ADDRESS")
]


@app.command()
def balance(
    who: Annotated[str | None, typer.Argument(help="Account name or address.")] = None, token: Other = ""
) -> None:
    """Show an account's own tokens; `rewards show` has what the Vault holds for it."""
    do(_balance(who, token))


async def _balance(who: str | None, address: str) -> None:
    from steelyard.cli.context import chain_session

    owner = current().address_of(who)
    async with chain_session() as session:
        token = await session.token(address) if address else await session.deployment_token()
        units = await session.client.read(token.calls.balance_of(owner))
    current().out.emit(
        {
            "account": owner,
            "token": token.address,
            "symbol": token.symbol,
            "decimals": token.decimals,
            "units": units,
        },
        facts([("account", owner), ("balance", token.format(units)), ("token", token.address)]),
    )


@app.command()
def mint(
    amount: Annotated[str, typer.Argument(help="Tokens, like 1000 or 0.5.")],
    to: Annotated[
        str | None, typer.Option(help="Account name or address; the chosen account if left out.")
    ] = None,
) -> None:
    """Mint tokens, on development chains only."""
    do(_mint(amount, to))


async def _mint(amount: str, to: str | None) -> None:
    from steelyard.cli.context import chain_session, emit_result

    command = current()
    if not command.network().is_development:
        raise ConfigError(
            f"{command.config.network} is not a development chain; its token is not minted by hand",
            remedy="get tokens from somebody who has them, or choose --network anvil or ganache",
        )
    owner = command.address_of(to)
    async with chain_session(signing=True) as session:
        token = await session.deployment_token()
        units = token.parse(amount)
        await session.send(token.calls.mint(owner, units), f"mint {token.format(units)} for {owner}")
        emit_result(session, {"account": owner, "token": token.address, "units": units})
