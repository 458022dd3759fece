"""Reads events in order, block by block, from a cursor; a reorganisation is reported as a rollback.

The cursor holds the hashes of handled blocks. If one of them has left the chain, the follower walks back to
the last that has not, reports it (`Batch.rollback_to`), and reads on from there.
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
_RESTARTS = 20  # of one poll, if the node refuses the range or the chain changes meanwhile
REMEMBERED_BLOCKS = 128  # hashes in a cursor: the deepest reorganisation that is followed exactly


@dataclass(frozen=True)
class Cursor:
    """A consumer's position: (number, hash) of the last block of each read, oldest first.

    `origin` is the block before the first that is read.
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

    def advanced_to(self, number: int, block_hash: str) -> Cursor:
        """The cursor after handling up to that block."""
        return Cursor(self.origin, (*self.seen, (number, block_hash))[-REMEMBERED_BLOCKS:])

    def without_last(self) -> Cursor:
        """The cursor without its last block."""
        return Cursor(self.origin, self.seen[:-1])

    def dump(self) -> str:
        """JSON, to be stored in the same database transaction as the data derived from the batch."""
        return json.dumps({"origin": self.origin, "seen": self.seen}, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Cursor:
        """Parse the text of `dump`.  Raises ChainError if it is malformed."""
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

    rollback_to: discard data from blocks above it; None if there is nothing to discard.
    to_block: the last handled block, `confirmations` below `head`.
    """

    rollback_to: int | None
    from_block: int
    to_block: int
    head: BlockHeader
    events: tuple[Event, ...]
    cursor: Cursor


class Follower:
    """Reads logs of `addresses`, `confirmations` blocks behind the head. For one consumer."""

    def __init__(
        self,
        *,
        rpc: Rpc,
        heads: Heads,
        decoder: LogDecoder,
        network: Network,
        cursor: Cursor,
        addresses: tuple[str, ...],
        confirmations: int,
    ) -> None:
        self.cursor = cursor
        self._rpc = rpc
        self._heads = heads
        self._decoder = decoder
        self._network = network
        self._addresses = addresses
        self._confirmations = confirmations
        self._range = network.log_range
        self._head_hash = ""
        self._by_hash = True
        self._pending_rollback: int | None = None  # to be reported by the next batch

    async def batches(self) -> AsyncIterator[Batch]:
        """Batches without end, one poll every `poll_s`.

        Raises Unreachable if the RPC does not answer for `outage_s`.
        """
        while True:
            started = time.monotonic()
            batch = await self.poll()
            if batch is not None:
                yield batch
                continue
            await asyncio.sleep(max(0.0, self._network.poll_s - (time.monotonic() - started)))

    async def poll(self) -> Batch | None:
        """The next batch, or None if nothing has changed.  Raises Unreachable."""
        for _ in range(_RESTARTS):
            head = await self._heads.latest(fresh=True)
            if head.hash == self._head_hash:
                return None
            await self._roll_back(head)
            first, last = self.cursor.number + 1, self._last_block(head)
            if last < first:
                self._head_hash = head.hash
                return None if self._pending_rollback is None else self._batch(first, last, head, ())
            target = await self._block(last, head)
            events = await self._events(first, target) if target else None
            if target and events is not None:
                self.cursor = self.cursor.advanced_to(target.number, target.hash)
                if target.number == head.number - self._confirmations:
                    self._head_hash = head.hash
                return self._batch(first, last, head, events)
        return None  # the chain keeps changing; the next poll starts again

    def _batch(self, first: int, last: int, head: BlockHeader, events: tuple[Event, ...]) -> Batch:
        rollback_to, self._pending_rollback = self._pending_rollback, None
        return Batch(
            rollback_to=rollback_to,
            from_block=first,
            to_block=min(last, self.cursor.number),
            head=head,
            events=events,
            cursor=self.cursor,
        )

    async def _roll_back(self, head: BlockHeader) -> None:
        """Drop handled blocks that left the chain, to be reported by the next batch."""
        before = self.cursor.number
        while self.cursor.seen:
            number, known = self.cursor.seen[-1]
            if known in (head.hash, head.parent) or await self._hash_of(number) == known:
                break
            self.cursor = self.cursor.without_last()
            self._pending_rollback = self.cursor.number
        if self.cursor.number != before:
            log.warning("reorganisation: blocks %d to %d left the chain", self.cursor.number + 1, before)

    async def _hash_of(self, number: int) -> str | None:
        raw = await self._rpc.call("eth_getBlockByNumber", hex(number), False)
        return None if raw is None else str(raw["hash"])

    def _last_block(self, head: BlockHeader) -> int:
        """The last block of the next read; below the first if nothing after the cursor is confirmed."""
        return min(head.number - self._confirmations, self.cursor.number + self._range)

    async def _block(self, number: int, head: BlockHeader) -> BlockHeader | None:
        if number == head.number:
            return head
        raw = await self._rpc.call("eth_getBlockByNumber", hex(number), False)
        return None if raw is None else BlockHeader.parse(raw)

    async def _events(self, first: int, target: BlockHeader) -> tuple[Event, ...] | None:
        """Events of `first` to `target`, or None if the node answered for another chain than `target`'s."""
        if not self._addresses:
            return ()
        query: dict[str, Any] = {"address": list(self._addresses)}
        single = first == target.number
        if single and self._by_hash:
            query["blockHash"] = target.hash
        else:
            query |= {"fromBlock": hex(first), "toBlock": hex(target.number)}
        try:
            logs = await self._rpc.call("eth_getLogs", query)
        except RpcRefused as error:
            if single:
                if await self._hash_of(target.number) != target.hash:
                    return None
                if "blockHash" not in query:
                    raise
                self._by_hash = False  # this node does not support logs by block hash
                return None
            self._range = max(1, (target.number - first + 1) // 2)
            log.info("%s; reading %d blocks at a time", error.reason, self._range)
            return None
        self._range = min(self._network.log_range, self._range * 2)
        if "blockHash" not in query and await self._hash_of(target.number) != target.hash:
            return None
        if any(raw.get("removed") for raw in logs):
            return None
        return self._decoder.events(logs)
