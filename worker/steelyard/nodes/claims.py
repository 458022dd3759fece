"""Claimable rewards, found in the chain's events and claimed in batches (protocol.md section 8)."""

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
    """The unclaimed share of a submission in a final round, for its update and its attestation."""

    result: Result
    submission: Submission
    number: int  # of the round
    included: bool

    @property
    def worker(self) -> str:
        """Identity that earned the share. It is paid to its payout address, whoever claims."""
        return self.submission.worker


async def read_view(client: ChainClient, job: int) -> View:
    """Fold all events of a job up to the confirmed head. Raises Unreachable."""
    follower = client.follow(addresses=[client.contracts.coordinator.address])
    events: list[Event] = []
    head = await client.head(fresh=True)
    while follower.cursor.number < head.number - client.network.confirmations:
        batch = await follower.poll()
        if batch is None:
            break
        if batch.rollback_to is not None:
            events = [event for event in events if event.position.block <= batch.rollback_to]
        events += [event for event in batch.events if concerns(job, event)]
    return fold(job, events)


async def claimable(client: ChainClient, job: int, account: str | None = None) -> list[Share]:
    """Shares of `account`, or of every worker, that can be claimed now, by round and slot."""
    return shares_of(await read_view(client, job), account, await client.chain_time())


async def claimable_posts(client: ChainClient, job: int, account: str | None = None) -> list[Result]:
    """Final results whose poster was not paid, of `account` or of every poster."""
    view = await read_view(client, job)
    return posts_of(view, account, await client.chain_time())


async def in_batches(items: Sequence[T], claim: Callable[[list[T]], Awaitable[None]]) -> None:
    """Call `claim` with at most ten items at a time, leaving out those that others claim meanwhile.

    Anyone may claim for anyone, so a node and its operator may claim the same items at the same time.
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
    """The batch without the item that was refused as already claimed. Re-raises any other error."""
    paid = error.args_by_name if error.name == "AlreadyClaimed" else {}
    left = [
        item for item in batch if _claim_key(item) != (paid.get("job"), paid.get("serial"), paid.get("slot"))
    ]
    if len(left) == len(batch):
        raise error
    return left


def _claim_key(item: Share | Result) -> tuple[int, int, int]:
    """Job, serial and slot as in AlreadyClaimed; a post has slot 0."""
    if isinstance(item, Result):
        return item.job, item.serial, 0
    return item.submission.job, item.submission.serial, item.submission.slot


async def claim_shares(client: ChainClient, shares: Sequence[Share]) -> list[Receipt]:
    """Claim shares, at most ten per transaction, leaving out those that others claim meanwhile."""
    receipts: list[Receipt] = []

    async def send(batch: list[Share]) -> None:
        call = client.contracts.coordinator.claim(
            [share.result for share in batch], [share.submission for share in batch]
        )
        slots = ",".join(f"{share.submission.serial}/{share.submission.slot}" for share in batch)
        receipts.append(await client.send(call, intent=f"claim:{batch[0].submission.job}:{slots}"))

    await in_batches(shares, send)
    return receipts


async def claim_posts(client: ChainClient, posts: Sequence[Result]) -> list[Receipt]:
    """Pay posters and unlock their bonds, at most ten per transaction, leaving out those paid meanwhile."""
    receipts: list[Receipt] = []

    async def send(batch: list[Result]) -> None:
        call = client.contracts.coordinator.claim_posts(batch)
        serials = ",".join(str(result.serial) for result in batch)
        receipts.append(await client.send(call, intent=f"claimPosts:{batch[0].job}:{serials}"))

    await in_batches(posts, send)
    return receipts


async def claim_own(context: NodeContext) -> None:
    """Claim all rewards of this node's account in its job."""
    client, job = context.client, context.info.job
    receipts = await claim_shares(client, await claimable(client, job, context.local.identity))
    receipts += await claim_posts(client, await claimable_posts(client, job, context.local.identity))
    for receipt in receipts:
        context.report.emit(
            "tx",
            what=receipt.description.rpartition(".")[2],
            intent=receipt.intent,
            hash=receipt.hash,
            block=receipt.block,
            gas_used=receipt.gas_used,
            cost_wei=str(receipt.cost_wei),
        )


def final_now(view: View, now: int) -> list[Post]:
    """Results that are final, or that a claim finalizes: held, challenge window over, on final parents."""
    found = view.final_posts()
    for post in view.unsettled():
        if post.final_at is None or now < post.final_at:
            break
        found.append(post)
    return found


def shares_of(view: View, account: str | None, now: int) -> list[Share]:
    """Unclaimed shares in final rounds, of `account` or of every worker."""
    found = []
    for post in final_now(view, now):
        for slot, submission in sorted(view.openings[post.serial].submissions.items()):
            if (post.serial, slot) in view.claimed or account not in (None, submission.worker):
                continue
            included = bool(post.result.included >> slot & 1)
            found.append(
                Share(result=post.result, submission=submission, number=post.number, included=included)
            )
    return found


def posts_of(view: View, account: str | None, now: int) -> list[Result]:
    """Final results whose poster was not paid, of `account` or of every poster."""
    return [
        post.result
        for post in final_now(view, now)
        if post.serial not in view.paid_posts and account in (None, post.result.poster)
    ]
