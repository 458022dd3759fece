"""Settings of one program run: flags over environment over `steelyard.toml` over defaults.

The TOML file is `--config`, else STEELYARD_CONFIG, else `steelyard.toml` in the working directory or in the
home folder. Every setting is a top-level key of it, and an environment variable STEELYARD_<KEY>. No setting
holds a secret: passwords come by prompt, file or STEELYARD_PASSWORD, and are read when needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from steelyard.errors import ConfigError
from steelyard.operations.toml_values import annotations_of, convert, read_toml

FILE_NAME = "steelyard.toml"
PREFIX = "STEELYARD_"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a command. Paths in the TOML file are relative to its folder; ~ is the user's home."""

    home: Path  # everything of this user or node: keystores, networks, content, journals
    network: str = "anvil"  # name of a known network, or of one in home/networks.toml
    account: str = ""  # name, address or path of the keystore that signs
    rpc_url: str = field(default="", repr=False)  # instead of the network's own; may hold an API key
    deployment: Path | None = None  # file with the contracts' addresses, instead of the network's own
    deployment_wait_s: float = 0.0  # seconds that the deployment file may take to appear
    keystore: Path | None = None  # folder of keystores; home/keystore
    password_file: Path | None = None  # its first line opens the keystore
    state_dir: Path | None = None  # outbox and nonces of keys; the same for all processes that share a key
    content: Path | None = None  # folder of the content store; home/content
    store: str = ""  # "embedded", or "kubo", on an IPFS daemon; kubo if ipfs_api is set, else embedded
    ipfs_api: str = field(default="", repr=False)  # its RPC; else IPFS_API, $IPFS_PATH/api, ~/.ipfs/api
    ipfs_auth_file: Path | None = None  # its first line is the RPC's secret; else STEELYARD_IPFS_AUTH
    listen: str = "127.0.0.1:0"  # host:port of the content store's server; port 0 = any free one
    peers: tuple[str, ...] = ()  # base URLs of content stores to fetch from
    hints: bool = True  # nodes send each other hints of new files and their addresses, off chain
    allow_private: bool = True  # whether peers in private address ranges are asked
    fetch_timeout_s: float = 60.0  # seconds to wait for a file that nobody serves
    max_fee_gwei: float | None = None  # ceiling of the fee per gas; the network's own if None
    max_spend_per_day: float | None = None  # ETH of one key in 24 h, gas and value; the network's own if None

    def __post_init__(self) -> None:
        for name in ("deployment_wait_s", "fetch_timeout_s", "max_fee_gwei", "max_spend_per_day"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ConfigError(f"{name} is {value}", remedy="give a number that is not negative")

        if self.store not in ("", "embedded", "kubo"):
            raise ConfigError(f"store is {self.store!r}", remedy='give "embedded" or "kubo"')

    @property
    def keystore_dir(self) -> Path:
        """The folder of keystores."""
        return self.keystore or self.home / "keystore"

    @property
    def content_dir(self) -> Path:
        """The folder of the content store."""
        return self.content or self.home / "content"

    @property
    def networks_file(self) -> Path:
        """Networks that a person added."""
        return self.home / "networks.toml"

    @classmethod
    def load(
        cls, flags: Mapping[str, Any], *, environ: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Config:
        """Combine the settings. A flag that is None was not given.

        flags may hold `config`, the TOML file.  Raises ConfigError, naming the setting and its source.
        """
        environ = os.environ if environ is None else environ
        home = Path(flags.get("home") or environ.get(f"{PREFIX}HOME") or default_home()).expanduser()
        named = flags.get("config") or environ.get(f"{PREFIX}CONFIG")
        path = Path(named).expanduser() if named else _find(cwd or Path.cwd(), home)
        values = _from_file(path) if path else {}
        values.update(_from_environment(environ))
        given = {key: value for key, value in flags.items() if value is not None and key != "config"}
        values.update(
            {key: _convert(key, value, f"--{key.replace('_', '-')}") for key, value in given.items()}
        )
        return cls(**{"home": home, **values})


def default_home() -> Path:
    """The folder of this user's files on this system."""
    return user_data_path("steelyard")


_FIELDS = annotations_of(Config)


def _find(cwd: Path, home: Path) -> Path | None:
    return next((folder / FILE_NAME for folder in (cwd, home) if (folder / FILE_NAME).is_file()), None)


def _from_file(path: Path) -> dict[str, Any]:
    document = read_toml(path, if_missing="give another --config")
    unknown = sorted(set(document) - set(_FIELDS))
    if unknown:
        raise ConfigError(
            f"{path} has no setting {', '.join(unknown)}", remedy=f"the settings are {', '.join(_FIELDS)}"
        )
    values = {key: _convert(key, value, f"{key} in {path}") for key, value in document.items()}
    for key, value in values.items():
        if isinstance(value, Path):
            values[key] = path.parent / value
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        key: _convert(key, environ[PREFIX + key.upper()], PREFIX + key.upper())
        for key in _FIELDS
        if environ.get(PREFIX + key.upper())
    }


def _convert(key: str, value: Any, source: str) -> Any:
    """A value as its field has it.  source: where it was written, for the error."""
    return convert(value, _FIELDS[key], source, lenient=True)
