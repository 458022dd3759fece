"""A node's gossip: publishes its own hints and handles those of others.

Hints only add peers to ask for files; no decision depends on them. Without hints every file is still found, a
little later.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.content.gossip import Gossip, MessageVerdict
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.kubo.pubsub import PubSub
from steelyard.content.rate_limit import TokenBucket
from steelyard.errors import ChainError, FormatError
from steelyard.nodes.context import NodeContext
from steelyard.nodes.gossip.hints import MAX_LIFE_S, Body, GossipTopic, Hint, checked_body, sign_hint
from steelyard.nodes.reporting import Listener, NodeEvent

FIRST_PEER_S = 2.0  # seconds until the own address is first published; others know this member by then
PEER_S = 30.0  # seconds between publications of the own address
PROGRESS_S = 10.0  # seconds between publications of training progress
OPERATORS_S = 60.0  # seconds between reads of the aggregators' operator keys
MAX_QUEUED = 32  # hints waiting to be published; more are dropped
MAX_SEEN = 4096  # remembered hints of others
_ALL_SENDERS = "all"


class PeerGossip:
    """Publishes and handles the hints of one node. `observe` gets the node's own events."""

    def __init__(self, context: NodeContext, channels: Sequence[Gossip]) -> None:
        self._context, self._channels = context, channels
        self.topic = GossipTopic(
            chain_id=context.info.chain_id, coordinator=context.coordinator.address, job=context.info.job
        )
        self._queue: asyncio.Queue[tuple[str, Body]] = asyncio.Queue(MAX_QUEUED)
        self._sequence = time.time_ns() // 1000  # also grows over restarts
        self._progress_at = 0.0
        self._operators: dict[str, str] = {}  # identities of aggregators by lower-case operator key
        self._seen: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._senders = TokenBucket(burst=20.0, per_second=1.0)
        # A signature check takes 15 ms: at most 8 % of a core.
        self._signature_checks = TokenBucket(burst=20.0, per_second=5.0, callers=1)

    def observe(self, event: NodeEvent) -> None:
        """Queue a hint for an event that is useful to others."""
        if event.kind == "provided" and self._context.store.url:
            self.enqueue("file", {"cid": str(event.fields["cid"]), "url": self._context.store.url})
        elif event.kind == "progress" and time.monotonic() >= self._progress_at:
            self._progress_at = time.monotonic() + PROGRESS_S
            counts = {name: int(str(event.fields[name])) for name in ("step", "steps")}
            self.enqueue("progress", {"round": event.round or 0, **counts})

    def enqueue(self, kind: str, body: Body) -> None:
        """Queue a hint; it is dropped if the queue is full."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait((kind, body))

    async def publish_queued(self) -> None:
        """Publish queued hints, and periodically the own address, until cancelled."""
        due = time.monotonic() + FIRST_PEER_S
        while True:
            try:
                kind, body = await asyncio.wait_for(self._queue.get(), max(0.0, due - time.monotonic()))
            except TimeoutError:
                due = time.monotonic() + PEER_S
                kind, body = "peer", {"url": self._context.store.url or ""}
            # Others refuse hints from keys without a role on chain, for example a challenger's.
            if self._identity(self._context.client.address.lower()) and body.get("url") != "":
                await self._publish(kind, body)

    async def _publish(self, kind: str, body: Body) -> None:
        self._sequence += 1
        wallet, topic = self._context.client.wallet, self.topic
        with contextlib.suppress(FormatError):
            data = await asyncio.to_thread(
                sign_hint, wallet, topic, kind=kind, body=body, sequence=self._sequence
            )
            await asyncio.gather(*(each.publish(topic.name, data) for each in self._channels))

    async def track_operators(self) -> None:
        """Read the operator keys of new aggregators, until cancelled. Members' seats name theirs."""
        while True:
            known = set(self._operators.values())
            for identity in set(self._context.view.aggregators.values()) - known:
                with contextlib.suppress(ChainError):
                    account = await self._context.client.read(
                        self._context.info.contracts.registry.account_of(identity)
                    )
                    self._operators[account.operator.lower()] = identity
            await asyncio.sleep(OPERATORS_S)

    async def handle(self, data: bytes) -> MessageVerdict:
        """Check and use a message: format, sender, age and novelty first, as the signature costs most."""
        try:
            hint = Hint.parse(data)
        except FormatError:
            return MessageVerdict.REFUSED
        sender = hint.sender.lower()
        now = time.time()
        if sender == self._context.client.address.lower() or not now <= hint.expires <= now + MAX_LIFE_S:
            return MessageVerdict.PASSED_OVER
        identity = self._identity(sender)
        if identity is None:
            return MessageVerdict.REFUSED
        if (sender, hint.sequence) in self._seen or not self._signature_checks.take(_ALL_SENDERS):
            return MessageVerdict.PASSED_OVER
        if not await asyncio.to_thread(hint.is_signed_by_sender, self.topic):
            return MessageVerdict.REFUSED
        if (sender, hint.sequence) in self._seen:  # it arrived on another channel meanwhile
            return MessageVerdict.PASSED_OVER
        self._remember(sender, hint.sequence)
        body = checked_body(hint)
        if body is None or not self._senders.take(sender):
            return MessageVerdict.REFUSED
        self._apply(identity, hint.kind, body)
        return MessageVerdict.TAKEN

    def _identity(self, sender: str) -> str | None:
        """The identity that an operator key acts for in this job; None if it has no role."""
        for seat in self._context.view.seats.values():
            if seat.operator.lower() == sender:
                return seat.worker
        for identity in self._context.view.aggregators.values():
            if identity.lower() == sender:
                return identity
        return self._operators.get(sender)

    def _remember(self, sender: str, sequence: int) -> None:
        self._seen[sender, sequence] = None
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)

    def _apply(self, identity: str, kind: str, body: Body) -> None:
        url = body.get("url")
        if isinstance(url, str) and url:
            self._context.store.add_peers([url])
        self._context.report.emit(
            "hint",
            worker=identity,
            what=kind,
            cid=body.get("cid"),
            url=body.get("url"),
            of_round=body.get("round"),
            step=body.get("step"),
            steps=body.get("steps"),
        )


class FanoutListener:
    """Passes a node's events to its listener and, once gossip runs, to the gossip."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self.gossip: PeerGossip | None = None

    def __call__(self, event: NodeEvent) -> None:
        """Pass on one event of the node."""
        if self._listener is not None:
            self._listener(event)
        if self.gossip is not None:
            self.gossip.observe(event)


def _pubsub(store: StoreConfig) -> PubSub | None:
    if store.ipfs is None:
        return None
    return PubSub(DaemonAddress.parse(store.ipfs, store.ipfs_auth))


@asynccontextmanager
async def running_gossip(context: NodeContext, listener: FanoutListener) -> AsyncIterator[None]:
    """Publish and handle hints while the context is open, if the settings allow it."""
    if not context.config.hints:
        yield
        return
    channels: list[Gossip] = [context.store.gossip] if isinstance(context.store, EmbeddedStore) else []
    daemon = _pubsub(context.config.store)
    if daemon is not None:
        channels.append(daemon)
    gossip = listener.gossip = PeerGossip(context, channels)
    for channel in channels:
        channel.subscribe(gossip.topic.name, gossip.handle)
    tasks = [asyncio.create_task(gossip.publish_queued()), asyncio.create_task(gossip.track_operators())]
    try:
        yield
    finally:
        listener.gossip = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for channel in channels:
            await channel.close()
