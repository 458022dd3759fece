"""Rewards: what is claimable, found in the chain's events, and claimed in batches (protocol.md section 8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from steelyard.chain.client import ChainClient
from steelyard.chain.generated.structs import Result, Submission
from steelyard.chain.types import Event, Receipt
from steelyard.errors import Reverted
from steelyard.nodes.context import NodeContext
from steelyard.nodes.state.folding import concerns, fold
from steelyard.nodes.state.view import Post, View

BATCH = 10  # shares or posts in one transaction

T = TypeVar("T", "Share", Result)


@dataclass(frozen=True, kw_only=True)
class Share:
    """A submission in a final round whose share was not claimed yet, for its work and its attesting."""

    result: Result
    submission: Submission
    number: int  # of the round
    included: bool

    @property
    def worker(self) -> str:
        """Who earned it; the money goes to its payout address, whoever claims."""
        return self.submission.worker


async def read_view(client: ChainClient, job: int) -> View:
    """A job's whole log, folded; follows nothing. Raises Unreachable."""
    follower = client.follow(addresses=[client.contracts.coordinator.address])
    events: list[Event] = []
    head = await client.head(fresh=True)
    while follower.cursor.number < head.number - client.network.confirmations:
        batch = await follower.poll()
        if batch is None:
            break
        if batch.rollback_to is not None:
            events = [event for event in events if event.at.block <= batch.rollback_to]
        events += [event for event in batch.events if concerns(job, event)]
    return fold(job, events)


async def claimable(client: ChainClient, job: int, account: str | None = None) -> list[Share]:
    """Shares of `account`, or of every worker, that can be claimed now, by round and slot."""
    return shares_of(await read_view(client, job), account, await client.chain_time())


async def claimable_posts(client: ChainClient, job: int, account: str | None = None) -> list[Result]:
    """Final results whose poster was not paid yet."""
    view = await read_view(client, job)
    return posts_of(view, account, await client.chain_time())


async def in_batches(items: Sequence[T], claim: Callable[[list[T]], Awaitable[None]]) -> None:
    """Call `claim` with at most ten at a time, without those that somebody else has claimed meanwhile.

    Anybody may claim for anybody, so that a node and a person at its keyboard often do so at once.
    """
    for start in range(0, len(items), BATCH):
        batch = list(items[start : start + BATCH])
        while batch:
            try:
                await claim(batch)
                break
            except Reverted as error:
                batch = _without_claimed(batch, error)


def _without_claimed(batch: list[T], error: Reverted) -> list[T]:
    """The batch without the item that was refused as paid before. Raises any other refusal again."""
    paid = error.args_by_name if error.name == "AlreadyClaimed" else {}
    left = [item for item in batch if _place(item) != (paid.get("job"), paid.get("serial"), paid.get("slot"))]
    if len(left) == len(batch):
        raise error
    return left


def _place(item: Share | Result) -> tuple[int, int, int]:
    """Job, serial and slot, as AlreadyClaimed names them; a post has slot 0."""
    if isinstance(item, Result):
        return item.job, item.serial, 0
    return item.submission.job, item.submission.serial, item.submission.slot


async def claim_shares(client: ChainClient, shares: Sequence[Share]) -> list[Receipt]:
    """Claim shares, at most ten a transaction; those that others claimed meanwhile are left out."""
    receipts: list[Receipt] = []

    async def send(batch: list[Share]) -> None:
        call = client.contracts.coordinator.claim(
            [share.result for share in batch], [share.submission for share in batch]
        )
        places = ",".join(f"{share.submission.serial}/{share.submission.slot}" for share in batch)
        receipts.append(await client.send(call, intent=f"claim:{batch[0].submission.job}:{places}"))

    await in_batches(shares, send)
    return receipts


async def claim_posts(client: ChainClient, posts: Sequence[Result]) -> list[Receipt]:
    """Have posters paid and their bonds unlocked, at most ten a transaction; paid ones are left out."""
    receipts: list[Receipt] = []

    async def send(batch: list[Result]) -> None:
        call = client.contracts.coordinator.claim_posts(batch)
        serials = ",".join(str(result.serial) for result in batch)
        receipts.append(await client.send(call, intent=f"claimPosts:{batch[0].job}:{serials}"))

    await in_batches(posts, send)
    return receipts


async def claim_own(desk: NodeContext) -> None:
    """Claim what this node's account has earned in its job."""
    client, job = desk.client, desk.info.job
    receipts = await claim_shares(client, await claimable(client, job, desk.local.identity))
    receipts += await claim_posts(client, await claimable_posts(client, job, desk.local.identity))
    for receipt in receipts:
        desk.report.say(
            "tx",
            what=receipt.what.rpartition(".")[2],
            intent=receipt.intent,
            hash=receipt.hash,
            block=receipt.block,
            gas_used=receipt.gas_used,
            cost_wei=str(receipt.cost_wei),
        )


def final_now(view: View, now: int) -> list[Post]:
    """Results that are final, or that a claim makes final: held, with the window over, on final parents."""
    found = view.final_posts()
    for post in view.unsettled():
        if post.final_at is None or now < post.final_at:
            break
        found.append(post)
    return found


def shares_of(view: View, account: str | None, now: int) -> list[Share]:
    """Unclaimed shares in final rounds."""
    found = []
    for post in final_now(view, now):
        for slot, sealed in sorted(view.openings[post.serial].submissions.items()):
            if (post.serial, slot) in view.claimed or account not in (None, sealed.worker):
                continue
            submission = Submission(
                job=view.job,
                serial=post.serial,
                slot=slot,
                worker=sealed.worker,
                weight=sealed.weight,
                sealed_root=sealed.sealed_root,
                codec=sealed.codec,
                digest=sealed.digest,
            )
            included = bool(post.result.included >> slot & 1)
            found.append(
                Share(result=post.result, submission=submission, number=post.number, included=included)
            )
    return found


def posts_of(view: View, account: str | None, now: int) -> list[Result]:
    """Final results whose poster was not paid."""
    return [
        post.result
        for post in final_now(view, now)
        if post.serial not in view.paid_posts and account in (None, post.result.poster)
    ]
