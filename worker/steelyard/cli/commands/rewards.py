"""`steelyard rewards`: claims and withdrawals."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import facts, table
from steelyard.cli.session import current, do

app = typer.Typer(name="rewards", help="Shares of final rounds, credits, withdrawals.", no_args_is_help=True)

Job = Annotated[int | None, typer.Argument(help="Number of the job; all of them if left out.", min=1)]
Who = Annotated[str | None, typer.Option("--for", help="Account name or address that earned them.")]


@app.command()
def show(job: Job = None, who: Who = None) -> None:
    """Show what can be claimed and what can be withdrawn."""
    do(_show(job, who))


async def _show(job: int | None, who: str | None) -> None:
    from steelyard.cli.context import chain_session
    from steelyard.operations.earnings import credits_of, earnings_of, unbonded

    async with chain_session() as session:
        identity = await session.identity(current().address_of(who))
        owed = await earnings_of(session, identity, job)
        own = await session.deployment_token()
        tokens = {own.address: own, **{each.token.address: each.token for each in owed}}
        due = await credits_of(session, identity, tokens)
        free = await unbonded(session, identity)
    rows = [(each.job, len(each.shares), len(each.posts), len(each.bonds)) for each in owed if not each.empty]
    jobs = [
        {"job": each.job, "shares": len(each.shares), "posts": len(each.posts), "bonds": len(each.bonds)}
        for each in owed
    ]
    current().out.emit(
        {"identity": identity, "jobs": jobs, "credits": due, "unbonded_units": free},
        facts(
            [
                ("identity", identity),
                ("credits", ", ".join(tokens[address].format(units) for address, units in due.items())),
                ("unbonded", own.format(free)),
            ]
        ),
        table((">job", ">shares to claim", ">posts to claim", ">bonds to free"), rows),
    )


@app.command()
def claim(job: Job = None, who: Who = None) -> None:
    """Claim shares and posts, then send credits and unbonded tokens to the payout address."""
    do(_claim(job, who))


async def _claim(job: int | None, who: str | None) -> None:
    from steelyard.cli.context import chain_session, emit_result
    from steelyard.operations.earnings import claim_earnings, earnings_of

    async with chain_session(signing=True) as session:
        account = current().address_of(who) if who else session.client.address
        identity = await session.identity(account)
        owed = await earnings_of(session, identity, job)
        moved = await claim_earnings(session, identity, owed)
        if not session.transactions:
            current().out.say(f"nothing to claim and nothing to withdraw for {identity}")
        emit_result(session, {"identity": identity, "withdrawn": moved})
