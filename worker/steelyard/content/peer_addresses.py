"""Checks of base URLs of peers: anyone may send one, so none may point into a private network."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_MAX_URL = 200
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,150}")


def normal_url(text: str) -> str | None:
    """The one spelling of a peer's base URL, or None if it is not a plain http or https base URL."""
    if len(text) > _MAX_URL or not text.isascii() or not text.isprintable():
        return None
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    odd = parts.username is not None or parts.password is not None or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or odd or port == 0:
        return None
    if not host or not _HOST.fullmatch(host) or not _PATH.fullmatch(parts.path):
        return None
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port else "") + parts.path.rstrip("/")


def host_of(url: str) -> str:
    """The host of a normal base URL, without brackets."""
    return urlsplit(url).hostname or ""


def is_address(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_public_host(host: str) -> bool:
    """False for an address inside our network. Names pass; they are checked when resolved."""
    if is_address(host):
        return _is_public(host)
    return host != "localhost" and not host.endswith((".localhost", ".local", ".internal"))


class GuardedResolver(AbstractResolver):
    """Resolves names, but to public addresses only, unless the operator named that host."""

    def __init__(self, *, allow_private: bool, trusted: Collection[str]) -> None:
        self._inner = ThreadedResolver()
        self._allow_private = allow_private
        self._trusted = frozenset(trusted)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host that may be called. Raises OSError if there is none."""
        found = await self._inner.resolve(host, port, family)
        if self._allow_private or host in self._trusted:
            return found
        public = [result for result in found if _is_public(result["host"])]
        if not public:
            raise OSError(f"{host} points into a private network")
        return public

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast
