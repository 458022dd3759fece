"""`steelyard aggregator`: bonds, and the aggregator rotation of jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import facts
from steelyard.cli.session import current, do

app = typer.Typer(name="aggregator", help="Bonds that back posted results.", no_args_is_help=True)

Job = Annotated[int | None, typer.Option(help="Join the aggregator rotation of this job, too.")]


@app.command()
def bond(amount: Annotated[str, typer.Argument(help="Tokens to add.")], job: Job = None) -> None:
    """Add to the bond, and register the account if it is not. A posted result locks its part."""
    do(_bond(amount, job))


async def _bond(amount: str, job: int | None) -> None:
    from steelyard.cli.context import chain_session, emit_result
    from steelyard.operations.registration import register_aggregator

    async with chain_session(signing=True) as session:
        units = (await session.deployment_token()).parse(amount)
        identity = await register_aggregator(session, units, job=job)
        emit_result(session, {"identity": identity, "collateral": "bond", "units": units, "job": job})


@app.command()
def unbond(
    amount: Annotated[str, typer.Argument(help="Tokens, or `all` that is free.")] = "all",
    job: Annotated[int | None, typer.Option(help="Leave the aggregator rotation of this job first.")] = None,
) -> None:
    """Start unbonding what no result locks; `rewards claim` moves it after the delay."""
    from steelyard.chain.generated.structs import Collateral
    from steelyard.cli.collateral import unbond as start_unbonding

    do(start_unbonding(amount, Collateral.BOND, retire_from=job))


@app.command()
def status(who: Annotated[str | None, typer.Argument(help="Account name or address.")] = None) -> None:
    """Bond, credits and reputation."""
    do(_status(who))


async def _status(who: str | None) -> None:
    from steelyard.cli.context import chain_session
    from steelyard.cli.identity import statement

    async with chain_session() as session:
        identity = await session.identity(current().address_of(who))
        document, pairs = await statement(session, identity)
    current().out.emit(document, facts(pairs))
