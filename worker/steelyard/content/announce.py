"""Announcements to peers, which answer with further peers: nodes need to know only one bootstrap address."""

from __future__ import annotations

import asyncio
import logging
import time

from steelyard.content.peer_client import PeerClient, PeerFault, PeerMiss
from steelyard.content.peers import Peers
from steelyard.content.store import StoreConfig

_TICK_S = 0.25
_SOON_S = 0.5
_AT_ONCE = 16

log = logging.getLogger(__name__)


class Announcer:
    """A background loop over configured and learned peers. `close` ends it."""

    def __init__(self, client: PeerClient, peers: Peers, config: StoreConfig) -> None:
        self._client = client
        self._peers = peers
        self._every_s = config.announce_s
        self._due: dict[str, float] = {}  # url -> monotonic seconds
        self._pause: dict[str, float] = {}  # url -> seconds between its last two calls
        self._hurry = asyncio.Event()
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_report)

    def hurry(self) -> None:
        """A file was not found: ask for new peers soon."""
        self._hurry.set()

    async def close(self) -> None:
        """End the loop and the running calls."""
        for task in (self._task, *self._calls.values()):
            task.cancel()
        await asyncio.gather(self._task, *self._calls.values(), return_exceptions=True)

    async def _run(self) -> None:
        """Start the calls that are due; they run concurrently."""
        while True:
            self._calls = {url: task for url, task in self._calls.items() if not _ended(task)}
            now = time.monotonic()
            for url in self._peers.contacts():
                if len(self._calls) < _AT_ONCE and url not in self._calls and self._due.get(url, 0.0) <= now:
                    self._calls[url] = asyncio.create_task(self._call(url))
            for url in self._due.keys() - self._peers.known():
                del self._due[url], self._pause[url]
            await asyncio.sleep(_TICK_S)
            if self._hurry.is_set():
                self._hurry.clear()
                soon = time.monotonic() + _SOON_S
                self._due = {url: min(due, soon) for url, due in self._due.items()}

    async def _call(self, url: str) -> None:
        """Make one announcement. The pause before the next doubles; new peers reset it."""
        pause = min(self._every_s, 2.0 * self._pause.get(url, _SOON_S / 2))
        try:
            found, swarm = await self._client.announce(url, self._peers.own)
        except PeerMiss:  # a plain gateway without exchange of peers
            pause = self._every_s
        except PeerFault as fault:
            self._peers.failed(url, fault.message)
        else:
            self._peers.answered(url)
            if swarm and self._peers.on_swarm is not None:
                self._peers.on_swarm(swarm)
            news = [peer for peer in found if self._peers.learn(peer)]
            pause = _SOON_S if news else pause
        self._pause[url], self._due[url] = pause, time.monotonic() + pause


def _ended(task: asyncio.Task[None]) -> bool:
    """Whether a call has ended. Raises its error, if it had one other than PeerMiss and PeerFault."""
    if task.done():
        task.result()
    return task.done()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the exchange of peers ended: files come from the peers known so far", exc_info=error)
