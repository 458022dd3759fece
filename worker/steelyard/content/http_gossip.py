"""Messages over the stores' own HTTP: each store tells those that it knows; nothing is passed on."""

from __future__ import annotations

import asyncio
import contextlib
import re

from aiohttp import web

from steelyard.content.gateway_rules import refuse
from steelyard.content.gossip import MAX_MESSAGE, Handler, MessageVerdict
from steelyard.content.peer_client import PeerClient, PeerFault, PeerMiss
from steelyard.content.peers import Peers
from steelyard.content.rate_limit import TokenBucket

PATH = "/hints/{topic}"
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,128}")
_MOST_PEERS = 32
_AT_ONCE = 8
_BODY_S = 5.0
_BURST, _PER_SECOND = 40.0, 4.0  # messages of one address; a refused one costs as many as a burst


class HttpGossip:
    """One store's messages. `receive` is the gateway's handler."""

    def __init__(self, peers: Peers) -> None:
        self.client: PeerClient | None = None  # of the open store
        self._peers = peers
        self._takes: dict[str, Handler] = {}
        self._budget = TokenBucket(burst=_BURST, per_second=_PER_SECOND)
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def subscribe(self, topic: str, take: Handler) -> None:
        """Handler what others tell of a topic."""
        self._takes[topic] = take

    async def publish(self, topic: str, data: bytes) -> None:
        """Tell the peers that were reached."""
        urls = self._peers.ranked()[:_MOST_PEERS]
        await asyncio.gather(*(self._tell(url, topic, data) for url in urls))

    async def close(self) -> None:
        """Handler no more."""
        self._takes.clear()

    async def receive(self, request: web.Request) -> web.Response:
        """One message. Whoever sends too many, or a bad one, is cut off."""
        topic, caller = request.match_info["topic"], request.remote or ""
        take = self._takes.get(topic) if _TOPIC.fullmatch(topic) else None
        if not self._budget.take(caller) or (request.content_length or 0) > MAX_MESSAGE:
            return _cut_off(request, 429)
        if take is None:
            return _closing(404)
        try:
            async with asyncio.timeout(_BODY_S):
                data = await request.read()
        except (TimeoutError, ConnectionError, web.HTTPRequestEntityTooLarge):
            return _cut_off(request, 413)
        if len(data) > MAX_MESSAGE or await take(data) is MessageVerdict.REFUSED:
            self._budget.penalize(caller)
            return _cut_off(request, 400)
        return web.Response(status=204)

    async def _tell(self, url: str, topic: str, data: bytes) -> None:
        async with self._gate:
            with contextlib.suppress(PeerFault, PeerMiss):
                if self.client is not None:
                    await self.client.tell(f"{url}/hints/{topic}", data)


def _cut_off(request: web.Request, status: int) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return _closing(status)


def _closing(status: int) -> web.Response:
    response = refuse(status, "not taken")
    response.force_close()
    return response
