"""The session's content store, as settings for `make_store`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypedDict

from steelyard.cli.settings import Config
from steelyard.content import StoreConfig
from steelyard.content.kubo.address import DaemonAddress, find, header_of
from steelyard.errors import ConfigError

AUTH = "STEELYARD_IPFS_AUTH"


class _DaemonChoice(TypedDict):
    ipfs: str | None
    ipfs_auth: str


def serving(config: Config, listen: str = "") -> StoreConfig:
    """Serves what it provides, at `listen` or at the address of the settings."""
    return StoreConfig(
        root=config.content_dir,
        listen=listen or config.listen,
        peers=config.peers,
        allow_private=config.allow_private,
        **_on_daemon(config),
    )


def fetching_only(config: Config) -> StoreConfig:
    """Only stores and fetches, for short commands; peers are asked for their peers, as by nodes."""
    return StoreConfig(
        root=config.content_dir,
        serve=False,
        peers=config.peers,
        allow_private=config.allow_private,
        **_on_daemon(config),
    )


def how_to_serve(config: Config, what: str) -> str:
    """A line on how others get what was published.  what: "it", "its data"."""
    found = daemon(config)
    if found is None:
        return f"serve {what}: `steelyard content serve`"
    return (
        f"the IPFS daemon at {found.url} serves {what}; "
        "for peers without a daemon also run `steelyard content serve`"
    )


def daemon(config: Config) -> DaemonAddress | None:
    """The IPFS daemon's RPC; None for an embedded store.  Raises ConfigError if none is found."""
    kind = config.store or ("kubo" if config.ipfs_api else "embedded")
    if kind != "kubo":
        return None
    return DaemonAddress.parse(find(config.ipfs_api, os.environ), header_of(_secret(config, os.environ)))


def _on_daemon(config: Config) -> _DaemonChoice:
    found = daemon(config)
    return {"ipfs": found.url, "ipfs_auth": found.auth} if found else {"ipfs": None, "ipfs_auth": ""}


def _secret(config: Config, environ: Mapping[str, str]) -> str:
    """The RPC's secret: STEELYARD_IPFS_AUTH, else the first line of the file in the settings."""
    path = config.ipfs_auth_file
    if environ.get(AUTH) or path is None:
        return environ.get(AUTH, "")
    try:
        return path.read_text("utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({type(error).__name__})", remedy="see ipfs_auth_file in the settings"
        ) from error
