"""The leaves of one file from several peers at once, into a part file."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from functools import partial

from steelyard.content.block_source import EXCHANGE, BlockSource, Exchange
from steelyard.content.dagpb import MAX_NODE_BYTES
from steelyard.content.layout import Layout
from steelyard.content.part_file import PartFile
from steelyard.content.peer_client import NoRanges, PeerFault, PeerMiss
from steelyard.content.threads import in_thread
from steelyard.core.cid import Cid

_SPAN = 16  # leaves asked for in one request, once a peer has shown that it delivers
_FIRST_SPAN = 2
_SEARCHED_SPAN = 64  # ... through an exchange, to which every request is a new search
_SEARCHED_LANES = 4
_LANES = 6  # running requests that deliver
_MOST_LANES = 16  # including those that stalled
_LANES_EACH = 2  # of them to one peer
_SLOW_S = 1.5  # seconds without a leaf after which others may race for the same ones
_LOOK_S = 0.25  # seconds between checks for peers that became free
_MISS_PAUSE_S = 1.0


@dataclass(slots=True, eq=False)
class _Lane:
    """One request after the other to one peer."""

    url: str
    moved: float  # monotonic seconds of its start or last leaf


class Download:
    """One file's fetch. Leaves are claimed in runs; a peer that fails gives its run back."""

    def __init__(
        self, source: BlockSource, cid: Cid, layout: Layout, part: PartFile, missing: list[int]
    ) -> None:
        self._source = source
        self._cid = cid
        self._layout = layout
        self._part = part
        # leaf -> who fetches it, since when (monotonic seconds); an arrived leaf is removed
        self._missing: dict[int, list[tuple[_Lane, float]]] = {leaf: [] for leaf in missing}
        self._lanes: dict[asyncio.Task[None], _Lane] = {}
        self._spans: dict[str, int] = {}  # url -> leaves in its next run
        self._blocks_only: set[str] = set()
        self._all_here = asyncio.Event()
        self._not_before: dict[str, float] = {}  # url -> monotonic seconds
        self._update_progress()

    async def run(self) -> None:
        """Fetch until every leaf is in the part file. It retries without end: the caller sets the deadline.

        Raises DiskFull and ContentError from the disk.
        """
        try:
            self._search()
            while self._missing:
                self._open_lanes()
                if not self._lanes:
                    await asyncio.sleep(_LOOK_S)
                    continue
                done, _ = await asyncio.wait(
                    self._lanes, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    del self._lanes[task]
                    task.result()
        finally:
            for task in self._lanes:
                task.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)

    def _open_lanes(self) -> None:
        now = time.monotonic()
        ranked = self._source.peers.ranked(self._source.hints)
        for url in ranked * _LANES_EACH:
            moving = sum(now - lane.moved < _SLOW_S for lane in self._lanes.values())
            if moving >= _LANES or len(self._lanes) >= _MOST_LANES:
                return
            same = sum(lane.url == url for lane in self._lanes.values())
            if same < _LANES_EACH and self._not_before.get(url, 0.0) <= now:
                lane = _Lane(url, now)
                self._lanes[asyncio.create_task(self._work(lane))] = lane

    def _search(self) -> None:
        """Add the exchange, which takes part once it has found the file's root."""
        if self._source.exchange is not None:
            lane = _Lane(EXCHANGE, -_SLOW_S)
            self._lanes[asyncio.create_task(self._work_searching(lane, self._source.exchange))] = lane

    async def _work_searching(self, lane: _Lane, exchange: Exchange) -> None:
        await self._source.searched(self._cid, MAX_NODE_BYTES)
        lanes = [lane, *(_Lane(EXCHANGE, time.monotonic()) for _ in range(_SEARCHED_LANES - 1))]
        async with asyncio.TaskGroup() as group:
            for each in lanes:
                group.create_task(self._runs(each, exchange))

    async def _runs(self, lane: _Lane, exchange: Exchange) -> None:
        """Run after run through the exchange, until nothing is missing."""
        while self._missing:
            run = self._claim(lane)
            try:
                if run:
                    await exchange.leaves(self._cid, self._layout, run, partial(self._put, lane))
                    continue
            except (PeerMiss, PeerFault) as fault:
                self._source.progress.faults[EXCHANGE] = fault.message
            finally:
                self._release(run, lane)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_here.wait(), _LOOK_S)

    async def _work(self, lane: _Lane) -> None:
        """Fetch run after run from one peer until it fails or nothing is left."""
        source, url = self._source, lane.url
        source.progress.asked.add(url)
        while run := self._claim(lane):
            try:
                await self._fetch(lane, run)
            except NoRanges:
                self._blocks_only.add(url)
            except PeerMiss:
                source.peers.missed(url)
                self._not_before[url] = time.monotonic() + _MISS_PAUSE_S
                return
            except PeerFault as fault:
                source.progress.faults[url] = fault.message
                source.peers.failed(url, fault.message, lied=fault.lied)
                return
            else:
                source.peers.served(url)
                self._spans[url] = min(_SPAN, 2 * len(run))
            finally:
                self._release(run, lane)
        self._not_before[url] = time.monotonic() + _LOOK_S

    async def _fetch(self, lane: _Lane, run: range) -> None:
        url, client = lane.url, self._source.client
        patience = self._source.peers.patience(url)

        put = partial(self._put, lane)
        if url not in self._blocks_only:
            await client.leaves(url, self._cid, self._layout, run, put, patience)
            return
        for index in run:
            if index in self._missing:
                await put(index, await client.leaf(url, self._layout, index, patience))

    async def _put(self, lane: _Lane, index: int, data: bytes | bytearray) -> None:
        if not await in_thread(self._part.put, index, data):
            message = f"{lane.url} sent bytes that do not match the hash of MiB {index} of {self._cid}"
            raise PeerFault(message, lied=True)
        lane.moved = time.monotonic()
        self._missing.pop(index, None)
        if not self._missing:
            self._all_here.set()
        self._update_progress()

    def _claim(self, lane: _Lane) -> range:
        """The next run for a peer: unclaimed leaves, else leaves whose current peers are slow."""
        now = time.monotonic()
        span = _SEARCHED_SPAN if lane.url == EXCHANGE else self._spans.get(lane.url, _FIRST_SPAN)
        for racing in (False, True):
            start = next((leaf for leaf in self._missing if self._is_free(leaf, lane, now, racing)), None)
            if start is not None:
                stop = start
                while stop < start + span and self._is_free(stop, lane, now, racing):
                    self._missing[stop].append((lane, now))
                    stop += 1
                return range(start, stop)
        return range(0)

    def _is_free(self, leaf: int, lane: _Lane, now: float, racing: bool) -> bool:
        claims = self._missing.get(leaf)
        if not claims or not racing:
            return claims == []
        return all(other.url != lane.url and now - since > _SLOW_S for other, since in claims)

    def _release(self, run: range, lane: _Lane) -> None:
        for leaf in run:
            if leaf in self._missing:
                self._missing[leaf] = [claim for claim in self._missing[leaf] if claim[0] is not lane]

    def _update_progress(self) -> None:
        progress = self._source.progress
        progress.leaves = len(self._layout)
        progress.leaves_done = len(self._layout) - len(self._missing)
