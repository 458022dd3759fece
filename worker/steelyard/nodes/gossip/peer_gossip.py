"""A node's hints: what it tells others of its own, and what it makes of theirs.

Nothing waits for a hint and nothing follows from one but whom to ask for files. Without them every file is
found all the same, a little later.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.content.gateway_rules import TokenBucket
from steelyard.content.gossip import Gossip, MessageVerdict
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.kubo.pubsub import PubSub
from steelyard.errors import ChainError, FormatError
from steelyard.nodes.context import NodeContext
from steelyard.nodes.gossip.hints import MOST_LIFE_S, Body, GossipTopic, Hint, checked_body, signed
from steelyard.nodes.reporting import Listener, NodeEvent

SETTLE_S = 2.0  # seconds until the own address is told first: others have seen who this is by then
PEER_S = 30.0  # seconds between tellings of the own address
PROGRESS_S = 10.0  # seconds between tellings of a training's progress
OPERATORS_S = 60.0  # seconds between looks at who acts for the aggregators
WAITING = 32  # hints not told yet; more are dropped
REMEMBERED = 4096  # hints that were seen
_ANYBODY = "anybody"


class PeerGossip:
    """Tells and takes the hints of one node. `observe` is fed with the node's own events."""

    def __init__(self, desk: NodeContext, channels: Sequence[Gossip]) -> None:
        self._desk, self._channels = desk, channels
        self._place = GossipTopic(
            chain_id=desk.info.chain_id, coordinator=desk.coordinator.address, job=desk.info.job
        )
        self._waiting: asyncio.Queue[tuple[str, Body]] = asyncio.Queue(WAITING)
        self._sequence = time.time_ns() // 1000  # grows over restarts too
        self._progress_at = 0.0
        self._operators: dict[str, str] = {}  # of aggregators, by lower-case key: identity
        self._seen: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._senders = TokenBucket(burst=20.0, per_second=1.0)
        self._proofs = TokenBucket(burst=20.0, per_second=5.0, callers=1)  # 15 ms each: 8 % of a core at most

    def observe(self, event: NodeEvent) -> None:
        """Tell others what is worth a hint."""
        if event.kind == "provided" and self._desk.store.url:
            self.say("file", {"cid": str(event.fields["cid"]), "url": self._desk.store.url})
        elif event.kind == "progress" and time.monotonic() >= self._progress_at:
            self._progress_at = time.monotonic() + PROGRESS_S
            counts = {name: int(str(event.fields[name])) for name in ("step", "steps")}
            self.say("progress", {"round": event.round or 0, **counts})

    def say(self, kind: str, body: Body) -> None:
        """Tell it soon; where too much waits, never."""
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait((kind, body))

    async def tell(self) -> None:
        """Tell what waits, and the own address now and then, until cancelled."""
        due = time.monotonic() + SETTLE_S
        while True:
            try:
                kind, body = await asyncio.wait_for(self._waiting.get(), max(0.0, due - time.monotonic()))
            except TimeoutError:
                due = time.monotonic() + PEER_S
                kind, body = "peer", {"url": self._desk.store.url or ""}
            # Others take nothing from who has no part in the job, as a challenger has none.
            if self._identity(self._desk.client.address.lower()) and body.get("url") != "":
                await self._tell(kind, body)

    async def _tell(self, kind: str, body: Body) -> None:
        self._sequence += 1
        wallet, topic = self._desk.client.wallet, self._place.topic
        with contextlib.suppress(FormatError):
            data = await asyncio.to_thread(
                signed, wallet, self._place, kind=kind, body=body, sequence=self._sequence
            )
            await asyncio.gather(*(each.publish(topic, data) for each in self._channels))

    async def look(self) -> None:
        """Learn whose keys act for the aggregators, until cancelled; a member's seat says it."""
        while True:
            known = set(self._operators.values())
            for identity in set(self._desk.view.aggregators.values()) - known:
                with contextlib.suppress(ChainError):
                    account = await self._desk.client.read(
                        self._desk.info.contracts.registry.account_of(identity)
                    )
                    self._operators[account.operator.lower()] = identity
            await asyncio.sleep(OPERATORS_S)

    async def take(self, data: bytes) -> MessageVerdict:
        """Judge a message: form, sender, age and novelty first, for the signature costs most."""
        try:
            hint = Hint.parse(data)
        except FormatError:
            return MessageVerdict.REFUSED
        sender = hint.sender.lower()
        now = time.time()
        if sender == self._desk.client.address.lower() or not now <= hint.expires <= now + MOST_LIFE_S:
            return MessageVerdict.PASSED_OVER
        identity = self._identity(sender)
        if identity is None:
            return MessageVerdict.REFUSED
        if (sender, hint.sequence) in self._seen or not self._proofs.take(_ANYBODY):
            return MessageVerdict.PASSED_OVER
        if not await asyncio.to_thread(hint.is_of_its_sender, self._place):
            return MessageVerdict.REFUSED
        if (sender, hint.sequence) in self._seen:  # the same by another way meanwhile
            return MessageVerdict.PASSED_OVER
        self._remember(sender, hint.sequence)
        body = checked_body(hint)
        if body is None or not self._senders.take(sender):
            return MessageVerdict.REFUSED
        self._use(identity, hint.kind, body)
        return MessageVerdict.TAKEN

    def _identity(self, sender: str) -> str | None:
        """For whom a key acts in this job; None for strangers."""
        for seat in self._desk.view.seats.values():
            if seat.operator.lower() == sender:
                return seat.worker
        for identity in self._desk.view.aggregators.values():
            if identity.lower() == sender:
                return identity
        return self._operators.get(sender)

    def _remember(self, sender: str, sequence: int) -> None:
        self._seen[sender, sequence] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _use(self, identity: str, kind: str, body: Body) -> None:
        url = body.get("url")
        if isinstance(url, str) and url:
            self._desk.store.add_peers([url])
        self._desk.report.say(
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
    """A node's listener, with the hint desk beside it once there is one."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self.hints: PeerGossip | None = None

    def __call__(self, event: NodeEvent) -> None:
        """An event of the node's."""
        if self._listener is not None:
            self._listener(event)
        if self.hints is not None:
            self.hints.observe(event)


def _pubsub(store: StoreConfig) -> PubSub | None:
    if store.ipfs is None:
        return None
    address = DaemonAddress.parse(store.ipfs, store.ipfs_auth)
    return PubSub(address.url, address.auth)


@asynccontextmanager
async def hinting(desk: NodeContext, ears: FanoutListener) -> AsyncIterator[None]:
    """Tell and take hints meanwhile, unless the settings say not to."""
    if not desk.config.hints:
        yield
        return
    channels: list[Gossip] = [desk.store.board] if isinstance(desk.store, EmbeddedStore) else []
    daemon = _pubsub(desk.config.store)
    if daemon is not None:
        channels.append(daemon)
    hints = ears.hints = PeerGossip(desk, channels)
    topic = GossipTopic(
        chain_id=desk.info.chain_id, coordinator=desk.coordinator.address, job=desk.info.job
    ).topic
    for channel in channels:
        channel.subscribe(topic, hints.take)
    tasks = [asyncio.create_task(hints.tell()), asyncio.create_task(hints.look())]
    try:
        yield
    finally:
        ears.hints = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for channel in channels:
            await channel.close()
