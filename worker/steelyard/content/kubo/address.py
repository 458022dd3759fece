"""Where the IPFS daemon's RPC is: as a setting says, else as other IPFS programs find it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from steelyard.errors import ConfigError

_MULTIADDR = re.compile(r"/(ip4|ip6|dns|dns4|dns6)/([A-Za-z0-9.:-]+)/tcp/(\d{1,5})(?:/(https?))?/?")
_EXAMPLE = "give a multiaddr like /ip4/127.0.0.1/tcp/5001 or a URL like http://127.0.0.1:5001"


@dataclass(frozen=True, slots=True)
class Address:
    """One place in the two spellings that are needed."""

    multiaddr: str  # /ip4/127.0.0.1/tcp/5001/http
    url: str  # http://127.0.0.1:5001

    @classmethod
    def parse(cls, text: str) -> Address:
        """An address that a person wrote. Raises ConfigError."""
        match = _MULTIADDR.fullmatch(text.strip())
        if match is not None:
            kind, host, port, scheme = match.groups()
            return cls._of(kind, host, int(port), scheme or "http", text)
        parts = urlsplit(text.strip())
        try:
            host, given = parts.hostname, parts.port
        except ValueError:
            host, given = None, None
        if parts.scheme not in ("http", "https") or not host or parts.path.rstrip("/") not in ("", "/api/v0"):
            raise ConfigError(f"{text[:200]!r} is no address of an IPFS daemon", remedy=_EXAMPLE)
        if parts.username or parts.password:
            raise ConfigError("an IPFS address with a password in it", remedy="use an RPC without one")
        kind = "ip6" if ":" in host else "ip4" if re.fullmatch(r"[0-9.]+", host) else "dns"
        return cls._of(kind, host, given or (443 if parts.scheme == "https" else 80), parts.scheme, text)

    @classmethod
    def _of(cls, kind: str, host: str, port: int, scheme: str, text: str) -> Address:
        if not 0 < port < 65536:
            raise ConfigError(f"{text[:200]!r} has no port from 1 to 65535", remedy=_EXAMPLE)
        name = f"[{host}]" if kind == "ip6" else host
        return cls(f"/{kind}/{host}/tcp/{port}/{scheme}", f"{scheme}://{name}:{port}")


def find(given: str, environ: Mapping[str, str]) -> str:
    """The address of the daemon's RPC, unchecked.

    given, else IPFS_API, else what a running daemon wrote to $IPFS_PATH/api or ~/.ipfs/api.
    Raises ConfigError where none of them says anything.
    """
    if given or environ.get("IPFS_API"):
        return given or environ["IPFS_API"]
    repo = Path(environ.get("IPFS_PATH") or Path(environ.get("HOME") or "~").expanduser() / ".ipfs")
    path = repo.expanduser() / "api"
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"no running IPFS daemon is found: neither --ipfs nor IPFS_API is given, and there is no {path}",
            remedy="start one with `ipfs daemon`, or give the address of its RPC with --ipfs",
        ) from error
