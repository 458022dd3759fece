"""`steelyard aggregator`: bonds, and the turns in jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import facts
from steelyard.cli.session import current, do

app = typer.Typer(name="aggregator", help="Bonds that back posted results.", no_args_is_help=True)

Job = Annotated[int | None, typer.Option(help="Take a place in the turns of this job, too.")]


@app.command()
def bond(amount: Annotated[str, typer.Argument(help="Tokens to add.")], job: Job = None) -> None:
    """Add to the bond, and register where that is missing. A posted result locks its part."""
    do(_bond(amount, job))


async def _bond(amount: str, job: int | None) -> None:
    from steelyard.chain.generated.structs import Purse
    from steelyard.cli.collateral import deposit
    from steelyard.cli.context import work

    async with work(signing=True) as at:
        registry, own = at.contracts.registry, at.client.address
        token = await at.own_token()
        units = token.parse(amount)
        await at.afford(token, units)  # before anything is sent
        identity = await at.identity()
        if identity == own and not (await at.client.read(registry.account_of(own))).registered:
            await at.send(registry.register(own, own, bytes(32), 0), f"register {own}")
        await deposit(at, identity, Purse.BOND, units)
        if job is not None and not at.session.dry_run:
            await at.send(at.contracts.coordinator.enlist(job), f"take turns in job {job}")
        at.finish({"identity": identity, "purse": "bond", "units": units, "job": job})


@app.command()
def unbond(
    amount: Annotated[str, typer.Argument(help="Tokens, or `all` that is free.")] = "all",
    job: Annotated[int | None, typer.Option(help="Give up the turns of this job first.")] = None,
) -> None:
    """Start unbonding what no result locks; `rewards claim` moves it once the delay has passed."""
    from steelyard.chain.generated.structs import Purse
    from steelyard.cli.collateral import take_out

    do(take_out(amount, Purse.BOND, retiring=job))


@app.command()
def status(who: Annotated[str | None, typer.Argument(help="Account name or address.")] = None) -> None:
    """Bond, credits and reputation."""
    do(_status(who))


async def _status(who: str | None) -> None:
    from steelyard.cli.context import work
    from steelyard.cli.identity import statement

    async with work() as at:
        identity = await at.identity(current().address_of(who))
        document, pairs = await statement(at, identity)
    current().out.emit(document, facts(pairs))
