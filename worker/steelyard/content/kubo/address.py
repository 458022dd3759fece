"""Address of the IPFS daemon's RPC: from a setting, else found as other IPFS programs do."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from steelyard.errors import ConfigError

_MULTIADDR = re.compile(r"/(ip4|ip6|dns|dns4|dns6)/([A-Za-z0-9.:-]+)/tcp/(\d{1,5})(?:/(https?))?/?")
_USER = re.compile(r"//[^/@]*@")
_EXAMPLE = "give a multiaddr like /ip4/127.0.0.1/tcp/5001 or a URL like http://127.0.0.1:5001"
_NO_SOCKETS = (
    "only TCP is supported: put an address on loopback first in the daemon's Addresses.API "
    '(`ipfs config --json Addresses.API \'["/ip4/127.0.0.1/tcp/5001", "/unix/..."]\'`)'
)
_SECRETS = "write it as its AuthSecret: basic:USER:PASSWORD or bearer:TOKEN"


@dataclass(frozen=True, slots=True)
class DaemonAddress:
    """One address in the two forms that are needed."""

    multiaddr: str  # /ip4/127.0.0.1/tcp/5001/http
    url: str  # http://127.0.0.1:5001
    auth: str = field(default="", repr=False)  # its `Authorization` header, secret

    @property
    def headers(self) -> dict[str, str]:
        """Headers for each request."""
        return {"Authorization": self.auth} if self.auth else {}

    @classmethod
    def parse(cls, text: str, auth: str = "") -> DaemonAddress:
        """An address that a person wrote; one with a user and a password in it overrides `auth`.

        Raises ConfigError, which shows no password.
        """
        if text.strip().startswith("/unix/"):
            raise ConfigError(f"{text[:200]!r} is a socket in the file system", remedy=_NO_SOCKETS)
        match = _MULTIADDR.fullmatch(text.strip())
        if match is not None:
            kind, host, port, scheme = match.groups()
            return cls._of(kind, host, int(port), scheme or "http", text, auth)
        parts = urlsplit(text.strip())
        text = _USER.sub("//", text)
        try:
            host, given = parts.hostname, parts.port
        except ValueError:
            host, given = None, None
        if parts.scheme not in ("http", "https") or not host or parts.path.rstrip("/") not in ("", "/api/v0"):
            raise ConfigError(f"{text[:200]!r} is not an address of an IPFS daemon", remedy=_EXAMPLE)
        kind = "ip6" if ":" in host else "ip4" if re.fullmatch(r"[0-9.]+", host) else "dns"
        port = given or (443 if parts.scheme == "https" else 80)
        return cls._of(kind, host, port, parts.scheme, text, _named_in(parts) or auth)

    @classmethod
    def _of(cls, kind: str, host: str, port: int, scheme: str, text: str, auth: str) -> DaemonAddress:
        if not 0 < port < 65536:
            raise ConfigError(f"{text[:200]!r} has no port from 1 to 65535", remedy=_EXAMPLE)
        name = f"[{host}]" if kind == "ip6" else host
        return cls(f"/{kind}/{host}/tcp/{port}/{scheme}", f"{scheme}://{name}:{port}", auth)


def _named_in(parts: SplitResult) -> str:
    """The header for a URL's user and password."""
    if parts.username is None:
        return ""
    return header_of(f"basic:{unquote(parts.username)}:{unquote(parts.password or '')}")


def header_of(secret: str) -> str:
    """The `Authorization` header for a secret as `ipfs --api-auth` takes it.

    basic:USER:PASSWORD, basic:BASE64, bearer:TOKEN, or a token alone; nothing for "".  Raises ConfigError.
    """
    kind, colon, rest = secret.strip().partition(":")
    if not colon:
        kind, rest = "bearer", kind
    plain = rest.isprintable() and (rest.isascii() or (kind == "basic" and ":" in rest))
    if kind not in ("basic", "bearer") or not plain or (colon and not rest):
        raise ConfigError("the secret of the IPFS daemon's RPC is of an unknown kind", remedy=_SECRETS)
    if not rest:
        return ""
    if kind == "bearer":
        return f"Bearer {rest}"
    return f"Basic {base64.b64encode(rest.encode()).decode() if ':' in rest else rest}"


def find(given: str, environ: Mapping[str, str]) -> str:
    """The address of the daemon's RPC, unchecked.

    given, else IPFS_API, else what a running daemon wrote to $IPFS_PATH/api or ~/.ipfs/api.
    Raises ConfigError if none of them is set.
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
