"""Events in order, block by block, from where the consumer stopped; reorganisations are told as rollbacks.

The hashes of handled blocks travel in the cursor. When one of them is no longer the chain's, the follower
walks back
to the last that is, says so (`Batch.rollback_to`), and reads on from there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from steelyard.chain.clock import Heads
from steelyard.chain.decoder import LogDecoder
from steelyard.chain.networks import Network
from steelyard.chain.rpc import Rpc, RpcRefused
from steelyard.chain.types import BlockHeader, Event
from steelyard.errors import ChainError

log = logging.getLogger(__name__)
_RESTARTS = 20  # of one look, where the node refuses the range or the chain moves meanwhile
KEPT = 128  # handled blocks whose hashes are remembered: the deepest reorganisation that is followed exactly


@dataclass(frozen=True)
class Cursor:
    """Where a consumer stands: (number, hash) of the last block of each read, oldest first.

    `origin` is the block before the first that matters; nothing below is ever read.
    """

    origin: int
    seen: tuple[tuple[int, str], ...] = ()

    @classmethod
    def before(cls, first: int) -> Cursor:
        """Nothing handled; `first` is the first block to read."""
        return cls(origin=first - 1)

    @property
    def number(self) -> int:
        """The last handled block."""
        return self.seen[-1][0] if self.seen else self.origin

    def past(self, number: int, block_hash: str) -> Cursor:
        """The cursor after handling up to that block."""
        return Cursor(self.origin, (*self.seen, (number, block_hash))[-KEPT:])

    def back(self) -> Cursor:
        """The cursor without its last block."""
        return Cursor(self.origin, self.seen[:-1])

    def dump(self) -> str:
        """JSON, to be stored in the same transaction as what was derived from the batch."""
        return json.dumps({"origin": self.origin, "seen": self.seen}, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Cursor:
        """From `dump`.  Raises ChainError where it is malformed."""
        try:
            document = json.loads(text)
            return cls(
                int(document["origin"]), tuple((int(number), str(tag)) for number, tag in document["seen"])
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ChainError(
                f"not a cursor: {text[:80]!r}", remedy="delete it; events are read again"
            ) from error


@dataclass(frozen=True, kw_only=True)
class Batch:
    """New blocks and their events. Apply in this order: the rollback, the events, the cursor.

    rollback_to: forget what came from blocks above it; None where nothing is to be forgotten.
    to_block: the last handled block, `confirmations` below `head`.
    """

    rollback_to: int | None
    from_block: int
    to_block: int
    head: BlockHeader
    events: tuple[Event, ...]
    cursor: Cursor


class Follower:
    """Reads logs of `addresses` behind the head by `confirmations`. One consumer each."""

    def __init__(
        self,
        *,
        rpc: Rpc,
        heads: Heads,
        registry: LogDecoder,
        network: Network,
        cursor: Cursor,
        addresses: tuple[str, ...],
        confirmations: int,
    ) -> None:
        self.cursor = cursor
        self._rpc = rpc
        self._heads = heads
        self._registry = registry
        self._network = network
        self._addresses = addresses
        self._confirmations = confirmations
        self._range = network.log_range
        self._head = ""
        self._by_hash = True
        self._undone: int | None = None  # a rollback that no batch has told yet

    async def batches(self) -> AsyncIterator[Batch]:
        """Batches for ever, one look every `poll_s`.

        Raises Unreachable where the RPC stays away for `outage_s`.
        """
        while True:
            started = time.monotonic()
            batch = await self.poll()
            if batch is not None:
                yield batch
                continue
            await asyncio.sleep(max(0.0, self._network.poll_s - (time.monotonic() - started)))

    async def poll(self) -> Batch | None:
        """One look: the next batch, or None where nothing has changed."""
        for _ in range(_RESTARTS):
            head = await self._heads.latest(fresh=True)
            if head.hash == self._head:
                return None
            await self._roll_back(head)
            first, last = self.cursor.number + 1, self._last(head)
            if last < first:
                self._head = head.hash
                return None if self._undone is None else self._batch(first, last, head, ())
            target = await self._block(last, head)
            events = await self._events(first, target) if target else None
            if target and events is not None:
                self.cursor = self.cursor.past(target.number, target.hash)
                if target.number == head.number - self._confirmations:
                    self._head = head.hash
                return self._batch(first, last, head, events)
        return None  # the node is busy changing its mind; the next look begins anew

    def _batch(self, first: int, last: int, head: BlockHeader, events: tuple[Event, ...]) -> Batch:
        rollback_to, self._undone = self._undone, None
        return Batch(
            rollback_to=rollback_to,
            from_block=first,
            to_block=min(last, self.cursor.number),
            head=head,
            events=events,
            cursor=self.cursor,
        )

    async def _roll_back(self, head: BlockHeader) -> None:
        """Drop handled blocks that left the chain, and remember to tell so with the next batch."""
        before = self.cursor.number
        while self.cursor.seen:
            number, known = self.cursor.seen[-1]
            if known in (head.hash, head.parent) or await self._hash(number) == known:
                break
            self.cursor = self.cursor.back()
            self._undone = self.cursor.number
        if self.cursor.number != before:
            log.warning("reorganisation: blocks %d to %d left the chain", self.cursor.number + 1, before)

    async def _hash(self, number: int) -> str | None:
        raw = await self._rpc.call("eth_getBlockByNumber", hex(number), False)
        return None if raw is None else str(raw["hash"])

    def _last(self, head: BlockHeader) -> int:
        """The last block of the next read; below the first where nothing is confirmed beyond the cursor."""
        return min(head.number - self._confirmations, self.cursor.number + self._range)

    async def _block(self, number: int, head: BlockHeader) -> BlockHeader | None:
        if number == head.number:
            return head
        raw = await self._rpc.call("eth_getBlockByNumber", hex(number), False)
        return None if raw is None else BlockHeader.parse(raw)

    async def _events(self, first: int, target: BlockHeader) -> tuple[Event, ...] | None:
        """Events of `first` to `target`, or None where they are not those of `target`'s chain."""
        if not self._addresses:
            return ()
        wanted: dict[str, Any] = {"address": list(self._addresses)}
        single = first == target.number
        if single and self._by_hash:
            wanted["blockHash"] = target.hash
        else:
            wanted |= {"fromBlock": hex(first), "toBlock": hex(target.number)}
        try:
            logs = await self._rpc.call("eth_getLogs", wanted)
        except RpcRefused as error:
            if single:
                if await self._hash(target.number) != target.hash:
                    return None
                if "blockHash" not in wanted:
                    raise
                self._by_hash = False  # this node knows no logs by block hash
                return None
            self._range = max(1, (target.number - first + 1) // 2)
            log.info("%s; reading %d blocks at a time", error.reason, self._range)
            return None
        self._range = min(self._network.log_range, self._range * 2)
        if "blockHash" not in wanted and await self._hash(target.number) != target.hash:
            return None
        if any(raw.get("removed") for raw in logs):
            return None
        return self._registry.events(logs)
