"""Connecting the daemon to the daemons behind other nodes' stores.

Stores exchange the addresses of their daemons together with their peers. The addresses are untrusted: few are
stored, one is dialled at a time, and private ones are refused unless that is allowed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.content.kubo.client import KuboClient
from steelyard.content.peer_addresses import is_address, is_public_host

PER_REPLY = 8
_PER_DAEMON = 2
_DAEMONS = 64
_AGAIN_S = 60.0  # seconds after which a daemon is dialled again, in case the connection is gone
_FAILURES = 3
_TICK_S = 0.2
_ADDRESS = re.compile(
    r"/(ip4|ip6|dns|dns4|dns6)/([A-Za-z0-9.:-]{1,150})/(?:tcp|udp)/\d{1,5}"
    r"(?:/(?:quic-v1|ws|wss|webtransport|tls))*/p2p/([A-Za-z0-9]{40,70})"
)


@dataclass(slots=True)
class _Known:
    addresses: list[str]
    due: float = 0.0  # monotonic seconds
    failures: int = 0


class Swarm:
    """A background task. `learn` adds addresses; `close` ends it."""

    def __init__(self, daemon: KuboClient, own: str, *, allow_private: bool) -> None:
        self._daemon = daemon
        self._own = own
        self._allow_private = allow_private
        self._known: dict[str, _Known] = {}
        self._task = asyncio.create_task(self._run())

    def learn(self, addresses: Sequence[str]) -> None:
        """Add addresses received from a peer; those that are allowed are dialled."""
        for address in addresses[:PER_REPLY]:
            peer = peer_of(address, allow_private=self._allow_private)
            if peer is None or peer == self._own:
                continue
            if peer not in self._known and len(self._known) < _DAEMONS:
                self._known[peer] = _Known([])
            known = self._known.get(peer)
            if known is not None and address not in known.addresses and len(known.addresses) < _PER_DAEMON:
                known.addresses.append(address)

    async def close(self) -> None:
        """End the task."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            now = time.monotonic()
            for peer, known in list(self._known.items()):
                if known.due <= now:
                    await self._dial(peer, known)
            await asyncio.sleep(_TICK_S)

    async def _dial(self, peer: str, known: _Known) -> None:
        known.due = time.monotonic() + _AGAIN_S
        for address in known.addresses:
            if await self._daemon.connect(address):
                known.failures = 0
                return
        known.failures += 1
        if known.failures >= _FAILURES:
            del self._known[peer]


def peer_of(address: str, *, allow_private: bool) -> str | None:
    """The peer id in a multiaddr that may be dialled; None for any other text."""
    match = _ADDRESS.fullmatch(address) if len(address) <= 300 else None
    if match is None:
        return None
    kind, host, peer = match.groups()
    if kind.startswith("ip") != is_address(host):
        return None
    return peer if allow_private or is_public_host(host) else None
