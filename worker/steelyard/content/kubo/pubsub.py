"""Messages over an IPFS daemon's pub/sub, if it was started with --enable-pubsub-experiment."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator

import aiohttp

from steelyard.content.gossip import MAX_MESSAGE, Handler, MessageVerdict
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.kubo.http import HttpClient
from steelyard.content.peer_client import PeerFault
from steelyard.content.rate_limit import TokenBucket

_CALL_S = 5.0
_LINE = 8 * 1024  # bytes of one message as the daemon sends it
_AGAIN_S = 30.0  # until a daemon without pub/sub, or one that disconnected, is tried again
_IGNORE_S = 600.0
_MOST_IGNORED = 1024
_ALL = "everybody"
_SENDER = re.compile(rb'\{"from":"([A-Za-z0-9]{1,127})"')

log = logging.getLogger(__name__)


class PubSub:
    """One daemon's topics."""

    def __init__(self, address: DaemonAddress) -> None:
        self._http = HttpClient(address)
        self._tasks: set[asyncio.Task[None]] = set()
        self._each = TokenBucket(burst=40.0, per_second=4.0)
        self._all = TokenBucket(burst=200.0, per_second=50.0)
        self._own = ""  # peer id of the daemon: other nodes may use it too
        self._ignored: OrderedDict[str, float] = OrderedDict()  # peer id -> monotonic seconds

    def subscribe(self, topic: str, handler: Handler) -> None:
        """Subscribe to a topic; retries if the daemon does not answer or has no pub/sub."""
        task = asyncio.create_task(self._listen(topic, handler), name="pubsub")
        self._tasks.add(task)

    async def publish(self, topic: str, data: bytes) -> None:
        """Publish on a topic; if the daemon refuses or does not answer, the message is lost."""
        form = aiohttp.FormData()
        form.add_field("file", data, filename="hint")
        with contextlib.suppress(PeerFault, TimeoutError):
            async with (
                asyncio.timeout(_CALL_S),
                self._http.post("pubsub/pub", arg=_multibase(topic), data=form),
            ):
                pass

    async def close(self) -> None:
        """End the subscriptions and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    async def _listen(self, topic: str, handler: Handler) -> None:
        logged = False
        while True:
            try:
                self._own = await self._id()
                async for line in self._lines(topic):
                    logged = False
                    await self._read(line, handler)
                why = "the daemon ended the subscription"
            except (PeerFault, TimeoutError, ValueError, RecursionError) as error:
                why = f"{type(error).__name__}: {error}"
            if not logged:
                log.info("no pub/sub of the IPFS daemon (%s): hints go over HTTP alone", why[:200])
                logged = True
            await asyncio.sleep(_AGAIN_S)

    async def _id(self) -> str:
        """The daemon's own peer id. Raises ValueError if the answer is not JSON."""
        async with asyncio.timeout(_CALL_S), self._http.post("id") as response:
            answer = json.loads((await response.content.read(64 * 1024)).decode("utf-8"))
        return str(answer.get("ID", "")) if isinstance(answer, dict) else ""

    async def _lines(self, topic: str) -> AsyncIterator[bytes]:
        """Lines of the daemon, one per message; of a line that is too long for a message, its beginning."""
        async with self._http.post("pubsub/sub", arg=_multibase(topic)) as response:
            if response.status != 200:
                raise ValueError(f"{response.status} {(await response.content.read(300))!r}")
            line = b""
            async for chunk in response.content.iter_any():
                *ended, rest = chunk.split(b"\n")
                for end in ended:
                    yield (line + end)[: _LINE + 1]
                    line = b""
                line = (line + rest)[: _LINE + 1]

    async def _read(self, line: bytes, handler: Handler) -> None:
        """Handle one message.

        A sender of invalid or too many messages is dropped; over the total rate limit, messages are skipped.
        """
        sender, data = parse(line)
        if not sender or self._is_ignored(sender):
            return
        if not self._all.take(_ALL):
            await asyncio.sleep(0.2)
            return
        fair = self._each.take(sender)
        bad = not fair or data is None or await handler(data) is MessageVerdict.REFUSED
        if bad and sender != self._own:
            await self._drop(sender)

    async def _drop(self, sender: str) -> None:
        """Ignore this peer for _IGNORE_S and end the daemon's connection with it."""
        self._ignored[sender] = time.monotonic() + _IGNORE_S
        if len(self._ignored) > _MOST_IGNORED:
            self._ignored.popitem(last=False)
        with contextlib.suppress(PeerFault, TimeoutError):
            async with asyncio.timeout(_CALL_S), self._http.post("swarm/disconnect", arg=f"/p2p/{sender}"):
                pass

    def _is_ignored(self, sender: str) -> bool:
        return self._ignored.get(sender, 0.0) > time.monotonic()


def parse(line: bytes) -> tuple[str, bytes | None]:
    """Peer id and message of one line of the daemon; None for an invalid message, "" for a missing sender."""
    if len(line) > _LINE:
        named = _SENDER.match(line)
        return (named[1].decode() if named else ""), None
    try:
        answer = json.loads(line.decode("utf-8"))  # bytes would be read as UTF-16 too
        sender, text = answer["from"], answer["data"]
        if not (isinstance(sender, str) and sender.isalnum() and len(sender) < 128):
            return "", None
        if not (isinstance(text, str) and text.startswith("u")) or len(text) > 2 * MAX_MESSAGE:
            return sender, None
        data = base64.urlsafe_b64decode(text[1:] + "=" * (-len(text[1:]) % 4))
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        return "", None
    return sender, data if len(data) <= MAX_MESSAGE else None


def _multibase(text: str) -> str:
    return "u" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
