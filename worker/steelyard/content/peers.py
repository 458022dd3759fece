"""The table of peers: those the operator configured and learned ones that answered; none is trusted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.content.peer_addresses import host_of, is_address, is_public_host, normal_url
from steelyard.errors import ConfigError

LIE_S = 600.0  # seconds that a peer is blocked after it sent bytes that do not match their hash
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_PATIENCE_DOUBLINGS = 4
_PER_HOST = 8  # learned peers on one host, so that one machine cannot fill the table

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Peer:
    url: str
    chosen: bool  # by the operator
    answered: bool = False
    score: float = 0.0  # moving average, 1 for each success, 0 for each file it lacks or fails to serve
    faults: int = 0  # since the last success
    lied: bool = False
    blocked_until: float = 0.0  # monotonic seconds


class Peers:
    """The base URLs that one store knows. Not thread-safe: use it on the store's event loop."""

    def __init__(self, chosen: Sequence[str], *, allow_private: bool, limit: int) -> None:
        self._allow_private = allow_private
        self._limit = max(limit, len(chosen))
        self._peers: dict[str, _Peer] = {}
        self.own: str | None = None
        self.swarm: tuple[str, ...] = ()  # multiaddrs of the own IPFS daemon, sent with the peers
        self.on_swarm: Callable[[list[str]], None] | None = None  # receives those of others
        for text in chosen:
            url = normal_url(text)
            if url is None:
                raise ConfigError(f"peer {text[:200]!r} is not a base URL", remedy="give http://host:port")
            self._peers[url] = _Peer(url, chosen=True)

    def learn(self, text: str) -> bool:
        """Add a base URL. Returns False if it is unfit, known or our own, or better peers fill the table."""
        url = normal_url(text)
        if url is None or url == self.own or url in self._peers:
            return False
        if not self._allow_private and not self._is_fit(host_of(url)):
            return False
        if len(self._peers) >= self._limit and not self._make_room():
            return False
        self._peers[url] = _Peer(url, chosen=False)
        return True

    def ranked(self, hints: Sequence[str] = ()) -> list[str]:
        """Peers to ask, in order: those without a fault first, of them `hints`; none that is paused."""
        for hint in hints[: self._limit]:
            self.learn(hint)
        wanted = {url for url in map(normal_url, hints) if url}
        now = time.monotonic()
        ready = [
            peer
            for peer in self._peers.values()
            if peer.blocked_until <= now
            and peer.url != self.own
            and (peer.answered or peer.chosen or peer.url in wanted)
        ]
        # A peer that failed comes after those never tried: else a few bad peers would come first always.
        ready.sort(key=lambda peer: (min(peer.faults, 3), peer.url not in wanted, -peer.score))
        return [peer.url for peer in ready]

    def contacts(self) -> list[str]:
        """Peers to announce to, in order: configured ones, new ones, then those that answered."""
        now = time.monotonic()
        ready = [p for p in self._peers.values() if p.blocked_until <= now and p.url != self.own]
        ready.sort(key=lambda peer: (not peer.chosen, peer.answered))
        return [peer.url for peer in ready]

    def shared(self, limit: int = 32) -> list[str]:
        """Peers to name to others: reached, and not paused."""
        now = time.monotonic()
        good = [
            peer
            for peer in self._peers.values()
            if peer.answered
            and peer.blocked_until <= now
            and (self._allow_private or is_public_host(host_of(peer.url)))
        ]
        good.sort(key=lambda peer: -peer.score)
        return [peer.url for peer in good[:limit]]

    def answered(self, url: str) -> None:
        """Record that the peer answered in our protocol."""
        if peer := self._peers.get(url):
            peer.answered = True

    def served(self, url: str) -> None:
        """Record that the peer served correct bytes."""
        if peer := self._peers.get(url):
            peer.answered, peer.faults, peer.blocked_until = True, 0, 0.0
            peer.score += 0.2 * (1.0 - peer.score)

    def missed(self, url: str) -> None:
        """Record that the peer does not have a file, which is not a fault."""
        if peer := self._peers.get(url):
            peer.score -= 0.05 * peer.score

    def failed(self, url: str, why: str, *, lied: bool = False) -> None:
        """Record that the peer stalled, disconnected or sent corrupt data; pause it, longer each time.

        lied: it sent bytes that do not match their hash; it is blocked for LIE_S.
        """
        peer = self._peers.get(url)
        if peer is None:
            return
        peer.faults, peer.score, peer.lied = peer.faults + 1, peer.score * 0.5, peer.lied or lied
        pause = LIE_S if lied else min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(peer.faults, 10))
        peer.blocked_until = time.monotonic() + pause
        log.log(logging.WARNING if lied else logging.DEBUG, "peer %s dropped for %.1f s: %s", url, pause, why)
        if peer.faults > 8 and not peer.chosen and not lied:
            del self._peers[url]

    def patience(self, url: str) -> float:
        """Factor on a peer's time limits, doubled with each failure so that slow but honest peers succeed."""
        peer = self._peers.get(url)
        return 2.0 ** min(peer.faults, _PATIENCE_DOUBLINGS) if peer else 1.0

    def known(self) -> set[str]:
        """All base URLs in the table."""
        return set(self._peers)

    def _is_fit(self, host: str) -> bool:
        """Whether a host is public, not a name that the operator configured, and below the limit per host."""
        named = any(peer.chosen and host_of(peer.url) == host for peer in self._peers.values())
        same = sum(not peer.chosen and host_of(peer.url) == host for peer in self._peers.values())
        return is_public_host(host) and not (named and not is_address(host)) and same < _PER_HOST

    def _make_room(self) -> bool:
        spare = [peer for peer in self._peers.values() if not peer.chosen and not peer.lied]
        worst = min(spare, key=lambda peer: (peer.answered, peer.score, -peer.faults), default=None)
        if worst is None or (worst.answered and worst.score > 0.0):
            return False
        del self._peers[worst.url]
        return True
