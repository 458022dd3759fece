"""The leaves of one file from several peers at once, into a part file."""

from __future__ import annotations

import asyncio
import time

from steelyard.content.cid import Cid
from steelyard.content.client import NoRanges, PeerFault, PeerMiss
from steelyard.content.fetch import BlockSource
from steelyard.content.layout import Layout
from steelyard.content.parts import PartFile

_SPAN = 16  # leaves asked for in one request
_LANES = 6  # requests under way
_LANES_EACH = 2  # of them to one peer
_LOOK_S = 0.25  # seconds between looks for peers that became free
_MISS_PAUSE_S = 1.0
_RIVAL_S = 1.5  # seconds after which another peer may race for a leaf


class Download:
    """One file's fetch. Leaves are claimed in runs; a peer that fails gives its run back."""

    def __init__(
        self, source: BlockSource, cid: Cid, layout: Layout, part: PartFile, missing: list[int]
    ) -> None:
        self._source = source
        self._cid = cid
        self._layout = layout
        self._part = part
        # leaf -> who fetches it, since when (monotonic seconds); a leaf that has come is gone from here
        self._missing: dict[int, list[tuple[str, float]]] = {leaf: [] for leaf in missing}
        self._lanes: dict[asyncio.Task[None], str] = {}
        self._blocks_only: set[str] = set()
        self._not_before: dict[str, float] = {}  # url -> monotonic seconds
        self._tell()

    async def run(self) -> None:
        """Until every leaf is in the part file. It waits for peers without end: the caller sets the deadline.

        Raises DiskFull and ContentError from the disk.
        """
        try:
            while self._missing:
                self._open_lanes()
                if not self._lanes:
                    await asyncio.sleep(_LOOK_S)
                    continue
                done, _ = await asyncio.wait(
                    self._lanes, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED
                )
                for lane in done:
                    del self._lanes[lane]
                    lane.result()
        finally:
            for lane in self._lanes:
                lane.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)

    def _open_lanes(self) -> None:
        busy = list(self._lanes.values())
        now = time.monotonic()
        for _ in range(_LANES_EACH):
            for url in self._source.peers.ranked(self._source.hints):
                free = busy.count(url) < _LANES_EACH and self._not_before.get(url, 0.0) <= now
                if len(busy) < _LANES and free:
                    lane = asyncio.create_task(self._lane(url))
                    self._lanes[lane] = url
                    busy.append(url)

    async def _lane(self, url: str) -> None:
        """Fetch run after run from one peer until it fails or nothing is left."""
        source = self._source
        source.progress.asked.add(url)
        while run := self._claim(url):
            try:
                await self._fetch(url, run)
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
            finally:
                self._release(run, url)
        self._not_before[url] = time.monotonic() + _LOOK_S

    async def _fetch(self, url: str, run: range) -> None:
        patience = self._source.peers.patience(url)
        client = self._source.client

        async def put(index: int, data: bytes | bytearray) -> None:
            if not await asyncio.to_thread(self._part.put, index, data):
                raise PeerFault(f"{url} sent bytes unlike the hash of MiB {index} of {self._cid}", lied=True)
            self._missing.pop(index, None)
            self._tell()

        if url not in self._blocks_only:
            await client.leaves(url, self._cid, self._layout, run, put, patience)
            return
        for index in run:
            if index in self._missing:
                await put(index, await client.leaf(url, self._layout, index, patience))

    def _claim(self, url: str) -> range:
        """The next run for a peer: leaves that nobody fetches, else some that another is slow with."""
        now = time.monotonic()
        start = next((leaf for leaf in self._missing if self._is_free(leaf, None, now)), None)
        rival = None if start is not None else url
        if start is None:
            start = next((leaf for leaf in self._missing if self._is_free(leaf, rival, now)), None)
        if start is None:
            return range(0)
        stop = start
        while stop < start + _SPAN and self._is_free(stop, rival, now):
            self._missing[stop].append((url, now))
            stop += 1
        return range(start, stop)

    def _is_free(self, leaf: int, rival: str | None, now: float) -> bool:
        claims = self._missing.get(leaf)
        if not claims:
            return claims is not None
        if rival is None or len(claims) > 1:
            return False
        url, since = claims[0]
        return url != rival and now - since > _RIVAL_S

    def _release(self, run: range, url: str) -> None:
        for leaf in run:
            if leaf in self._missing:
                self._missing[leaf] = [claim for claim in self._missing[leaf] if claim[0] != url]

    def _tell(self) -> None:
        progress = self._source.progress
        progress.leaves = len(self._layout)
        progress.leaves_done = len(self._layout) - len(self._missing)
