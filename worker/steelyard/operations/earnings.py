"""Rewards of an identity, and moving them to its payout address."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.chain.generated.structs import Collateral, Result
from steelyard.errors import Reverted
from steelyard.nodes.claims import Share, in_batches, posts_of, read_view, shares_of
from steelyard.operations.chain_session import ChainSession, Token
from steelyard.operations.job_terms import job_terms


@dataclass(frozen=True, kw_only=True)
class Earnings:
    """Unclaimed rewards of an identity in one job."""

    job: int
    token: Token  # of the bounty
    shares: list[Share]
    posts: list[Result]
    bonds: list[int]  # rounds in which a bond of a void result waits
    as_of: int  # chain time at which all of this can be claimed

    @property
    def empty(self) -> bool:
        """True if there is nothing to claim."""
        return not (self.shares or self.posts or self.bonds)


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """Tokens that went to the payout address."""

    token: str  # address
    units: int


async def earnings_of(session: ChainSession, identity: str, job: int | None = None) -> list[Earnings]:
    """Unclaimed rewards, job by job; of one job if it is given.  Raises ConfigError for an unknown one."""
    if job is not None:
        await job_terms(session.client, job)
    jobs = (
        [job] if job else range(1, await session.client.read(session.contracts.coordinator.job_count()) + 1)
    )
    return [await _earned(session, each, identity) for each in jobs]


async def _earned(session: ChainSession, job: int, identity: str) -> Earnings:
    terms = (await job_terms(session.client, job)).terms
    view, now = await read_view(session.client, job), await session.client.chain_time()
    over = view.ended is not None
    return Earnings(
        job=job,
        token=await session.token(terms.token),
        as_of=now,
        shares=shares_of(view, identity, now),
        posts=posts_of(view, identity, now),
        bonds=sorted(
            number
            for number, account in view.unreleased_bonds
            if account == identity and (over or number <= view.settled_number)
        ),
    )


async def claim_earnings(session: ChainSession, identity: str, owed: list[Earnings]) -> list[Withdrawal]:
    """Claim what is owed, then withdraw credits and unbonded collateral.  Returns what moved, by token.

    What a node or another person claims in the meantime is left out.  Raises Reverted.
    """
    for each in owed:
        await _claim_job(session, identity, each)
    return await _withdraw(session, identity, {each.token.address: each.token for each in owed})


async def _claim_job(session: ChainSession, identity: str, owed: Earnings) -> None:
    coordinator, job = session.contracts.coordinator, owed.job

    async def shares(batch: list[Share]) -> None:
        call = coordinator.claim([share.result for share in batch], [share.submission for share in batch])
        await session.send(call, f"claim {len(batch)} shares of job {job}", not_before=owed.as_of)

    async def posts(batch: list[Result]) -> None:
        call = coordinator.claim_posts(batch)
        await session.send(call, f"claim {len(batch)} posts of job {job}", not_before=owed.as_of)

    await in_batches(owed.shares, shares)
    await in_batches(owed.posts, posts)
    for number in owed.bonds:
        call = coordinator.release_bond(job, number, identity)
        try:
            await session.send(call, f"free the bond of round {number} of job {job}")
        except Reverted as error:
            if error.name != "NoBondHere":  # somebody else has freed it
                raise


async def _withdraw(session: ChainSession, identity: str, tokens: dict[str, Token]) -> list[Withdrawal]:
    """Send credits, and stake and bond after their unbonding delay, to the payout address."""
    own = await session.deployment_token()
    due = await credits_of(session, identity, {**tokens, own.address: own})
    due[own.address] = due.get(own.address, 0) + await unbonded(session, identity)
    moved = [(address, units) for address, units in due.items() if units]
    if moved:
        payout = await session.client.read(session.contracts.registry.payout_of(identity))
        known = {**tokens, own.address: own}
        amounts = " and ".join(known[address].format(units) for address, units in moved)
        await session.send(
            session.contracts.vault.withdraw(identity, list(known)), f"send {amounts} to {payout}"
        )
    return [Withdrawal(token=address, units=units) for address, units in moved]


async def credits_of(session: ChainSession, identity: str, tokens: dict[str, Token]) -> dict[str, int]:
    """Credits by token, in smallest units."""
    calls = [session.contracts.vault.credit_of(address, identity) for address in tokens]
    return dict(zip(tokens, await session.client.read_all(calls), strict=True))


async def unbonded(session: ChainSession, identity: str) -> int:
    """Stake and bond that can be withdrawn now, in smallest units."""
    now = await session.client.chain_time()
    calls = [session.contracts.vault.balance_of(identity, kind) for kind in Collateral]
    return sum(each.unbonding for each in await session.client.read_all(calls) if now >= each.withdrawable_at)
