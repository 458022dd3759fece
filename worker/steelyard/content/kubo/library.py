"""ipfshttpclient in threads: its calls block, so each one has a deadline."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from steelyard.content.kubo import failures
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.layout import LEAF_BYTES
from steelyard.errors import DaemonError

CALL_S = 15.0
CONNECT_S = 3.0
_THREADS = 4


class LibraryCalls:
    """Runs functions of `rpc`, an ipfshttpclient.Client, and translates its errors."""

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="steelyard-ipfs")
        self.ended = threading.Event()
        self._library = _library()
        self.rpc = self._library.Client(
            address.multiaddr, chunk_size=LEAF_BYTES, session=True, headers=address.headers
        )
        # A proxy of the environment is for the web; ipfshttpclient has no option for that.
        self.rpc._client._session.trust_env = False  # noqa: SLF001

    async def close(self) -> None:
        """End the running calls and close the connections."""
        self.ended.set()
        self.rpc.close()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def succeeds(self, what: str, function: Callable[..., Any], *args: Any, **options: Any) -> bool:
        """Run a call whose only refusal means "no". Returns False if the daemon refuses."""
        try:
            await self.call(what, function, *args, **options)
        except DaemonError as error:
            if isinstance(error.__cause__, self._library.exceptions.ErrorResponse):
                return False
            raise
        return True

    async def call(
        self,
        what: str,
        function: Callable[..., Any],
        *args: Any,
        deadline_s: float = CALL_S,
        **options: Any,
    ) -> Any:
        """Run `function` of `self.rpc` in a thread. what: the verb for error messages.

        deadline_s: seconds for the call.  Raises DaemonError, DiskFull.
        """
        known = self._library.exceptions
        call = partial(function, *args, timeout=(CONNECT_S, deadline_s), **options)
        try:
            async with asyncio.timeout(deadline_s + CONNECT_S):
                return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except (TimeoutError, known.TimeoutError) as error:
            raise failures.late(self._address, what, deadline_s) from error
        except known.ErrorResponse as error:
            raise failures.refused(self._address, what, str(error.args[0])) from error
        except (known.StatusError, known.ProtocolError, known.DecodingError) as error:
            raise self._unexpected(error) from error
        except (known.Error, OSError) as error:
            raise failures.away(self._address, _first_words(error)) from error

    def _unexpected(self, error: Exception) -> DaemonError:
        """The error for an answer that is not the RPC's, or for a broken connection."""
        status = getattr(getattr(error, "original", None), "response", None)
        if status is None and not isinstance(error, self._library.exceptions.DecodingError):
            return failures.away(self._address, _first_words(error))
        if status is not None and status.status_code in (401, 403):
            return failures.locked(self._address, status.status_code)
        code = "" if status is None else f"it answers {status.status_code}"
        return failures.foreign(self._address, code or "its answer is not JSON")


class Upload:
    """A file for ipfshttpclient to read. It has no name, so none is sent; `ended` stops it."""

    def __init__(self, stream: io.BufferedReader, ended: threading.Event) -> None:
        self._stream = stream
        self._ended = ended

    def read(self, size: int) -> bytes:
        if self._ended.is_set() or self._stream.closed:
            raise OSError("cancelled")
        return self._stream.read(size)


def _library() -> Any:
    """Import ipfshttpclient on first use.

    Its patch of requests is for unix sockets and uses a deprecated interface of urllib3, so it is turned off.
    """
    os.environ.setdefault("PY_IPFS_HTTP_CLIENT_PATCH_REQUESTS", "no")
    import ipfshttpclient  # noqa: PLC0415 - heavy, and only needed with a daemon

    return ipfshttpclient


def _first_words(error: Exception) -> str:
    """The innermost cause, without addresses of Python objects."""
    while isinstance(inner := error.__cause__ or error.__context__, Exception):
        error = inner
    return f"{type(error).__name__}: {error}".split(" at 0x")[0].replace("\n", " ")[:160]
