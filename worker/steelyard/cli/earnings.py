"""What an identity has earned, and moving it to its payout address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steelyard.chain.generated.structs import Purse, Result
from steelyard.cli.context import ChainSession, Token
from steelyard.cli.jobs.history import terms_of
from steelyard.errors import Reverted
from steelyard.nodes.claims import Share, in_batches, posts_of, read_view, shares_of


@dataclass(frozen=True, kw_only=True)
class Earnings:
    """What one job owes an identity and nobody has claimed yet."""

    job: int
    token: Token  # of the bounty
    shares: list[Share]
    posts: list[Result]
    bonds: list[int]  # rounds in which a bond of a void result waits
    as_of: int  # chain time at which all of this is due

    @property
    def empty(self) -> bool:
        """Whether there is nothing to claim."""
        return not (self.shares or self.posts or self.bonds)


async def earnings(at: ChainSession, identity: str, job: int | None) -> list[Earnings]:
    """By job; one job's where it is named.  Raises ConfigError for an unknown one."""
    if job is not None:
        await terms_of(at.client, job)
    jobs = [job] if job else range(1, await at.client.read(at.contracts.coordinator.job_count()) + 1)
    return [await _earned(at, each, identity) for each in jobs]


async def _earned(at: ChainSession, job: int, identity: str) -> Earnings:
    terms = (await terms_of(at.client, job)).terms
    view, now = await read_view(at.client, job), await at.client.chain_time()
    over = view.ended is not None
    return Earnings(
        job=job,
        token=await at.token(terms.token),
        as_of=now,
        shares=shares_of(view, identity, now),
        posts=posts_of(view, identity, now),
        bonds=sorted(
            number
            for number, account in view.left_bonds
            if account == identity and (over or number <= view.settled_number)
        ),
    )


async def claim(at: ChainSession, identity: str, owed: list[Earnings]) -> list[dict[str, Any]]:
    """Claim all that is owed, then withdraw credits and what has unbonded.  Returns what moved, by token.

    What a node or another person claims meanwhile is left out.
    """
    for each in owed:
        await _claim_job(at, identity, each)
    return await _withdraw(at, identity, {each.token.address: each.token for each in owed})


async def _claim_job(at: ChainSession, identity: str, owed: Earnings) -> None:
    coordinator, job = at.contracts.coordinator, owed.job

    async def shares(batch: list[Share]) -> None:
        call = coordinator.claim([share.result for share in batch], [share.submission for share in batch])
        await at.send(call, f"claim {len(batch)} shares of job {job}", not_before=owed.as_of)

    async def posts(batch: list[Result]) -> None:
        call = coordinator.claim_posts(batch)
        await at.send(call, f"claim {len(batch)} posts of job {job}", not_before=owed.as_of)

    await in_batches(owed.shares, shares)
    await in_batches(owed.posts, posts)
    for number in owed.bonds:
        call = coordinator.release_bond(job, number, identity)
        try:
            await at.send(call, f"free the bond of round {number} of job {job}")
        except Reverted as error:
            if error.name != "NoBondHere":  # somebody has freed it meanwhile
                raise


async def _withdraw(at: ChainSession, identity: str, tokens: dict[str, Token]) -> list[dict[str, Any]]:
    """Send credits, and stake and bond whose delay has passed, to the payout address."""
    own = await at.own_token()
    due = await credits_of(at, identity, {**tokens, own.address: own})
    due[own.address] = due.get(own.address, 0) + await unbonded(at, identity)
    moved = [(address, units) for address, units in due.items() if units]
    if moved:
        payout = await at.client.read(at.contracts.registry.payout_of(identity))
        known = {**tokens, own.address: own}
        said = " and ".join(known[address].show(units) for address, units in moved)
        await at.send(at.contracts.vault.withdraw(identity, list(known)), f"send {said} to {payout}")
    return [{"token": address, "units": units} for address, units in moved]


async def credits_of(at: ChainSession, identity: str, tokens: dict[str, Token]) -> dict[str, int]:
    """Credits by token, in smallest units."""
    calls = [at.contracts.vault.credit_of(address, identity) for address in tokens]
    return dict(zip(tokens, await at.client.read_all(calls), strict=True))


async def unbonded(at: ChainSession, identity: str) -> int:
    """Stake and bond that may leave now."""
    now = await at.client.chain_time()
    calls = [at.contracts.vault.balance_of(identity, purse) for purse in Purse]
    return sum(purse.unbonding for purse in await at.client.read_all(calls) if now >= purse.withdrawable_at)
