"""Gossip over the stores' own HTTP: each store sends to the peers that it knows; nothing is forwarded."""

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
_BURST, _PER_SECOND = 40.0, 4.0  # messages of one address; a refused one costs a full burst


class HttpGossip:
    """One store's messages. `receive` is the gateway's handler."""

    def __init__(self, peers: Peers) -> None:
        self.client: PeerClient | None = None  # of the open store
        self._peers = peers
        self._handlers: dict[str, Handler] = {}
        self._budget = TokenBucket(burst=_BURST, per_second=_PER_SECOND)
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def subscribe(self, topic: str, handler: Handler) -> None:
        """Call `handler` with the messages that others send on a topic."""
        self._handlers[topic] = handler

    async def publish(self, topic: str, data: bytes) -> None:
        """Send a message to the peers that have answered."""
        urls = self._peers.ranked()[:_MOST_PEERS]
        await asyncio.gather(*(self._send(url, topic, data) for url in urls))

    async def close(self) -> None:
        """Stop receiving: later messages are answered with 404."""
        self._handlers.clear()

    async def receive(self, request: web.Request) -> web.Response:
        """Receive one message. A caller that sends too many, or an invalid one, is disconnected."""
        topic, caller = request.match_info["topic"], request.remote or ""
        handler = self._handlers.get(topic) if _TOPIC.fullmatch(topic) else None
        if not self._budget.take(caller) or (request.content_length or 0) > MAX_MESSAGE:
            return _cut_off(request, 429)
        if handler is None:
            return _closing(404)
        try:
            async with asyncio.timeout(_BODY_S):
                data = await request.read()
        except (TimeoutError, ConnectionError, web.HTTPRequestEntityTooLarge):
            return _cut_off(request, 413)
        if len(data) > MAX_MESSAGE or await handler(data) is MessageVerdict.REFUSED:
            self._budget.penalize(caller)
            return _cut_off(request, 400)
        return web.Response(status=204)

    async def _send(self, url: str, topic: str, data: bytes) -> None:
        async with self._gate:
            with contextlib.suppress(PeerFault, PeerMiss):
                if self.client is not None:
                    await self.client.send(f"{url}/hints/{topic}", data)


def _cut_off(request: web.Request, status: int) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return _closing(status)


def _closing(status: int) -> web.Response:
    response = refuse(status, "not taken")
    response.force_close()
    return response
