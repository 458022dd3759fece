"""The gateway's listening socket."""

from __future__ import annotations

from typing import Self

from aiohttp import web

from steelyard.content.gateway import Gateway
from steelyard.content.store import StoreConfig
from steelyard.errors import ConfigError

_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - replaced by an address that can be called
_SHUTDOWN_S = 1.0
_KEEPALIVE_S = 60.0


class Server:
    """A running gateway. `url` is its base URL."""

    def __init__(self, runner: web.AppRunner, url: str) -> None:
        self._runner = runner
        self.url = url

    @classmethod
    async def start(cls, gateway: Gateway, config: StoreConfig) -> Self:
        """Listen. Raises ConfigError if the address is malformed or taken."""
        host, _, port = config.listen.rpartition(":")
        runner = web.AppRunner(
            gateway.app, access_log=None, shutdown_timeout=_SHUTDOWN_S, keepalive_timeout=_KEEPALIVE_S
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host.strip("[]") or "127.0.0.1", int(port)).start()
        except (OSError, ValueError, OverflowError) as error:
            await runner.cleanup()
            raise ConfigError(
                f"cannot listen on {config.listen!r} ({error})", remedy="give a free host:port, or port 0"
            ) from error
        address, bound = runner.addresses[0][:2]
        name = _ANY.get(address, f"[{address}]" if ":" in address else address)
        return cls(runner, config.public_url or f"http://{name}:{bound}")

    async def close(self) -> None:
        """Stop listening and end the connections."""
        await self._runner.cleanup()
